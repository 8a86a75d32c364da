"""Training of MESNet in its stages.

train           the run: stages, steps, checkpoints, log
config          spotter.toml and checkpoints
data            segments cut from clips, and batches of them
pretraining     samples and loss of the first stage
nuisance        labels and loss of the nuisance heads
joint_training  phases and losses of the second stage
validation      the network as engines on whole clips
"""
