"""False alarms a minute: exact intervals, and the most that thresholds may give.

Not from the papers.
"""

from __future__ import annotations

import math
from typing import NamedTuple

CONFIDENCE = 0.95
BISECTIONS = 60


class AlarmLimits(NamedTuple):
    """The operating point: most false alarms a minute, and the upper end of their interval."""

    per_min: float = 0.2
    high: float = 0.3


OPERATING_POINT = AlarmLimits()  # what shipped thresholds may give on validation data


def poisson_interval(count: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Exact two-sided interval of the mean of a Poisson variable with one count (Garwood)."""
    tail = (1 - confidence) / 2
    low = 0.0 if count == 0 else _solve(count - 1, 1 - tail)
    return low, _solve(count, tail)


def _solve(count: int, probability: float) -> float:
    """The mean at which P(X <= count) is `probability`, by bisection; P falls as it grows."""
    low = 0.0
    high = 20.0 + 3.0 * count
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        below = sum(
            math.exp(i * math.log(middle) - middle - math.lgamma(i + 1)) for i in range(count + 1)
        )
        if below > probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2
