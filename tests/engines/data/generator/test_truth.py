"""Which movement is an ME, and when it ends."""

from __future__ import annotations

from itertools import pairwise

import pytest

from microspot.engines.data.generator.timeline import Curve, rise_and_fall
from microspot.engines.data.generator.truth import (
    LEVEL_NS,
    LEVELS,
    RETURN_S,
    Truth,
    level_at,
    levels_of,
    truth_of,
)


def ramps(*points: tuple[float, float]) -> Curve:
    """Straight lines through (time in s, level)."""

    def curve(t: float) -> float:
        for (a, low), (b, high) in pairwise(points):
            if a <= t <= b:
                return low + (high - low) * (t - a) / (b - a)
        return points[-1][1] if t > points[-1][0] else 0.0

    return curve


def test_a_movement_that_comes_back_is_an_me_from_onset_to_the_end_of_its_return() -> None:
    kind, onset, apex, offset = truth_of(rise_and_fall(1.0, 1.2, 1.4, 1.0, 1.0), 1.0, 1.4)
    assert (kind, onset) == ("micro", 1.0)
    assert apex == pytest.approx(1.2, abs=0.01)
    # the cosine's speed is a tenth of its fastest 0.032 of the fall before its end
    assert offset == pytest.approx(1.4 - 0.032 * 0.2, abs=0.002)


@pytest.mark.parametrize(
    ("kept", "kind"), [(0.0, "micro"), (0.45, "micro"), (0.6, "doubtful"), (0.8, "macro")]
)
def test_what_stays_of_the_peak_decides(kept: float, kind: str) -> None:
    curve = ramps((0, 0), (0.15, 1), (0.3, kept), (2, kept))
    truth = truth_of(curve, 0.0, 2.0)
    assert truth.kind == kind
    assert truth.offset == pytest.approx(2.0 if kind == "macro" else 0.3, abs=0.003)


def test_a_slow_rise_or_a_late_return_is_no_me() -> None:
    assert truth_of(ramps((0, 0), (0.35, 1), (0.45, 0)), 0.0, 0.45).kind == "macro"
    assert truth_of(ramps((0, 0), (0.2, 1), (0.55, 1), (0.6, 0)), 0.0, 0.6).kind == "macro"


def test_a_return_that_goes_on_ends_at_half_a_second() -> None:
    curve = ramps((0, 0), (0.1, 1), (0.9, 0))  # 0.5 of it at half a second
    assert truth_of(curve, 0.0, 0.9).kind == "doubtful"
    curve = ramps((0, 0), (0.1, 1), (0.8, 0))
    truth = truth_of(curve, 0.0, 0.8)
    assert truth.kind == "micro"
    assert truth.offset == pytest.approx(RETURN_S, abs=0.002)


def test_a_pause_above_half_is_a_step_of_the_return() -> None:
    curve = ramps((0, 0), (0.1, 1), (0.18, 0.65), (0.3, 0.65), (0.4, 0.1), (1, 0.1))
    assert truth_of(curve, 0.0, 1.0) == Truth("micro", 0.0, 0.1, pytest.approx(0.4, abs=0.003))


def test_the_level_counts_from_the_slow_course_and_not_in_px() -> None:
    """A curve twice as high has the same truth."""
    curve = ramps((0, 0), (0.2, 1), (0.35, 0.3), (1, 0.3))
    assert truth_of(lambda t: 2 * curve(t), 0.0, 1.0) == truth_of(curve, 0.0, 1.0)


def test_levels_are_the_course_from_the_onset_on() -> None:
    curve = ramps((1.0, 0), (1.1, 4), (1.3, 1), (3, 1))
    levels = levels_of(curve, 1.0)
    assert len(levels) == LEVELS
    assert levels[:6] == pytest.approx((0, 0.2, 0.4, 0.6, 0.8, 1))
    assert levels[-1] == 0.25, "what stays of the peak"
    times = [-LEVEL_NS, 0, LEVEL_NS / 2, 2 * LEVEL_NS, 1000 * LEVEL_NS]
    assert level_at(levels, times) == pytest.approx((0, 0, 0.1, 0.4, 0.25))
