"""Stimulus markers from other programs, on the time axis of the frames: `--markers`.

open        from a URI to where markers come from
lsl         markers of a stream of the Lab Streaming Layer
placement   each marker among the records of a run, with the frame nearest in time
recorded    markers of recordings, from a table of stream times
"""
