"""What the aligner answered for the frames of a recording, kept to be read again.

entry    where the crops of a recording lie, and what decides that they are these
aligner  aligners that keep what another one answers, and that answer what was kept
stored   answers as arrays on a disk

Crops are pictures of people: nothing is kept unless a folder is named.
"""
