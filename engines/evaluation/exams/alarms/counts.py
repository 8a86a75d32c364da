"""Counts of false alarms: per minute with an exact interval, and how many lie on blinks.

Not from the papers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....clips import SECOND_NS, nearest_frames
from ...rates import poisson_interval
from ..mesh_annotation import Flags
from ..recordings import SpottingResult

BLINK_REACH_S = 0.1  # around a blink, in which the middle of an alarm counts as on it
SAME_MOMENT_S = 0.5  # of footage: alarms nearer to each other are of one moment


@dataclass
class AlarmCounts:
    """The counts of one category so far.

    on_blinks: alarms whose middle lies near a blink. moments: footage times (clip, ns) of the
    alarms. frames: frames (clip, number) of footage that composites showed, footage_s: how long
    they last.
    """

    seconds: float = 0.0
    alarms: int = 0
    blinks: int = 0
    on_blinks: int = 0
    sources: set[str] = field(default_factory=set)
    moments: set[tuple[str, int]] = field(default_factory=set)
    frames: set[tuple[str, int]] = field(default_factory=set)
    footage_s: float = 0.0

    def report(self) -> dict[str, Any]:
        """The counts as a report.

        It has minutes, alarms, sources, and per_min with its exact interval (low, high) at
        95 %; of composites also `moments`, the different moments of footage that alarmed, and
        `footage_s`; where there are blinks their number, the alarms on them and their share.
        """
        minutes = self.seconds / 60
        low, high = poisson_interval(self.alarms)
        found: dict[str, Any] = {
            "minutes": round(minutes, 3),
            "alarms": self.alarms,
            "sources": len(self.sources),
        }
        for name, count in (("per_min", self.alarms), ("low", low), ("high", high)):
            found[name] = round(count / minutes, 3) if minutes else None
        if self.frames:
            found["moments"] = len(_distinct(self.moments))
            found["footage_s"] = round(self.footage_s, 1)
        if self.blinks:
            share = round(self.on_blinks / self.blinks, 4)
            found |= {"blinks": self.blinks, "on_blinks": self.on_blinks, "share": share}
        return found


def _distinct(moments: set[tuple[str, int]]) -> list[tuple[str, int]]:
    """The first of each group of moments of one clip that lie nearer than SAME_MOMENT_S."""
    firsts = []
    for (before, last), (clip, at) in pairwise([("", 0), *sorted(moments)]):
        if clip != before or at - last > SAME_MOMENT_S * SECOND_NS:
            firsts.append((clip, at))
    return firsts


def middles(result: SpottingResult, grid_hz: int) -> NDArray[np.int64]:
    """The frame of the recording nearest to the middle of each found interval."""
    ticks = (result.found.start + result.found.stop - 1) / 2
    times = result.recording.times_ns
    return nearest_frames(times, times[0] + ticks * SECOND_NS / grid_hz)


def on_blinks(result: SpottingResult, blink: Flags, grid_hz: int) -> int:
    """How many alarms have their middle in a blink or within BLINK_REACH_S of one."""
    at = result.recording.times_ns
    away = np.abs(at[middles(result, grid_hz)][:, None] - at[blink][None, :])
    near = away.min(1, initial=SECOND_NS) <= BLINK_REACH_S * SECOND_NS
    return int(np.count_nonzero(near))
