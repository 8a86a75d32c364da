"""Training of CMNet: three losses, both label sets on one trunk.

train       the run: epochs, checkpoints, log
data        recognizer.toml, samples and batches
step        the losses of one batch
validation  UF1, UAR and the fit of the intensity curve
"""
