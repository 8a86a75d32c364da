"""Lab Streaming Layer: `--out lsl:NAME`, and the clock that `--markers lsl:NAME` shares with it.

clock           the library, and times of the host on LSL's clock
sink            three kinds of streams: events, scores, times of frames
score_outlet    the scores of one face at a steady rate
waiting_outlet  samples that are sent together
"""
