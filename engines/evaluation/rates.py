"""Rates a minute with exact intervals, and the most false alarms that thresholds may give.

Not from the papers.
"""

from __future__ import annotations

from typing import NamedTuple

CONFIDENCE = 0.95
MINUTE_S = 60.0


class AlarmLimits(NamedTuple):
    """The operating point: most false alarms a minute, and the upper end of their interval."""

    per_min: float = 0.2
    high: float = 0.3

    def hold(self, per_min: float, high: float) -> bool:
        """Whether a rate, and the upper end of its interval, are within the limits."""
        return per_min <= self.per_min and high <= self.high


OPERATING_POINT = AlarmLimits()  # what shipped thresholds may give on validation data


class MinuteRate(NamedTuple):
    """Events a minute, and the ends of their exact interval."""

    rate: float
    low: float
    high: float


def rate_per_min(count: int, seconds: float) -> MinuteRate | None:
    """The rate of `count` events in `seconds`; None without any time."""
    if not seconds:
        return None
    minutes = seconds / MINUTE_S
    low, high = poisson_interval(count)
    return MinuteRate(count / minutes, low / minutes, high / minutes)


def poisson_interval(count: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Exact two-sided interval of the mean of a Poisson variable with one count (Garwood 1936)."""
    from scipy.special import gammaincinv  # here, for its import takes a fifth of a second

    tail = (1 - confidence) / 2
    low = float(gammaincinv(count, tail)) if count else 0.0
    return low, float(gammaincinv(count + 1, 1 - tail))
