"""Average precision of scored intervals at IoU 0.3 to 0.7.

By score over all videos of a table; each spotted interval takes the truth that it overlaps most
among those still free. Intervals of one score count together, so that their order decides nothing.
Precision at a recall is the best one at this recall or a higher one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...data.annotations import TYPES
from .candidates import Candidates, Columns, Floats, Ints
from .comparison import Comparison

IOUS = (0.3, 0.4, 0.5, 0.6, 0.7)


def average_precision(compared: Comparison, emits: Sequence[str] = TYPES) -> dict[str, Any] | None:
    """For micro and macro: the figure at each of IOUS, and their mean.

    Null where some spotted interval has no score, or none is there; a type is null without truth,
    and where the spotter does not emit it. It knows only what the table holds: with a threshold of
    the spotter behind it, the figure is of the part of the curve above that threshold.
    """
    score = compared.spotted.score
    if not len(score) or np.isnan(score).any():
        return None
    kind_of_truth, kind_of_found = compared.kinds()
    hits = {iou: hits_by_score(compared.candidates(iou), compared.spotted) for iou in IOUS}
    report: dict[str, Any] = {}
    for place, kind in enumerate(TYPES):
        truths = int((kind_of_truth == place).sum())
        own = kind_of_found == place
        at = {iou: area(score[own], hit[own], truths) for iou, hit in hits.items()}
        if not truths or kind not in emits:
            report[kind] = None
            continue
        figures: dict[str, Any] = {str(iou): figure for iou, figure in at.items()}
        report[kind] = figures | {"mean": float(np.mean(list(at.values())))}
    return report


def hits_by_score(pairs: Candidates, found: Columns) -> NDArray[np.bool_]:
    """Which spotted intervals (F,) take a truth, the highest score first."""
    taken = np.zeros(len(found.score), bool)
    own = np.bincount(pairs.found, minlength=len(found.score))[pairs.found]
    of_truth = np.bincount(pairs.truth, minlength=1)[pairs.truth]
    alone = (own == 1) & (of_truth == 1)
    taken[pairs.found[alone]] = True
    rest = np.flatnonzero(~alone)
    t, f = pairs.truth[rest], pairs.found[rest]
    order = np.lexsort((rest, -pairs.overlap[rest], found.rank[f], -found.score[f]))
    gone: set[int] = set()
    hit: set[int] = set()
    for truth, spotted in zip(t[order].tolist(), f[order].tolist(), strict=True):
        if spotted not in hit and truth not in gone:
            hit.add(spotted)
            gone.add(truth)
    taken[list(hit)] = True
    return taken


def area(score: Floats, hit: NDArray[np.bool_], truths: int) -> float:
    """Average precision of spotted intervals (N,) with their scores and whether they hit."""
    if not truths:
        return 0.0
    right, precision = best_precision(score, hit)
    return float((np.diff(right, prepend=0) * precision).sum() / truths)


def best_precision(score: Floats, hit: NDArray[np.bool_]) -> tuple[Ints, Floats]:
    """The curve of spotted intervals (N,), by falling score, of which D are distinct.

    Hits (D,) among those of this score or more, and the best precision (D,) at so many or more.
    """
    if not len(score):
        return np.zeros(0, np.int64), np.zeros(0)
    order = np.argsort(-score, kind="stable")
    last = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)  # of each score
    right = np.cumsum(hit[order])[last]
    return right, np.maximum.accumulate((right / (last + 1))[::-1])[::-1]
