"""How MESNet and CMNet are trained, on sets that `engines.data.generator.synthesize` writes.

losses           every loss of both papers, as pure functions
targets          label assignment of MESNet: which window is an ME, where its boundaries lie
crops            sets of clips on disk, read as one
folds            protocols: whom a fold chooses on, whom it is tested on, and when these are read
threshold_folds  thresholds chosen inside the training subjects of each fold
half_precision   bfloat16, where the processor has it
distributed      several processes that train as one (torchrun)
run_folder       whether a run may begin in a folder, or go on
warm_start       start with the weights of a network of the same layers, as large or smaller
dead_channels    channels that do nothing, which a warm start replaces
spotter/         MESNet: configuration, data, stages, validation
recognizer/      CMNet: configuration, data, one step, the run, validation
ablation         short runs with one switch changed each, in one table
package          two finished runs to a folder of weights that ships
"""
