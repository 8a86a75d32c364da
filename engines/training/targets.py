"""Label assignment of MESNet: which window is an ME, and where its true boundaries lie. numpy only.

Intervals are half-open [start, stop) in ticks. An annotated ME covers its onset and offset frames,
so it is [onset, offset + 1). Only micro-expressions are truths: macro-expressions, blinks and
speech are negatives [S1 M7]. Thresholds, ratios and jitter are those of `Assignment`; they are not
from the paper.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..clips import window_bounds
from ..errors import UsageError
from ..intervals import encode, iou
from ..specs import SpotterSpec

Labels = NDArray[np.int8]
Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]

POSITIVE = 1
NEGATIVE = 0
IGNORED = -1
ODDS_EDGE = 1e-3  # scores are limited to [ODDS_EDGE, 1 - ODDS_EDGE] where samples are drawn by odds


@dataclass(frozen=True)
class Assignment:
    """How windows become training samples; none of these numbers is from the paper."""

    positive_iou: float = 0.5
    negative_iou: float = 0.4  # between the two a window is neither
    jitter: float = 0.3  # of the length, each boundary of a copied truth
    copies: int = 1  # jittered copies per truth
    positives: int = 12  # CRN samples per segment, at most
    negatives_per_positive: float = 2.0
    negatives: int = 24  # CRN samples of a segment, at least
    hard_share: float = 0.5  # of the negatives, drawn by CPN's odds

    def __post_init__(self) -> None:
        if not 0 <= self.negative_iou <= self.positive_iou <= 1:
            raise UsageError(
                f"IoU limits {self.negative_iou}, {self.positive_iou}: "
                "expected 0 <= negative <= positive <= 1"
            )


@dataclass(frozen=True, eq=False)
class Truths:
    """The MEs of a segment in ticks: onset, offset (G,) as [onset, offset).

    Windows that would be positive for a `doubtful` one (G,) train nothing.
    """

    onset: Floats
    offset: Floats
    doubtful: Flags

    @classmethod
    def of(cls, onset: ArrayLike, offset: ArrayLike, doubtful: ArrayLike | None = None) -> Self:
        """Truths from anything that makes arrays; without `doubtful` none is."""
        first = np.asarray(onset, np.float64)
        last = np.asarray(offset, np.float64)
        flags = np.zeros(first.shape, bool) if doubtful is None else np.asarray(doubtful, bool)
        return cls(first, last, flags)

    def __getitem__(self, chosen: Flags) -> Truths:
        return Truths(self.onset[chosen], self.offset[chosen], self.doubtful[chosen])


@dataclass(frozen=True, eq=False)
class Samples:
    """CRN's training samples: start, stop (P,) in ticks, labels (P,) 0 or 1, targets (P, 2).

    The targets of non-MEs are NaN.
    """

    start: Floats
    stop: Floats
    labels: Labels
    targets: Floats


def best_overlap(
    start: ArrayLike, stop: ArrayLike, truths: Truths
) -> tuple[Floats, NDArray[np.int64]]:
    """The largest IoU of each window with a truth (G,), and which truth; 0 and 0 without truths.

    Windows may have any shape; both results have it too.
    """
    a = np.asarray(start, np.float64)
    b = np.asarray(stop, np.float64)
    if len(truths.onset) == 0:
        return np.zeros(a.shape), np.zeros(a.shape, np.int64)
    overlaps = iou(a[..., None], b[..., None], truths.onset, truths.offset)  # (..., G)
    return overlaps.max(-1), overlaps.argmax(-1)


def labels_of(overlap: Floats, rule: Assignment) -> Labels:
    """1 where IoU >= positive_iou, 0 where IoU < negative_iou, -1 (ignored) between."""
    labels = np.full(overlap.shape, IGNORED, np.int8)
    labels[overlap < rule.negative_iou] = NEGATIVE
    labels[overlap >= rule.positive_iou] = POSITIVE
    return labels


def proposal_labels(spec: SpotterSpec, n: int, truths: Truths, rule: Assignment) -> Labels:
    """CPN's labels (M, n) by scale and last tick [S1 M26].

    Windows that leave the segment, and those that would be positive for a doubtful ME, are ignored.
    """
    start, stop = window_bounds(spec, n)
    overlap, which = best_overlap(start, stop, truths)
    labels = _without_doubtful(labels_of(overlap, rule), which, truths)
    labels[start < 0] = IGNORED
    return labels


def _without_doubtful(labels: Labels, which: NDArray[np.int64], truths: Truths) -> Labels:
    """Labels with the positives of doubtful truths ignored; which: the truth of each window."""
    if truths.doubtful.any():
        labels[(labels == POSITIVE) & truths.doubtful[which]] = IGNORED
    return labels


def refiner_targets(
    start: ArrayLike, stop: ArrayLike, truths: Truths, rule: Assignment
) -> tuple[Labels, Floats]:
    """CRN's labels (P,) and targets (P, 2) for windows [a, b) of length w [S1 M29, M32].

    Targets are r1* = (onset - a) / w and r2* = (offset - b) / w, NaN for non-MEs.
    """
    overlap, which = best_overlap(start, stop, truths)
    labels = _without_doubtful(labels_of(overlap, rule), which, truths)
    targets = np.full((*labels.shape, 2), np.nan)
    hit = labels == POSITIVE
    if hit.any():
        a = np.asarray(start, np.float64)[hit]
        b = np.asarray(stop, np.float64)[hit]
        targets[hit] = encode(a, b, truths.onset[which[hit]], truths.offset[which[hit]])
    return labels, targets


def jittered(
    truths: Truths, n: int, spec: SpotterSpec, rule: Assignment, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """(start, stop), each (P,), of the truths inside [0, n) and of their jittered copies.

    Rounded to whole ticks as windows are; doubtful truths are left out.
    """
    inside = truths[~truths.doubtful & (np.rint(truths.onset) >= 0) & (np.rint(truths.offset) <= n)]
    a = np.repeat(inside.onset, rule.copies + 1)
    b = np.repeat(inside.offset, rule.copies + 1)
    moves = rng.uniform(-rule.jitter, rule.jitter, (2, len(a))) * (b - a)
    moves[:, :: rule.copies + 1] = 0
    start = np.clip(np.rint(a + moves[0]), 0, n)
    stop = np.clip(np.rint(b + moves[1]), 0, n)
    long_enough = stop - start >= spec.min_ticks
    return start[long_enough], stop[long_enough]


def refiner_samples(
    spec: SpotterSpec,
    scores: NDArray[np.float32],
    truths: Truths,
    rule: Assignment,
    rng: np.random.Generator,
) -> Samples:
    """Draw CRN's samples of one segment from CPN's scores (M, n) for its windows.

    Positives: the truths with their jittered copies, and windows of IoU >= positive_iou by CPN's
    odds, since CRN gets those that pass T_CPN. Negatives, in proportion: `hard_share` by CPN's
    odds, the rest evenly.
    """
    n = scores.shape[1]
    start, stop = window_bounds(spec, n)
    labels = proposal_labels(spec, n, truths, rule)
    extra = jittered(truths, n, spec, rule, rng)
    positive = _by_odds(
        np.flatnonzero(labels == POSITIVE), scores, rule.positives - len(extra[0]), rng
    )
    count = len(positive) + len(extra[0])
    wanted = max(round(rule.negatives_per_positive * count), rule.negatives)
    negative = np.flatnonzero(labels == NEGATIVE)
    hard = _by_odds(negative, scores, round(wanted * rule.hard_share), rng)
    rest = rng.permutation(np.setdiff1d(negative, hard))[: wanted - len(hard)]
    picked = np.concatenate([positive, hard, rest])
    a = np.concatenate([extra[0], start.reshape(-1)[picked]])
    b = np.concatenate([extra[1], stop.reshape(-1)[picked]])
    kinds, targets = refiner_targets(a, b, truths, rule)
    used = kinds != IGNORED
    return Samples(a[used], b[used], kinds[used], targets[used])


def _by_odds(
    windows: NDArray[np.int64], scores: NDArray[np.float32], count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw at most `count` of the windows, each with its odds of being an ME.

    windows: flat indices into scores.
    """
    likely = np.clip(scores.reshape(-1)[windows].astype(np.float64), ODDS_EDGE, 1 - ODDS_EDGE)
    odds = likely / (1 - likely)
    size = min(max(count, 0), len(windows))
    return rng.choice(windows, size, replace=False, p=odds / odds.sum()) if size else windows[:0]
