"""Examinations: weights measured on faces and footage that no training has seen.

Every examination runs the offline reference, which the stream equals (tests/laws), and prints one
table.

commands         `microspot-engines exam`, one subcommand for each examination
heldout          synthetic clips of test faces, with every distractor
semireal         movements of known time and strength warped into quiet segments of real video
alarms           false alarms on real video without known MEs: quiet, in speech, in blinks
sweep            camera rates, face sizes, bitrates and the like
widths           how small a face may be
aligner          the real aligner's jitter, beside what the generator assumes
measured         the family of movements that no training may see
recordings       Recording, SpottingResult and the report of many of them
recognition      labels and intensity curves of the hits
mesh_annotation  blinks, speech and quiet in real video, by rules on the mesh
alarm_counts     false alarms per minute with exact intervals
composites       excerpts of footage repeated as by other cameras
tuning           thresholds that are quiet on composites of footage that no examination uses
video_link       a codec at a bitrate, and the aligner behind it
"""
