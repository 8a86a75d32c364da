"""Which movement is a micro-expression (ME), and when it begins, peaks and ends.

One rule for every family of movements, synthetic or warped into real video. An ME rises to its peak
within RISE_S and falls below HALF of it within RETURN_S of its onset; it ends where that return
slows below a tenth of its fastest, at most RETURN_S after onset. A movement that keeps more than
HELD of its peak is a held expression, no ME; between HALF and HELD nobody can say, and neither
training nor examinations count it. Levels are those above the slow course of the expression that
the movement lies on, and without a tremor. Durations follow the field's definition (onset within
0.26 s and end within 0.5 s: Yan et al. 2013); the rule itself is not from the papers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

RISE_S = 0.3  # from onset to peak, at most
RETURN_S = 0.5  # from onset to the end, at most
HALF = 0.5  # of the peak: an ME falls below it
HELD = 0.7  # of the peak: what keeps more is held
SLOW = 0.1  # of the fastest return: what is slower is the end
STEP_S = 0.001  # between the samples of a curve
PEAK = 0.999  # of the highest sample: the peak is where this is first reached

# Of an ME's course, as a set keeps it: levels every LEVEL_NS from its onset on.
LEVEL_NS = 20_000_000
LEVELS = 51  # a second, since what is spotted may begin and end beside the ME
LEVEL_DIGITS = 3

MICRO = "micro"
DOUBTFUL = "doubtful"
MACRO = "macro"


class Truth(NamedTuple):
    """What a movement is (micro, doubtful or macro) and its onset, apex and offset in s."""

    kind: str
    onset: float
    apex: float
    offset: float


def truth_of(curve: Callable[[float], float], onset: float, stop: float) -> Truth:
    """The truth of a movement whose level above its slow course at time t (s) is `curve(t)`.

    It begins at `onset` and is over at `stop`, where a held one ends. Not from the papers.
    """
    times = np.arange(onset, stop + STEP_S / 2, STEP_S)
    levels = np.array([curve(float(t)) for t in times])
    peak = levels.max()
    top = int(np.argmax(levels >= PEAK * peak))
    apex = float(times[top])
    last = int(np.searchsorted(times, onset + RETURN_S, side="right")) - 1
    if apex - onset > RISE_S or top >= last:
        return Truth(MACRO, onset, apex, stop)
    returning = levels[top : last + 1] / peak
    kept = float(returning.min())
    if kept > HELD:
        return Truth(MACRO, onset, apex, stop)
    kind = MICRO if kept < HALF else DOUBTFUL
    return Truth(kind, onset, apex, float(times[top + _end_of(returning, max(kept, HALF))]))


def levels_of(curve: Callable[[float], float], onset: float) -> tuple[float, ...]:
    """The course of an ME from its onset (s) on: LEVELS levels, as shares of its highest one.

    They are levels above the slow course, with a tremor where it has one.
    """
    times = onset + np.arange(LEVELS) * (LEVEL_NS / 1e9)
    fine = np.arange(times[0], times[-1], STEP_S)
    peak = max(curve(float(t)) for t in fine)
    return tuple(round(curve(float(t)) / peak, LEVEL_DIGITS) for t in times)


def level_at(levels: Sequence[float], since_ns: ArrayLike) -> NDArray[np.float64]:
    """The level of a course at times since its onset (ns), straight between its levels.

    0 before the onset; the last level after the last one.
    """
    places = np.asarray(since_ns, np.float64) / LEVEL_NS
    return np.asarray(np.interp(places, np.arange(len(levels)), levels, left=0.0), np.float64)


def _end_of(returning: NDArray[np.float64], below: float) -> int:
    """The sample where a return that has come down to `below` slows; the last one if it does not.

    A pause above that level is a step of the return, not its end.
    """
    speed = -np.gradient(returning)
    fastest = int(speed.argmax())
    slow = (speed < SLOW * speed[fastest]) & (returning <= below)
    slow[:fastest] = False
    return int(slow.argmax()) if slow.any() else len(returning) - 1
