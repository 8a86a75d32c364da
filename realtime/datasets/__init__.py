"""Licensed data sets, run and scored: `microspot evaluate --data DIR --dataset NAME`.

run        every recording through the live pipeline, as `analyze` runs it, and the figures of all
stored     what `analyze` wrote of a recording, read back
truth      rows of a data set's table in frames counted from 0
compared   the data set as it was run
protocols  what counts as found: events as they came, or thresholds chosen in folds
report     the figures with their protocol, and the files of a result folder
"""
