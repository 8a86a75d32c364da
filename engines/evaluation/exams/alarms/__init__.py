"""False alarms on real video without known micro-expressions.

examination  by person and by category: quiet, speech, blinks, other
composites   excerpts of footage repeated as by other cameras
counts       false alarms per minute with exact intervals
stills       a strip of pictures of each alarm, so that a person can look at it
"""
