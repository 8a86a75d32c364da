"""Intervals on the tick axis: IoU, non-maximum suppression (Numba), offset encoding.

Intervals are half-open [start, stop) in ticks, float64; nothing is rounded before an Event is made.
The order of every decision is score descending, then start, then stop, so that no result depends on
the order of the input.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import UsageError
from .specs import NMS_RULES

Floats = NDArray[np.float64]

# Clamps of the regression offsets r1 and r2: nothing reachable at IoU >= 0.5 is lost; not from the
# paper.
R1_RANGE = (-1.0, 0.5)
R2_RANGE = (-0.5, 1.0)


@dataclass(frozen=True, eq=False)
class Intervals:
    """Struct of arrays: `start`, `stop` in ticks (half-open), `score` in 0..1; all (P,) float64."""

    start: Floats
    stop: Floats
    score: Floats

    def __post_init__(self) -> None:
        if not self.start.shape == self.stop.shape == self.score.shape or self.start.ndim != 1:
            raise ValueError(
                f"Intervals: shapes {self.start.shape}, {self.stop.shape} and {self.score.shape}, "
                "expected one (P,)"
            )
        if np.any(self.stop < self.start):
            raise ValueError("Intervals: a stop lies before its start")

    @classmethod
    def of(cls, start: ArrayLike, stop: ArrayLike, score: ArrayLike) -> Self:
        """Intervals from anything array-like."""
        return cls(*(np.asarray(x, np.float64).reshape(-1) for x in (start, stop, score)))

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, keep: NDArray[np.int64]) -> Intervals:
        return Intervals(self.start[keep], self.stop[keep], self.score[keep])


class Candidate(NamedTuple):
    """A window that passed T_CRN: last tick, scale, refined [start, stop) in ticks and score.

    floor: the threshold that it had to pass where that is above the T_CRN of its spec; what soft
    suppression leaves of its score has to reach it too.
    """

    end: int
    scale: int
    start: float
    stop: float
    score: float
    floor: float = 0.0

    @property
    def rank(self) -> tuple[float, float, float]:
        """Sort key, best first: score descending, then start, then stop."""
        return -self.score, self.start, self.stop


def iou(a_start: ArrayLike, a_stop: ArrayLike, b_start: ArrayLike, b_stop: ArrayLike) -> Floats:
    """Intersection over union of half-open intervals, broadcast; 0 for disjoint or empty ones."""
    a0, a1, b0, b1 = (np.asarray(x, np.float64) for x in (a_start, a_stop, b_start, b_stop))
    inter = np.maximum(0.0, np.minimum(a1, b1) - np.maximum(a0, b0))
    union = (a1 - a0) + (b1 - b0) - inter
    return np.asarray(np.divide(inter, union, out=np.zeros_like(inter * union), where=union > 0))


def nms(
    intervals: Intervals, threshold: float, rule: str = "greedy", floor: ArrayLike = 0.0
) -> tuple[NDArray[np.int64], Floats]:
    """Keep the best of overlapping intervals [S1 M37]: (indices best first, their scores).

    Exact duplicates (same start and stop) merge into the best. Raises UsageError for an unknown
    rule. The rules:

        greedy   an interval is dropped where a kept, better one has IoU >= threshold
        author   it is dropped where any other has IoU >= threshold and a higher score, kept or not
        soft     scores of overlapping intervals decay by 1 - IoU; those below `floor`, one number
                 or one of each interval (P,), are dropped
    """
    if rule not in NMS_RULES:
        raise UsageError(f"nms rule {rule!r}: choose one of {', '.join(NMS_RULES)}")
    order = np.lexsort((intervals.stop, intervals.start, -intervals.score))
    ordered = intervals[order]
    if rule == "soft":
        floors = np.broadcast_to(np.asarray(floor, np.float64), order.shape)[order]
        keep, scores = _compiled(_soft)(
            ordered.start, ordered.stop, ordered.score, threshold, floors
        )
        return order[keep], scores
    suppress = _compiled(_greedy if rule == "greedy" else _author)
    keep = suppress(ordered.start, ordered.stop, ordered.score, threshold)
    return order[keep], ordered.score[keep]


@functools.cache
def _compiled(rule: Callable[..., Any]) -> Callable[..., Any]:
    """`rule` compiled by Numba at its first use, in about 0.7 s.

    Numba's cache on disk would save half of that and leave files among ours: what pip does not
    know it does not remove, and the folder that stays hides an editable install.
    """
    import numba
    from numba.extending import register_jitable

    register_jitable(_iou)
    compiled: Callable[..., Any] = numba.njit(rule)
    return compiled


def _iou(s0: float, e0: float, s1: float, e1: float) -> float:
    inter = min(e0, e1) - max(s0, s1)
    if inter <= 0.0:
        return 0.0
    return inter / ((e0 - s0) + (e1 - s1) - inter)


def _greedy(start: Floats, stop: Floats, score: Floats, threshold: float) -> NDArray[np.int64]:
    keep = np.empty(len(start), np.int64)
    kept = 0
    for i in range(len(start)):
        free = True
        for k in range(kept):
            j = keep[k]
            overlap = _iou(start[i], stop[i], start[j], stop[j])
            if (overlap > 0.0 and overlap >= threshold) or (
                start[i] == start[j] and stop[i] == stop[j]
            ):
                free = False
                break
        if free:
            keep[kept] = i
            kept += 1
    return keep[:kept]


def _author(start: Floats, stop: Floats, score: Floats, threshold: float) -> NDArray[np.int64]:
    keep = np.empty(len(start), np.int64)
    kept = 0
    for i in range(len(start)):
        free = True
        for j in range(i):
            overlap = _iou(start[i], stop[i], start[j], stop[j])
            beaten = score[j] > score[i] and overlap > 0.0 and overlap >= threshold
            if beaten or (start[i] == start[j] and stop[i] == stop[j]):
                free = False
                break
        if free:
            keep[kept] = i
            kept += 1
    return keep[:kept]


def _soft(
    start: Floats, stop: Floats, score: Floats, threshold: float, floor: Floats
) -> tuple[NDArray[np.int64], Floats]:
    left = score.copy()
    alive = np.ones(len(start), np.bool_)
    keep = np.empty(len(start), np.int64)
    kept = 0
    for _ in range(len(start)):
        best = -1
        for i in range(len(start)):
            # Inputs come ordered, so the first of equal scores wins: start, then stop.
            if alive[i] and (best < 0 or left[i] > left[best]):
                best = i
        if best < 0:
            break
        alive[best] = False
        if left[best] < floor[best]:
            continue
        keep[kept] = best
        kept += 1
        for i in range(len(start)):
            if alive[i]:
                if start[i] == start[best] and stop[i] == stop[best]:
                    alive[i] = False
                    continue
                overlap = _iou(start[i], stop[i], start[best], stop[best])
                if overlap > 0.0 and overlap >= threshold:
                    left[i] *= 1.0 - overlap
    return keep[:kept], left[keep[:kept]]


def encode(start: ArrayLike, stop: ArrayLike, onset: ArrayLike, offset: ArrayLike) -> Floats:
    """Regression targets (P, 2): r1 = (onset - a) / w, r2 = (offset - b) / w; inverts [S1 M32]."""
    a, b, first, last = (np.asarray(x, np.float64) for x in (start, stop, onset, offset))
    width = b - a
    return np.stack([(first - a) / width, (last - b) / width], axis=-1)


def decode(start: ArrayLike, stop: ArrayLike, offsets: ArrayLike) -> tuple[Floats, Floats]:
    """[a + r1 w, b + r2 w) of windows [a, b), w = b - a, for offsets (P, 2) = (r1, r2) [S1 M32].

    Offsets are clamped to the reachable range, starts to that of the segment.
    """
    a = np.asarray(start, np.float64)
    b = np.asarray(stop, np.float64)
    r = np.asarray(offsets, np.float64)
    width = b - a
    onset = np.maximum(a + np.clip(r[..., 0], *R1_RANGE) * width, 0.0)
    return onset, np.maximum(b + np.clip(r[..., 1], *R2_RANGE) * width, onset)


def rounded(x: float) -> int:
    """floor(x + 0.5): the one rounding from float ticks to whole ticks, when an Event is made."""
    return math.floor(x + 0.5)
