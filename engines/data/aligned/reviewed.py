"""What is kept of a recording around events that somebody decided, to train on.

Nobody has looked at what lies farther away, nor at undecided events: neither is kept. Not from the
papers.
"""

from __future__ import annotations

from collections.abc import Iterable

AROUND_S = 5.0  # on each side of a decided event
APART_S = 0.5  # on each side of an undecided one, which is left out
LEAST_FRAMES = 30  # of a piece

Span = tuple[float, float]  # first and last moment of an event, in s of stream time


def is_kept(at_s: float, decided: Iterable[Span], undecided: Iterable[Span]) -> bool:
    """Whether a frame is near a decided event and in no undecided one."""
    near = any(first - AROUND_S <= at_s <= last + AROUND_S for first, last in decided)
    return near and not any(first - APART_S <= at_s <= last + APART_S for first, last in undecided)
