"""Figures of labels: UF1, UAR, accuracy and confusion.

Confusion matrices are pooled over all folds first; the mean of the folds' figures is another
number, which is given beside it under its own name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import DataError, UsageError

Counts = NDArray[np.float64]
Cells = NDArray[np.int64]


def uf1_uar(confusion: ArrayLike) -> tuple[float, float]:
    """Unweighted F1 and unweighted average recall of a pooled confusion matrix (C, C).

    Rows are truths, columns predictions. UF1 = mean of 2 TP / (2 TP + FP + FN), UAR = mean of TP /
    N, over the classes that occur in the truth. Raises DataError for another shape or an empty
    matrix.
    """
    matrix = np.asarray(confusion, np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.sum() == 0:
        raise DataError(
            f"confusion matrix: expected a square with counts, got shape {matrix.shape}, "
            f"sum {matrix.sum():g}"
        )
    of_class = class_figures(matrix[None], (matrix.sum(1) > 0)[None])
    return float(of_class["uf1"][0]), float(of_class["uar"][0])


def class_figures(confusions: Counts, counted: NDArray[np.bool_]) -> dict[str, Counts]:
    """UF1, UAR, mean precision and accuracy (R,) of confusions (R, C, C).

    counted: (R, C) the classes whose mean is taken; one of them that does not occur counts 0. NaN
    where no class is counted or nothing is in the matrix.
    """
    right = np.einsum("rcc->rc", confusions)
    truth = confusions.sum(2)
    predicted = confusions.sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        classes = counted.sum(1)
        total = confusions.sum((1, 2))
        return {
            "uf1": (_share(2 * right, truth + predicted) * counted).sum(1) / classes,
            "uar": (_share(right, truth) * counted).sum(1) / classes,
            "precision": (_share(right, predicted) * counted).sum(1) / classes,
            "accuracy": right.sum(1) / total,
        }


def _share(part: Counts, whole: Counts) -> Counts:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def confusion_of(truth: Sequence[str], predicted: Sequence[str], names: Sequence[str]) -> Counts:
    """(C, C) counts of labels, rows truths; `names` are the classes."""
    counts = np.bincount(_cells(truth, predicted, names), minlength=len(names) ** 2)
    return counts.reshape(len(names), len(names)).astype(np.float64)


def label_report(
    truth: Sequence[str],
    predicted: Sequence[str],
    folds: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
) -> dict[str, Any]:
    """UF1, UAR, accuracy, macro precision, `classes` and confusion {true: {predicted: count}}.

    All pooled over the folds. `fold_mean`, where the fold of each label is given, has the means of
    the folds' own figures, in which a class that a fold has not counts 0. classes: whose mean is
    taken, those absent counting 0; by default the classes that occur in the truth. Raises DataError
    where there are no labels, or not as many of each, UsageError for classes that are none.
    """
    if not truth or len(truth) != len(predicted):
        raise DataError(
            f"labels: expected as many predictions as truths, got {len(predicted)} and {len(truth)}"
        )
    present = set(truth)
    if classes is not None and not present <= set(classes):
        raise UsageError(
            f"classes {', '.join(classes)}: the truth also has {sorted(present - set(classes))[0]}"
        )
    wanted = present if classes is None else set(classes)
    names = sorted(wanted | present | set(predicted))
    counted = np.array([name in wanted for name in names])
    confusion = confusion_of(truth, predicted, names)
    pooled = class_figures(confusion[None], counted[None])
    report: dict[str, Any] = {name: float(pooled[name][0]) for name in ("uf1", "uar", "accuracy")}
    report |= {"macro_precision": float(pooled["precision"][0])}
    if folds is not None:
        report["fold_mean"] = fold_mean(truth, predicted, folds, names, counted)
    report["classes"] = {
        name: _of_class(confusion, place) for place, name in enumerate(names) if counted[place]
    }
    report["confusion"] = {
        name: dict(zip(names, map(int, row), strict=True))
        for name, row in zip(names, confusion, strict=True)
    }
    return report


def _of_class(confusion: Counts, place: int) -> dict[str, Any]:
    right = confusion[place, place]
    truth, predicted = confusion[place].sum(), confusion[:, place].sum()
    return {
        "support": int(truth),
        "precision": float(right / predicted) if predicted else 0.0,
        "recall": float(right / truth) if truth else 0.0,
        "f1": float(2 * right / (truth + predicted)) if truth + predicted else 0.0,
    }


def fold_mean(
    truth: Sequence[str],
    predicted: Sequence[str],
    folds: Sequence[str],
    names: Sequence[str],
    counted: NDArray[np.bool_],
) -> dict[str, Any]:
    """Means over the folds of UF1, UAR and accuracy, and how many folds there are."""
    confusions = by_fold(truth, predicted, folds, names)
    of_fold = class_figures(confusions, np.tile(counted, (len(confusions), 1)))
    means = {name: float(of_fold[name].mean()) for name in ("uf1", "uar", "accuracy")}
    return {"folds": len(confusions), **means}


def by_fold(
    truth: Sequence[str], predicted: Sequence[str], folds: Sequence[str], names: Sequence[str]
) -> Counts:
    """(folds, C, C) confusions of each fold, in the order of their names."""
    place = {fold: number for number, fold in enumerate(sorted(set(folds)))}
    cells = _cells(truth, predicted, names)
    size = len(names) ** 2
    fold = np.array([place[name] for name in folds], np.int64)
    counts = np.bincount(fold * size + cells, minlength=len(place) * size)
    return counts.reshape(len(place), len(names), len(names)).astype(np.float64)


def _cells(truth: Sequence[str], predicted: Sequence[str], names: Sequence[str]) -> Cells:
    """(N,) the cell of a flat confusion matrix that each pair of labels is counted in."""
    place = {name: number for number, name in enumerate(names)}
    true = np.array([place[name] for name in truth], np.int64)
    said = np.array([place[name] for name in predicted], np.int64)
    return np.asarray(true * len(names) + said, np.int64)
