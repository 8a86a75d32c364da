"""`microspot bench`: the real step on one core, beside its yardsticks, in alternating rounds. A benchmark reports.

report    the whole, as the command prints it
rounds    what a frame costs end to end, and the bare landmarker on the same frames
networks  heads, backends against the machine's floor, recomputing a window for every frame
scale     more cameras, longer memory, more intervals
load      cameras at their own pace, until the machine is full
files     a CSV and a plot, named after what they belong to
"""
