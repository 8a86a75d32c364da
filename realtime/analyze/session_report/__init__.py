"""What a recording says beside its events: the face's channels, blinks, responses to markers.

sink        gathers the records of a run; writes channels.csv and session.json
channels    every measured value of every face, frame by frame
blinks      which ticks are a blink
trials      the window after each marker, what was seen and spotted in it
statistics  rates with intervals, latencies, the test between conditions
summary     all of it as session.json has it, with what it cannot show
section     the same in a report
"""
