"""Examinations: what shipped weights are worth, measured on faces and footage that no training has seen.

heldout   synthetic clips of test faces, with every distractor
semireal  movements of known time and strength warped into quiet segments of real video
alarms    false alarms on real video without known micro-expressions, quiet, in speech and in blinks
aligner   the real aligner's jitter, beside what the generator assumes
sweep     camera rates, face sizes and bitrates
Every examination runs the offline reference, which the stream equals (tests/laws), and prints one table.
"""
