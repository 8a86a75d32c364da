"""Training of CMNet: three losses, both label sets on one trunk.

train       the run: epochs and log
checkpoint  how it begins, what is kept of it, and how it goes on
data        recognizer.toml, samples and batches
movement    what its heads learn that say what moved
positives   the anchors, taken otherwise
step        the losses of one batch
ablation    its runs in the papers' experiments
validation  UF1, UAR and the fit of the intensity curve
"""
