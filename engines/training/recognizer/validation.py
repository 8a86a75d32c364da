"""Validation of CMNet while it trains: UF1 and UAR of both heads, fit of the intensity curves."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch

from ...evaluation.metrics import spearman, uf1_uar
from ...networks.cmnet import CMNet
from .. import losses
from ..crops import Crops
from .data import RecognizerConfig, Sample, make_batch

FIGURES = ("uf1_3", "uar_3", "uf1_5", "uar_5", "spearman", "apex_error")


def validate(
    network: CMNet, crops: Crops, samples: list[Sample], config: RecognizerConfig
) -> dict[str, float]:
    """UF1 and UAR of both heads, mean Spearman of s against the prototype, apex error.

    The apex error is a share of N. Intervals are jittered as in training, alike at every call;
    nothing is mirrored. A head without labels gives NaN.
    """
    network.eval()
    fixed = replace(config, flip=0.0)
    confusion = {
        "3": np.zeros((len(config.labels3),) * 2, int),
        "5": np.zeros((len(config.labels5),) * 2, int),
    }
    correlations = []
    apex_errors = []
    for first in range(0, len(samples), config.batch):
        batch = make_batch(crops, samples[first : first + config.batch], fixed, seed=first)
        with torch.inference_mode():
            found = network(batch.clips)
        for name, matrix in confusion.items():
            known = batch.labels[name] >= 0
            true = batch.labels[name][known].cpu().numpy()
            predicted = found.logits[name][known].argmax(1).cpu().numpy()
            np.add.at(matrix, (true, predicted), 1)
        mu, _ = losses.prototype(batch.apex, config.frames, config.eps)
        correlations.append(spearman(found.s.cpu().numpy(), mu.cpu().numpy()))
        distance = (found.s.argmax(1) - batch.apex).abs().float().cpu().numpy()
        apex_errors.append(distance / config.frames)
    network.train()
    figures: dict[str, float] = {}
    for name, matrix in confusion.items():
        uf1, uar = uf1_uar(matrix) if matrix.sum() else (math.nan, math.nan)
        figures |= {f"uf1_{name}": uf1, f"uar_{name}": uar}
    # a constant curve has no correlation: it counts as 0
    figures["spearman"] = float(np.nan_to_num(np.concatenate(correlations)).mean())
    figures["apex_error"] = float(np.concatenate(apex_errors).mean())
    return figures
