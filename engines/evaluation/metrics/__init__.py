"""What spotting, recognition and action units are worth, by rules that have names.

candidates         rows as arrays, and all pairs that overlap enough
matching           which of these pairs are hits, by rule; HIT_IOU
spotting           counts, precision, recall and F1 of micro, macro and overall
average_precision  over IoU 0.3 to 0.7, from scored intervals
labels             UF1, UAR, accuracy, confusion: pooled over folds, and the mean of the folds
strs               spot-then-recognise score, strict and as its authors' script counts
unit_scores        F1 and AUC of each action unit
bootstrap          intervals over subjects
delays             how long decisions took
ranks              rank correlation and area under the ROC curve
report             all of it with its protocol
printing           for people: rounded, a line for each figure
"""

from .labels import label_report, uf1_uar
from .matching import HIT_IOU, RULES, frame_iou, match, matches, one_to_one
from .ranks import auc, spearman
from .report import score_labels, score_tables
from .spotting import spotting_report
from .strs import official_strs, recognition_report

__all__ = [
    "HIT_IOU",
    "RULES",
    "auc",
    "frame_iou",
    "label_report",
    "match",
    "matches",
    "official_strs",
    "one_to_one",
    "recognition_report",
    "score_labels",
    "score_tables",
    "spearman",
    "spotting_report",
    "uf1_uar",
]
