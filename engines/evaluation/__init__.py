"""How spotters, recognisers and aligners are measured.

metrics/     spotting F1 by named rules, UF1, UAR, STRS, average precision, intervals; HIT_IOU
plots/       figures of these: PNG and one HTML page (matplotlib)
realism/     how far generated micro-expressions are from those of a data set
cells        which figures of people may be given away
unit_metrics  action units, sides and displacements
calibration  thresholds by one rule for every engine set
stored_scores  scores of a whole video, for thresholds that are chosen afterwards
unit_calibration  scores of action units that are as often right as they say
crop_jitter  how steady an aligner's crops are, on a clip of known motion
roofline     the least time that this machine needs for an engine
exams/       examinations on faces and footage that no training has seen
"""
