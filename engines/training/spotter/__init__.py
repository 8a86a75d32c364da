"""Training of MESNet in its stages.

train           the run: stages, steps, log
config          spotter.toml
schedule        how long a run is, and its learning rate
checkpoint      what a run goes on from
optimizer       AdamW, and what its decay takes
data            segments cut from clips, and batches of them
frames          the frames of batches: kept on disk, augmented
pretraining     samples and loss of the first stage
joint_training  phases and losses of the second stage
nuisance        labels and loss of the heads for what is no ME
encoder_norms   statistics of the encoder's norms; its dead channels
validation      the network as engines on whole clips
"""
