"""What a CMNet in training is judged by: UF1 and UAR of both heads, and whether its intensities follow the tendency."""

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
    """UF1 and UAR of both heads, mean Spearman of s against the prototype, apex error as a share of N.

    Intervals are jittered as in training, alike at every call; nothing is mirrored. A head without labels
    gives NaN.
    """
    network.eval()
    fixed = replace(config, flip=0.0)
    confusion = {
        "3": np.zeros((len(config.labels3),) * 2, int),
        "5": np.zeros((len(config.labels5),) * 2, int),
    }
    follows, misses = [], []
    for first in range(0, len(samples), config.batch):
        batch = make_batch(crops, samples[first : first + config.batch], fixed, seed=first)
        with torch.inference_mode():
            found = network(batch.clips)
        for name, matrix in confusion.items():
            known = batch.labels[name] >= 0
            pairs = (
                batch.labels[name][known].cpu().numpy(),
                found.logits[name][known].argmax(1).cpu().numpy(),
            )
            np.add.at(matrix, pairs, 1)
        mu, _ = losses.prototype(batch.apex, config.frames, config.eps)
        follows.append(spearman(found.s.cpu().numpy(), mu.cpu().numpy()))
        misses.append((found.s.argmax(1) - batch.apex).abs().float().cpu().numpy() / config.frames)
    network.train()
    scores = {
        name: uf1_uar(matrix) if matrix.sum() else (math.nan, math.nan)
        for name, matrix in confusion.items()
    }
    return {
        **{
            f"{kind}_{name}": scores[name][i]
            for name in scores
            for i, kind in enumerate(("uf1", "uar"))
        },
        # a constant curve follows nothing
        "spearman": float(np.nan_to_num(np.concatenate(follows)).mean()),
        "apex_error": float(np.concatenate(misses).mean()),
    }
