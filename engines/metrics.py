"""Metrics of recognition: UF1, UAR and the tendency of intensities.

Confusion matrices are pooled over all folds first: the mean of per-fold figures is another, wrong, number.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import DataError


def uf1_uar(confusion: ArrayLike) -> tuple[float, float]:
    """Unweighted F1 and unweighted average recall of a pooled confusion matrix (C, C), rows truth, columns prediction.

    UF1 = mean of 2 TP / (2 TP + FP + FN), UAR = mean of TP / N, over the classes that occur in the truth. Raises
    DataError for another shape or an empty matrix.
    """
    matrix = np.asarray(confusion, np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.sum() == 0:
        raise DataError(
            f"confusion matrix: expected a square with counts, got shape {matrix.shape}, sum {matrix.sum():g}"
        )
    truth, predicted, right = matrix.sum(1), matrix.sum(0), matrix.diagonal()
    present = truth > 0
    f1 = 2 * right[present] / (truth + predicted)[present]
    return float(f1.mean()), float((right[present] / truth[present]).mean())


def spearman(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """Rank correlation along the last axis with mid-ranks on ties, (..., N) -> (...); NaN where one is constant."""
    ranks = [_mid_ranks(np.asarray(values, np.float64)) for values in (first, second)]
    a, b = (r - r.mean(-1, keepdims=True) for r in ranks)
    scale = np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
    with np.errstate(invalid="ignore"):
        return np.asarray((a * b).sum(-1) / scale, np.float64)


def _mid_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    this, other = values[..., :, None], values[..., None, :]
    return np.asarray((other < this).sum(-1) + 0.5 * (other == this).sum(-1), np.float64)
