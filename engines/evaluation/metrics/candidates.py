"""Rows of two tables as arrays, and all pairs of a true and a spotted interval that overlap enough.

Shape letters: T true rows, F spotted rows, K pairs. Rows are put into one order first, so that the
order of a table decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...data.annotations import Interval
from ...errors import DataError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
MOST_FRAME = 1 << 36  # 22 years at 100 Hz; keys of (group, frame) stay within 64 bits
MOST_PAIRS = 1 << 22  # looked at in one go: bounds memory


@dataclass(frozen=True)
class Columns:
    """Rows (N,) as arrays: group (video and type), onset, offset, score; NaN without a score.

    rank: of a row in the one order of its table, which does not depend on the table's order.
    """

    group: Ints
    onset: Ints
    offset: Ints
    score: Floats
    rank: Ints


@dataclass(frozen=True)
class Candidates:
    """Pairs (K,) of row numbers that reach an IoU, by truth and then found; overlap: their IoU."""

    truth: Ints
    found: Ints
    overlap: Floats

    def at(self, iou: float) -> Candidates:
        """Those that reach a higher IoU."""
        enough = self.overlap >= iou
        return Candidates(self.truth[enough], self.found[enough], self.overlap[enough])


def group_key(
    truth: Sequence[Interval], found: Sequence[Interval]
) -> Callable[[Interval], tuple[str, ...]]:
    """What the rows of one video and type share: subject where every row has one, video, type.

    Raises DataError where two subjects have a video of one name and some row has no subject.
    """
    if named(truth) and named(found):
        return attrgetter("subject", "video", "type")
    subjects: dict[str, str] = {}
    for row in truth:
        if row.subject and subjects.setdefault(row.video, row.subject) != row.subject:
            raise DataError(
                f"video {row.video!r} is of subjects {subjects[row.video]!r} and {row.subject!r}: "
                "give every row of both tables its subject"
            )
    return attrgetter("video", "type")


def named(rows: Sequence[Interval]) -> bool:
    """Whether every row has a subject."""
    return all(map(attrgetter("subject"), rows))


def columns(
    rows: Sequence[Interval],
    key: Callable[[Interval], tuple[str, ...]],
    codes: dict[tuple[str, ...], int],
) -> Columns:
    """Arrays of rows; `codes` numbers the groups, and learns new ones. Raises DataError."""
    keys = list(map(key, rows))
    for each in dict.fromkeys(keys):
        codes.setdefault(each, len(codes))
    group = _ints(list(map(codes.__getitem__, keys)))
    onset = _ints(list(map(attrgetter("onset"), rows)))
    offset = _ints(list(map(attrgetter("offset"), rows)))
    score = np.array([np.nan if row.score is None else row.score for row in rows], np.float64)
    said = [row.label or "" for row in rows]
    if any(map(attrgetter("units"), rows)):
        said = [f"{row.label or ''} {row.units}" for row in rows]
    places = {text: place for place, text in enumerate(sorted(set(said)))}
    label = _ints([places[text] for text in said])
    apex = _ints([-MOST_FRAME if row.apex is None else row.apex for row in rows])
    order = np.lexsort((apex, label, -np.nan_to_num(score), offset, onset, group))
    rank = np.empty(len(rows), np.int64)
    rank[order] = np.arange(len(rows))
    return Columns(group, onset, offset, score, rank)


def _ints(values: list[int]) -> Ints:
    try:
        found = np.array(values, np.int64)
    except OverflowError:
        found = np.array([MOST_FRAME + 1], np.int64)
    if len(found) and max(-int(found.min()), int(found.max())) > MOST_FRAME:
        raise DataError(f"a frame lies beyond {MOST_FRAME}: are these frames of a video?")
    return found


def candidates(truth: Columns, found: Columns, iou: float) -> Candidates:
    """All pairs of one group whose IoU, with both end frames counted, is at least `iou`.

    An interval of n frames overlaps so much only with one that begins at most n (1 / iou - 1)
    frames before it or n (1 - iou) after it: only these are looked at.
    """
    by_truth = np.lexsort((truth.rank, truth.onset, truth.group))
    key = _key(truth.group, truth.onset)[by_truth]
    length = found.offset - found.onset + 1
    before = np.minimum(length * (1 / iou - 1), MOST_FRAME).astype(np.int64) + 1
    after = (length * (1 - iou)).astype(np.int64) + 1
    first = np.searchsorted(key, _key(found.group, found.onset - before), "left")
    last = np.searchsorted(key, _key(found.group, found.onset + after), "right")
    parts = [
        _overlapping(truth, found, by_truth, first, last, part, iou)
        for part in _parts(last - first)
    ]
    t, f, overlap = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    order = np.lexsort((found.rank[f], truth.rank[t]))
    return Candidates(t[order], f[order], overlap[order])


def _key(group: Ints, frame: Ints) -> Ints:
    """One number that sorts by group and then by frame, whatever the frame."""
    within = np.clip(frame, -MOST_FRAME, MOST_FRAME) + MOST_FRAME
    return np.asarray(group * (2 * MOST_FRAME + 1) + within, np.int64)


def _parts(counts: Ints) -> Iterator[slice]:
    """Slices of the found rows with about MOST_PAIRS pairs each, one at least."""
    total = np.cumsum(counts)
    start = 0
    while True:
        done = int(total[start - 1]) if start else 0
        stop = max(int(np.searchsorted(total, done + MOST_PAIRS, "right")), start + 1)
        yield slice(start, stop)
        start = stop
        if start >= len(counts):
            return


def _overlapping(
    truth: Columns,
    found: Columns,
    by_truth: Ints,
    first: Ints,
    last: Ints,
    part: slice,
    iou: float,
) -> tuple[Any, ...]:
    """Pairs of the found rows of a part that reach `iou`: truth (K,), found (K,), overlap (K,)."""
    counts = (last - first)[part]
    f = np.repeat(np.arange(len(found.group))[part], counts)
    steps = np.arange(len(f)) - np.repeat(np.cumsum(counts) - counts, counts)
    t = by_truth[np.repeat(first[part], counts) + steps]
    begin = np.maximum(truth.onset[t], found.onset[f])
    end = np.minimum(truth.offset[t], found.offset[f])
    shared = np.maximum(end - begin + 1, 0)
    lengths = (truth.offset - truth.onset + 1)[t] + (found.offset - found.onset + 1)[f]
    overlap = shared / (lengths - shared)
    enough = overlap >= iou
    return t[enough], f[enough], overlap[enough]
