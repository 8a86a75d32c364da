"""False alarms a minute: exact intervals, and the most that thresholds may give.

Not from the papers.
"""

from __future__ import annotations

from typing import NamedTuple

CONFIDENCE = 0.95


class AlarmLimits(NamedTuple):
    """The operating point: most false alarms a minute, and the upper end of their interval."""

    per_min: float = 0.2
    high: float = 0.3

    def hold(self, per_min: float, high: float) -> bool:
        """Whether a rate, and the upper end of its interval, are within the limits."""
        return per_min <= self.per_min and high <= self.high


OPERATING_POINT = AlarmLimits()  # what shipped thresholds may give on validation data


def poisson_interval(count: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Exact two-sided interval of the mean of a Poisson variable with one count (Garwood 1936)."""
    from scipy.special import gammaincinv  # here, for its import takes a fifth of a second

    tail = (1 - confidence) / 2
    low = float(gammaincinv(count, tail)) if count else 0.0
    return low, float(gammaincinv(count + 1, 1 - tail))
