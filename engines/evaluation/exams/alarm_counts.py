"""Counts of false alarms: per minute with an exact interval, and what of them lies on blinks. Not from the papers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...clips import SECOND_NS, nearest_frames
from .mesh_annotation import Flags
from .recordings import SpottingResult

BLINK_REACH_S = 0.1  # around a blink, in which the middle of an alarm counts as on it
SAME_MOMENT_S = 0.5  # of footage: alarms nearer to each other are of one moment
CONFIDENCE = 0.95
BISECTIONS = 60


@dataclass
class Tally:
    """What one category has seen so far; `blinks`, and `on_blinks`: alarms whose middle lies near one.

    `moments` are footage times (clip, ns) of the alarms, `played` the frames (clip, number) that composites showed.
    """

    seconds: float = 0.0
    alarms: int = 0
    blinks: int = 0
    on_blinks: int = 0
    sources: set[str] = field(default_factory=set)
    moments: set[tuple[str, int]] = field(default_factory=set)
    played: set[tuple[str, int]] = field(default_factory=set)
    played_s: float = 0.0

    def report(self) -> dict[str, Any]:
        """minutes, alarms, per_min with the exact interval (low, high) at CONFIDENCE, and what is known of blinks.

        Of composites also `moments`, the different moments of footage that alarmed, and `footage_s`, the seconds of it.
        """
        minutes = self.seconds / 60
        low, high = poisson_interval(self.alarms)
        rates = [round(x / minutes, 3) if minutes else None for x in (self.alarms, low, high)]
        found: dict[str, Any] = {
            "minutes": round(minutes, 3),
            "alarms": self.alarms,
            "sources": len(self.sources),
        }
        found |= dict(zip(("per_min", "low", "high"), rates, strict=True))
        if self.played:
            found |= {"moments": len(_distinct(self.moments)), "footage_s": round(self.played_s, 1)}
        if self.blinks:
            share = round(self.on_blinks / self.blinks, 4)
            found |= {"blinks": self.blinks, "on_blinks": self.on_blinks, "share": share}
        return found


def _distinct(moments: set[tuple[str, int]]) -> list[tuple[str, int]]:
    """The first of every run of moments of one clip that lie nearer than SAME_MOMENT_S."""
    ordered = sorted(moments)
    return [
        (clip, at) for (before, last), (clip, at) in pairwise([("", 0), *ordered])
        if clip != before or at - last > SAME_MOMENT_S * SECOND_NS
    ]  # fmt: skip


def poisson_interval(count: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Exact two-sided interval of the mean of a Poisson variable that was seen once, as `count` (Garwood)."""
    tail = (1 - confidence) / 2
    low = 0.0 if count == 0 else _solve(count - 1, 1 - tail)
    return low, _solve(count, tail)


def _solve(count: int, probability: float) -> float:
    """The mean at which P(X <= count) is `probability`, by bisection: it falls as the mean grows."""
    low, high = 0.0, 20.0 + 3.0 * count
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        terms = (
            math.exp(i * math.log(middle) - middle - math.lgamma(i + 1)) for i in range(count + 1)
        )
        low, high = (middle, high) if sum(terms) > probability else (low, middle)
    return (low + high) / 2


def middles(verdict: SpottingResult, grid_hz: int) -> NDArray[np.int64]:
    """The frame of the take nearest to the middle of each found interval."""
    ticks = (verdict.found.start + verdict.found.stop - 1) / 2
    return nearest_frames(
        verdict.take.times_ns, verdict.take.times_ns[0] + ticks * SECOND_NS / grid_hz
    )


def on_blinks(verdict: SpottingResult, blink: Flags, grid_hz: int) -> int:
    """Alarms whose middle lies in a blink or within BLINK_REACH_S of one."""
    at = verdict.take.times_ns
    away = np.abs(at[middles(verdict, grid_hz)][:, None] - at[blink][None, :])
    return int((away.min(1, initial=SECOND_NS) <= BLINK_REACH_S * SECOND_NS).sum())
