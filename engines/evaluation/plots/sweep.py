"""Counts of hits, false alarms and misses as the least score rises."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...data.annotations import TYPES
from ..metrics.candidates import Floats
from ..metrics.comparison import Comparison
from ..metrics.spotting import KINDS, by_subject, precision_recall_f1
from .plot import Scored

MOST_THRESHOLDS = 100  # a curve as wide as a page shows no more


@dataclass(frozen=True)
class Sweep:
    """thresholds: (N,) rising; counts: (N, 3) tp, fp and fn of all scores at or above each."""

    thresholds: Floats
    counts: Floats

    @property
    def recall(self) -> Floats:
        """(N,)."""
        return precision_recall_f1(self.counts)[1]

    @property
    def f1(self) -> Floats:
        """(N,)."""
        return precision_recall_f1(self.counts)[2]

    def false_alarms(self, minutes: float) -> Floats:
        """(N,) a minute."""
        return np.maximum(self.counts[:, 1], 0) / minutes


def sweeps(scored: Scored) -> dict[str, Sweep]:
    """A sweep by the rule of `scored` for each of its kinds; every found row must have a score.

    At the lowest threshold, that of all rows, are the counts of `score`.
    """
    score = scored.compared.spotted.score
    at = thresholds(score)
    counts = np.stack([_counts(scored, least) for least in at])  # (N, types, 3)
    places = {kind: [TYPES.index(each) for each in KINDS[kind]] for kind in scored.kinds}
    return {kind: Sweep(at, counts[:, own].sum(1)) for kind, own in places.items()}


def _counts(scored: Scored, least: float) -> Floats:
    """(types, 3) tp, fp and fn of the rows with this score or more."""
    rows = [row for row in scored.found if row.score is not None and row.score >= least]
    compared = Comparison(scored.truth, rows, scored.iou)
    return np.asarray(by_subject(compared, scored.rule, scored.iou).sum(0))


def thresholds(score: Floats) -> Floats:
    """The distinct scores, rising; of more than MOST_THRESHOLDS, so many at even ranks."""
    distinct = np.unique(score)
    if len(distinct) <= MOST_THRESHOLDS:
        return distinct
    ranks = np.linspace(0, len(distinct) - 1, MOST_THRESHOLDS).round().astype(np.int64)
    return np.asarray(distinct[ranks])
