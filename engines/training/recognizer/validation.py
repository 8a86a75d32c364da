"""Validation of CMNet while it trains: UF1 and UAR of both heads, fit of the intensity curves."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...clips import SECOND_NS
from ...data.generator.truth import level_at
from ...evaluation.metrics import spearman, uf1_uar
from ...evaluation.unit_metrics import balanced_accuracy, displacement_fit, mean_f1
from ...networks.cmnet import CMNet, Exchange
from ...networks.movement_heads import Movement
from .. import losses
from ..crops import Crops
from .data import Batch, RecognizerConfig, Sample, make_batch
from .movement import MovedBatch, joined

# Figures of classes; of the curve against the prototype and against the set's true course, and
# those of a triangle over the same interval beside the latter.
CLASSES = ("uf1_3", "uar_3", "uf1_5", "uar_5")
CURVES = ("spearman", "spearman_true", "tent_true", "apex_error", "tent_apex_error")
# Mean F1 of the units at their floor, and balanced accuracy of their sides; of region and side;
# rank correlation and median relative error of displacements.
MOVEMENT = ("unit_f1", "unit_side", "region", "side", "px_spearman", "px_error")
FIGURES = (*CLASSES, *CURVES, *MOVEMENT)


def constant(s: Tensor) -> Tensor:
    """One number in place of all intensities: their mean."""
    return s.mean().expand_as(s)


def shuffled(s: Tensor) -> Tensor:
    """The intensities (B, N) of every clip in another order, the same at every call."""
    random = torch.Generator().manual_seed(0)
    orders = torch.stack([torch.randperm(s.shape[1], generator=random) for _ in s])
    return s.gather(1, orders.to(s.device))


def validate(
    network: CMNet,
    crops: Crops,
    samples: list[Sample],
    config: RecognizerConfig,
    exchange: Exchange | None = None,
) -> dict[str, float]:
    """UF1 and UAR of both heads, mean Spearman of s against prototype and true course, apex errors.

    An apex error is a share of the clip's length. Intervals are jittered as in training, alike at
    every call; nothing is mirrored. exchange: what magnifies in place of s. A head without labels
    gives NaN, and so do true courses where the set keeps none.
    """
    network.eval()
    fixed = replace(config, flip=0.0)
    confusion = {
        "3": np.zeros((len(config.labels3),) * 2, int),
        "5": np.zeros((len(config.labels5),) * 2, int),
    }
    curves: list[dict[str, float]] = []
    movements: list[tuple[Movement, MovedBatch]] = []
    for first in range(0, len(samples), config.batch):
        chosen = samples[first : first + config.batch]
        batch = make_batch(crops, chosen, fixed, seed=first)
        with torch.inference_mode():
            found = network.recognise(network.channels(batch.clips), exchange)
        for name, matrix in confusion.items():
            known = batch.labels[name] >= 0
            true = batch.labels[name][known].cpu().numpy()
            predicted = found.logits[name][known].argmax(1).cpu().numpy()
            np.add.at(matrix, (true, predicted), 1)
        curves += curve_fits(found.s, batch, chosen, config.eps)
        if found.movement is not None and batch.moved is not None:
            movements.append((found.movement, batch.moved))
    network.train()
    figures: dict[str, float] = {}
    for name, matrix in confusion.items():
        uf1, uar = uf1_uar(matrix) if matrix.sum() else (math.nan, math.nan)
        figures |= {f"uf1_{name}": uf1, f"uar_{name}": uar}
    for name in CURVES:
        values = [fit[name] for fit in curves if name in fit]
        figures[name] = float(np.mean(values)) if values else math.nan
    return figures | (
        movement_figures(movements) if movements else dict.fromkeys(MOVEMENT, math.nan)
    )


def movement_figures(batches: list[tuple[Movement, MovedBatch]]) -> dict[str, float]:
    """The MOVEMENT figures of what was found in batches and what is true; NaN where none is known.

    Displacements are those of the whole movements.
    """
    found = Movement(*(_joined(parts) for parts in zip(*(b[0] for b in batches), strict=True)))
    true = joined([moved for _, moved in batches])
    known = true.known
    there = true.units[known].numpy() > 0
    moved = true.unit_sides >= 0
    sized = true.px > 0
    rank, error = displacement_fit(found.log_px[sized].exp().numpy(), true.px[sized].numpy())
    return {
        "unit_f1": mean_f1((found.units[known] >= 0).numpy(), there),  # a probability of a half
        "unit_side": _accuracy(found.unit_sides[moved], true.unit_sides[moved]),
        "region": _accuracy(found.regions[true.regions >= 0], true.regions[true.regions >= 0]),
        "side": _accuracy(found.side[true.side >= 0], true.side[true.side >= 0]),
        "px_spearman": rank,
        "px_error": error,
    }


def _joined(parts: tuple[Tensor, ...]) -> Tensor:
    return torch.cat(parts).float().cpu()


def _accuracy(logits: Tensor, truth: Tensor) -> float:
    return balanced_accuracy(logits.argmax(-1).numpy(), truth.numpy())


def curve_fits(
    s: Tensor, batch: Batch, samples: list[Sample], eps: float
) -> list[dict[str, float]]:
    """Of each clip the CURVES that can be told of its intensities s (B, N)."""
    mu, _ = losses.prototype(batch.times, batch.apex, batch.offset, eps)
    fits = []
    for i, sample in enumerate(samples):
        times = batch.times[i].cpu().numpy().astype(np.float64)
        curve = s[i].float().cpu().numpy()
        apex = float(batch.apex[i])
        length = max(times[-1] - times[0], 1 / SECOND_NS)
        middle = (times[0] + times[-1]) / 2
        fit = {
            "spearman": _rank_correlation(curve, mu[i].cpu().numpy()),
            "apex_error": abs(times[curve.argmax()] - apex) / length,
            "tent_apex_error": abs(middle - apex) / length,
        }
        if sample.levels:
            true = level_at(sample.levels, times * SECOND_NS)
            tent = -np.abs(times - middle)
            fit["spearman_true"] = _rank_correlation(curve, true)
            fit["tent_true"] = _rank_correlation(tent, true)
        fits.append(fit)
    return fits


def _rank_correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Spearman; a constant curve has none: it counts as 0."""
    return float(np.nan_to_num(spearman(first, second)))
