"""What a set of weights promises: rates, sizes, windows, lags, labels, thresholds, tensor shapes.

The specs travel inside `manifest.json`, are checked when weights load, and are the only home of
these numbers. Values marked [S1] or [S2] are stated in `engines/PAPERS.md`; all others are
not from the papers.

spotter     MESNet
recognizer  CMNet
tensors     name, dtype and shape of an engine's inputs and outputs
checked     the JSON of both specs, and its checks
"""

from .recognizer import (
    BIASES,
    ENERGY_FLOOR,
    SIDES,
    TEMPERATURES,
    TEXTURES,
    RecognizerSpec,
)
from .spotter import CLUSTER_TICKS, MOTIONS, NMS_RULES, NUISANCES, RIDGE, SpotterSpec
from .tensors import FREE_SIZES, SizeRange, TensorSpec

__all__ = [
    "BIASES",
    "CLUSTER_TICKS",
    "ENERGY_FLOOR",
    "FREE_SIZES",
    "LUMA",
    "MOTIONS",
    "NMS_RULES",
    "NUISANCES",
    "RIDGE",
    "SIDES",
    "TEMPERATURES",
    "TEXTURES",
    "RecognizerSpec",
    "SizeRange",
    "SpotterSpec",
    "TensorSpec",
]

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601 weights of R, G, B
