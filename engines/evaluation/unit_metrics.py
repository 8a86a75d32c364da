"""How well action units, sides, regions and displacements are told. Not from the papers.

Shape letters: S samples, U units.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .metrics import spearman

Flags = NDArray[np.bool_]
Indices = NDArray[np.int64]
Floats = NDArray[np.floating[Any]]
SURE = (0.7, 0.9)  # of the scores between them as many units should have moved


def unit_f1(found: Flags, truth: Flags) -> Floats:
    """F1 of every unit, (U,), from what is found and what is true, (S, U) each.

    NaN where a unit is in no sample.
    """
    hits = (found & truth).sum(0)
    with np.errstate(invalid="ignore"):
        f1 = 2 * hits / (found.sum(0) + truth.sum(0))
    return np.where(truth.any(0), f1, np.nan)


def mean_f1(found: Flags, truth: Flags) -> float:
    """The mean F1 of the units that moved in some sample, (S, U) each; NaN where none did."""
    return float(np.nanmean(unit_f1(found, truth))) if truth.any() else float("nan")


def balanced_accuracy(found: Indices, truth: Indices) -> float:
    """Mean recall of the classes that are there, of indices (S,); NaN without any."""
    recalls = [float((found[truth == one] == one).mean()) for one in np.unique(truth)]
    return float(np.mean(recalls)) if recalls else float("nan")


def displacement_fit(found: Floats, truth: Floats) -> tuple[float, float]:
    """Spearman and the median relative error of displacements (S,); NaN without any."""
    if len(truth) == 0:
        return float("nan"), float("nan")
    error = float(np.median(np.abs(found - truth) / truth))
    return float(np.nan_to_num(spearman(found, truth))), error


def sure(scores: Floats, truth: Flags) -> tuple[int, float]:
    """How many scores (S, U) lie in SURE, and the share of them whose unit moved; NaN for none."""
    between = (scores >= SURE[0]) & (scores < SURE[1])
    right = float(truth[between].mean()) if between.any() else float("nan")
    return int(between.sum()), right


def constant_f1(truth: Flags) -> float:
    """The mean F1 over the units of the best answer that is the same for every sample.

    A unit that is always told has an F1 of 2 p / (1 + p), p its share: more than one never told.
    """
    if not truth.any():
        return float("nan")
    share = truth.mean(0)[truth.any(0)]
    return float(np.mean(2 * share / (1 + share)))
