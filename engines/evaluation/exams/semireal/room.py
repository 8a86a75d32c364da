"""Where in a clip MEs may be, and how many of each person.

Not from the papers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ....clips import SECOND_NS
from ....data.footage import Footage
from ..mesh_annotation import Annotation, runs

CLEAR_S = 0.1  # between an ME and the ends of its quiet part
LEAD_S = 0.5  # between an ME and the ends of the aligned segment, which the lags reach over
LEAST_S = 0.2  # of a part
MOST_SHARE = 0.3  # of a row's MEs that may lie on one person
MOST_PER_S = 35.0  # MEs per second of a person's room, each in a play of its own


class Span(NamedTuple):
    """A part of a clip where MEs may be, in s; row: the aligned frame that it begins at."""

    from_s: float
    to_s: float
    row: int

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.to_s - self.from_s


def spans_of(footage: Footage, annotation: Annotation, upper: bool) -> list[Span]:
    """The parts of a clip in which all is quiet, or only the upper face (`upper`)."""
    flags = annotation.upper_quiet if upper else annotation.quiet
    at = footage.at_ns / SECOND_NS
    found = []
    for rows in footage.segments():
        earliest = float(at[rows[0]]) + LEAD_S
        latest = float(at[rows[1] - 1]) - LEAD_S
        for first, stop in runs(flags, rows):
            from_s = max(float(at[first]) + CLEAR_S, earliest)
            to_s = min(float(at[stop - 1]) - CLEAR_S, latest)
            if to_s - from_s >= LEAST_S:
                found.append(Span(from_s, to_s, first))
    return found


def place(rng: np.random.Generator, spans: list[Span], seconds: float) -> tuple[Span, float] | None:
    """A span and an onset (s) in it for an ME of `seconds`, evenly over all room; None without."""
    free = np.array([max(span.seconds - seconds, 0.0) for span in spans])
    if not free.sum():
        return None
    span = spans[rng.choice(len(spans), p=free / free.sum())]
    return span, float(rng.uniform(span.from_s, span.to_s - seconds))


def allotted(room_s: Mapping[str, float], wanted: int) -> dict[str, int]:
    """MEs of each person: `wanted` in all at most, none over MOST_SHARE of what there is.

    room_s: seconds of room of each person. Fewer rather than more of one: where fewer than four
    have room, all get as many as the one with the least, which is more than that share.
    """
    most = {person: int(seconds * MOST_PER_S) for person, seconds in room_s.items()}
    most = {person: count for person, count in most.items() if count}
    for limit in range(wanted, 0, -1):
        counts = {person: min(count, limit) for person, count in most.items()}
        total = sum(counts.values())
        if total <= wanted and max(counts.values(), default=0) <= MOST_SHARE * total:
            return counts
    least = min(most.values(), default=0)
    return dict.fromkeys(most, min(least, wanted // max(len(most), 1)))
