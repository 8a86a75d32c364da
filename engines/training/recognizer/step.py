"""The losses of one training step of CMNet: class weights and three losses [S2 C28]."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...networks.cmnet import CMNet, Recognition
from ...networks.movement_heads import Movement
from .. import losses
from ..half_precision import in_bfloat16
from .data import HEADS, Batch, RecognizerConfig, Sample
from .movement import even_shares, movement_loss
from .positives import positive_clips


def draw_shares(samples: list[Sample], config: RecognizerConfig) -> NDArray[np.float64]:
    """The probability (S,) with which each sample is drawn."""
    if config.units and config.even_units:
        return even_shares([sample.moved for sample in samples])
    return np.full(len(samples), 1 / len(samples))


def class_weights(samples: list[Sample], config: RecognizerConfig) -> dict[str, Tensor]:
    """Inverse frequency of each class by head as it is drawn, mean 1 over what has a label.

    Absent classes weigh 1.
    """
    weights = {}
    drawn = draw_shares(samples, config) * len(samples)
    for name, names in (("3", config.labels3), ("5", config.labels5)):
        labels = np.array([s.label3 if name == "3" else s.label5 for s in samples])
        known = labels >= 0
        counts = np.bincount(labels[known], drawn[known], minlength=len(names))
        present = max(np.count_nonzero(counts), 1)
        share = counts.sum() / np.where(counts > 0, counts, 1) / present
        values = np.where(counts > 0, share, 1.0)
        weights[name] = torch.tensor(values, dtype=torch.float32, device=config.device)
    return weights


def batch_losses(
    network: CMNet,
    batch: Batch,
    weights: dict[str, Tensor],
    config: RecognizerConfig,
    done: float,
    seed: int,
) -> dict[str, Tensor]:
    """The losses whose coefficients are not zero, by name.

    done: share of the run, 0 to 1, which anneals kappa. seed: of the drawn prototypes and
    negatives.
    """
    with torch.no_grad():
        frames = network.channels(batch.clips)
    with in_bfloat16(torch.device(config.device).type, config.bfloat16):
        found = network.recognise(frames)
    active = {name for name, value in config.coefficients.items() if value}
    parts = {"classes": _classes(found, batch, weights)}
    random = torch.Generator(device=batch.clips.device).manual_seed(seed)
    if "tendency" in active and found.h is not None:
        mu, sigma = losses.prototype(batch.times, batch.apex, batch.offset, config.eps)
        draws = losses.draw_prototype(mu, sigma, config.draws, random)
        kappa = config.kappa[0] + (config.kappa[1] - config.kappa[0]) * done
        parts["tendency"] = losses.wilcoxon(
            found.s.float(), draws, config.delta, kappa, config.scope, config.form
        )
    if "distillation" in active and found.h is not None:
        parts["distillation"] = _distillation(network, found.h, batch, config, random)
    if "movement" in active and found.movement is not None and batch.moved is not None:
        logits = Movement(*(part.float() for part in found.movement))
        parts["movement"] = movement_loss(logits, batch.moved)
    return parts


def _classes(found: Recognition, batch: Batch, weights: dict[str, Tensor]) -> Tensor:
    parts = [
        losses.classification_loss(found.logits[n].float(), batch.labels[n], weights[n])
        for n in HEADS
    ]
    return torch.stack(parts).mean()


def _distillation(
    network: CMNet, h: Tensor, batch: Batch, config: RecognizerConfig, random: torch.Generator
) -> Tensor:
    """Intensity distillation on the first clips of the batch; h (B, N, D)."""
    count = max(1, math.ceil(config.positives * len(h)))
    clips = batch.clips[:count]
    indices = batch.indices[:count]
    negatives = losses.sample_negatives(clips, config.strategy, None, config.temperature, random)
    # a short ME has fewer captured frames than N positions: a copy of the anchor is no negative
    negatives = negatives & (indices[:, :, None] != indices[:, None, :])
    with torch.no_grad():
        frames = network.channels(positive_clips(clips, config, random))
    with in_bfloat16(torch.device(config.device).type, config.bfloat16):
        positive = network.clues(frames)
    return losses.intensity_distillation(h[:count].float(), positive.float(), negatives, config.tau)
