"""Fine-tuning in folds: the spotter learns some people of a data set and is tested on others.

protocols   which folds there are, and of which recordings
config      every number of it; fine_tuning.toml is the shipped choice
sets        recordings as what a training reads
networks    the spotter as it was given, or after some steps on some recordings
scoring     what a network says of a recording, by the reference path
choice      steps and thresholds, chosen by the training people of a fold alone
run         all folds, each kept when it is done
results     the files of a run
finished    the same, read again without torch
"""
