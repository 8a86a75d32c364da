"""Examinations: weights measured on faces and footage that no training has seen.

Every examination runs the offline reference, which the stream equals (tests/laws), and prints one
table.

commands         `microspot-engines exam`, one subcommand for each examination
whole_table      all of them, one after the other
heldout          synthetic clips of test faces, with distractors
semireal         movements of known time and strength warped into real video, in rows
alarms           false alarms on real video without known MEs: quiet, in speech, in blinks
cameras          camera rates, face sizes, bitrates and the like
personal         a threshold of each face's own against one for all
aligner          the real aligner's jitter, beside what the generator assumes
stays_out        the family of movements that no training may see
tuning           thresholds on validation faces, silent on footage for tuning
unit_tuning      scores of action units, fitted on validation faces
rendering        synthetic clips rendered during an examination
recordings       Recording and SpottingResult
segments         recordings cut where the stream would see a Gap
report           the figures of many results, with intervals
clusters         intervals by cluster bootstrap
surroundings     how far the rest of a face moved before an ME
recognition      labels and intensity curves of the hits
movement         action units, sides, regions and displacements of the hits
mesh_annotation  blinks, speech and quiet in real video, by rules on the mesh
"""

SEED = 2026  # of every examination, where no other is given
