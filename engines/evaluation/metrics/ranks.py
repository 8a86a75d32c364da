"""Figures of ranks: Spearman's correlation, and the area under the ROC curve."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def spearman(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """Rank correlation along the last axis, (..., N) to (...), with mid-ranks on ties.

    NaN where one of the two is constant.
    """
    ranks = [_mid_ranks(np.asarray(values, np.float64)) for values in (first, second)]
    a, b = (r - r.mean(-1, keepdims=True) for r in ranks)
    scale = np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
    with np.errstate(invalid="ignore"):
        return np.asarray((a * b).sum(-1) / scale, np.float64)


def _mid_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    this = values[..., :, None]
    other = values[..., None, :]
    return np.asarray((other < this).sum(-1) + 0.5 * (other == this).sum(-1), np.float64)


def auc(scores: ArrayLike, truth: ArrayLike) -> float | None:
    """Area under the ROC curve of scores (N,) for a truth of booleans (N,); ties count half.

    The share of pairs of a true and a false sample in which the true one scores higher. None where
    all samples are true, or none is.
    """
    values = np.asarray(scores, np.float64)
    is_true = np.asarray(truth, bool)
    positive = values[is_true]
    negative = np.sort(values[~is_true])
    if not len(positive) or not len(negative):
        return None
    below = np.searchsorted(negative, positive, side="left")
    not_above = np.searchsorted(negative, positive, side="right")
    wins = (below + not_above).sum() / 2
    return float(wins / (len(positive) * len(negative)))
