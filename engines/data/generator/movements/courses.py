"""How an expression rises and returns: courses in time beside one rise and one fall.

Real movements often return slowly, partly or in two steps. Whether a course is an ME, a held
expression or neither is for `truth` to say. Durations are our own, about those of published
interval tables. Not from the papers.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..timeline import Courses, Curve, rise_and_fall
from ..truth import Truth, truth_of

KINDS = ("plain", "returning", "two_phase", "held_apex", "brief", "trembling")
RISE_S = (0.07, 0.26)  # of a fast onset
RETURN_S = (0.10, 0.40)  # of its return
KEPT_POWER = 1.4  # what stays of a peak is a uniform number to this power: less more often
FADE_S = (0.5, 3.0)  # in which it goes
FIRST_LEVEL = (0.52, 0.85)  # between the two steps of a return: above the half where an ME ends
FIRST_S = (0.06, 0.14)
PAUSE_S = (0.04, 0.12)
SECOND_S = (0.08, 0.18)
SECOND_LEVEL = (0.0, 0.3)
HOLD_S = (0.05, 0.15)  # at the apex
FLANK_S = (0.07, 0.17)  # before and after it
BRIEF_S = (4 / 30, 6 / 30)
BRIEF_APEX = (0.35, 0.65)  # of a brief ME
TREMOR_HZ = (6.0, 11.0)
TREMOR_DEPTH = (0.1, 0.35)


class Course(NamedTuple):
    """A curve and when it is over, in s. reversible: played backward it is as likely.

    steady: the curve without its tremor, where it has one.
    """

    curve: Curve
    stop: float
    reversible: bool
    steady: Curve | None = None

    def truth(self, start: float) -> Truth:
        """What the movement is; a trough of its tremor is no end of it."""
        return truth_of(self.steady or self.curve, start, self.stop)


def draw_course(
    rng: np.random.Generator, courses: Courses, start: float, rise: float, duration: float
) -> Course:
    """A course that begins at `start` (s); rise and duration are those of a plain one."""
    kind = KINDS[0]
    if courses.plain < 1:
        shares = np.array([getattr(courses, name) for name in KINDS])
        kind = KINDS[rng.choice(len(KINDS), p=shares / shares.sum())]
    if kind == "returning":
        return _returning(rng, start)
    if kind == "two_phase":
        return _two_phase(rng, start)
    if kind == "held_apex":
        return _held_apex(rng, start)
    if kind == "brief":
        duration = rng.uniform(*BRIEF_S)
        rise = duration * rng.uniform(*BRIEF_APEX)
    stop = start + duration
    up, down = rng.uniform(0.7, 1.3), rng.uniform(0.7, 1.4)
    curve = rise_and_fall(start, start + rise, stop, up, down)
    if kind == "trembling":
        return Course(_trembling(rng, curve, start + rise), stop, True, steady=curve)
    return Course(curve, stop, True)


def through(*points: tuple[float, float]) -> Curve:
    """A smooth curve through (time in s, level): it rests at every point, and 0 lies beyond them.

    Between two points it is half a cosine.
    """

    def curve(t: float) -> float:
        if not points[0][0] <= t <= points[-1][0]:
            return 0.0
        before, low = points[0]
        for at, level in points[1:]:
            if t <= at:
                share = (t - before) / (at - before)
                return low + (level - low) * (0.5 - 0.5 * math.cos(math.pi * share))
            before, low = at, level
        return low

    return curve


def _returning(rng: np.random.Generator, start: float) -> Course:
    """A fast onset and a return that stops at a level, from where it fades."""
    apex = start + rng.uniform(*RISE_S)
    back = apex + rng.uniform(*RETURN_S)
    stop = back + rng.uniform(*FADE_S)
    kept = rng.uniform() ** KEPT_POWER
    return Course(through((start, 0), (apex, 1), (back, kept), (stop, 0)), stop, False)


def _two_phase(rng: np.random.Generator, start: float) -> Course:
    """A return in two steps, with a pause between them."""
    apex = start + rng.uniform(*RISE_S)
    level = rng.uniform(*FIRST_LEVEL)
    first = apex + rng.uniform(*FIRST_S)
    pause = first + rng.uniform(*PAUSE_S)
    second = pause + rng.uniform(*SECOND_S)
    stop = second + rng.uniform(*FADE_S)
    rest = rng.uniform(*SECOND_LEVEL)
    points = (
        (start, 0.0),
        (apex, 1.0),
        (first, level),
        (pause, level),
        (second, rest),
        (stop, 0.0),
    )
    return Course(through(*points), stop, False)


def _held_apex(rng: np.random.Generator, start: float) -> Course:
    """A brief hold at the apex."""
    apex = start + rng.uniform(*FLANK_S)
    held = apex + rng.uniform(*HOLD_S)
    stop = held + rng.uniform(*FLANK_S)
    return Course(through((start, 0), (apex, 1), (held, 1), (stop, 0)), stop, True)


def _trembling(rng: np.random.Generator, curve: Curve, apex: float) -> Curve:
    """The curve with a tremor that leaves its peak where it is."""
    depth = rng.uniform(*TREMOR_DEPTH)
    hz = rng.uniform(*TREMOR_HZ)

    def trembling(t: float) -> float:
        return curve(t) * (1 - depth * (0.5 - 0.5 * math.cos(2 * math.pi * hz * (t - apex))))

    return trembling
