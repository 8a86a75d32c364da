"""Recordings of data sets as aligned crops with their truth: sets that training reads.

recordings  one recording on a disk: whose it is, its truth, its frames, its crops
reviewed    which of its frames are kept where a coder decided events
"""
