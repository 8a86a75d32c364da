"""Trials: the window after each marker, for how long a face was seen in it, what was spotted.

A window begins with its marker and ends `window_s` later, or with the next marker. So no moment is
in two windows, and an event belongs to the last marker before its onset. The value of a marker is
its condition. Not from the papers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby, pairwise
from math import inf

import numpy as np
from numpy.typing import NDArray

WINDOW_S = 5.0  # the usual length of a response to a picture or a word
JOIN = "; "  # between the values of markers at one time


@dataclass(frozen=True)
class Trial:
    """One window, from start_s to stop_s.

    seen_s: for how long a face was seen in it, of several faces their sum; latencies: s from the
    marker to the onset of each event, by its id.
    """

    condition: str
    start_s: float
    stop_s: float
    seen_s: float
    latencies: dict[str, float]


def trials(
    markers: Iterable[tuple[float, str]],
    onsets_s: Mapping[str, float],
    seen_s: NDArray[np.float64],
    tick_s: float,
    window_s: float = WINDOW_S,
) -> list[Trial]:
    """The trials of a recording, in order of time.

    markers: time and value of each; onsets_s: of the events, by id; seen_s: times of the ticks at
    which a face was seen, tick_s apart.
    """
    found = []
    for (start_s, condition), (next_s, _) in pairwise([*_joined(markers), (inf, "")]):
        stop_s = min(start_s + window_s, next_s)
        inside = (seen_s >= start_s) & (seen_s < stop_s)
        seconds = float(np.count_nonzero(inside)) * tick_s
        latencies = {
            name: onset_s - start_s
            for name, onset_s in onsets_s.items()
            if start_s <= onset_s < stop_s
        }
        found.append(Trial(condition, start_s, stop_s, seconds, latencies))
    return found


def by_condition(found: Iterable[Trial]) -> dict[str, list[Trial]]:
    """The trials of each condition, in order of their names."""
    ordered = sorted(found, key=lambda trial: trial.condition)
    return {name: list(group) for name, group in groupby(ordered, lambda trial: trial.condition)}


def _joined(markers: Iterable[tuple[float, str]]) -> list[tuple[float, str]]:
    """Markers by time, those at one time as one."""
    times = groupby(sorted(markers), lambda marker: marker[0])
    return [(at_s, JOIN.join(value for _, value in group)) for at_s, group in times]
