"""The rule of a face's own threshold: margins, peaks, and the shift that follows from them."""

import math

import numpy as np
import pytest

from microspot.engines import running_neutral as rn
from microspot.engines.running_neutral import Neutral, Peak
from microspot.engines.specs import SpotterSpec

SPEC = SpotterSpec(t_cpn=0.93, t_crn=0.9)
HZ = SPEC.grid_hz
MINUTE = 60 * HZ


def best_of(peaks, ticks=400):
    """Best margins of a segment that are -inf but at some ticks."""
    best = np.full(ticks, -np.inf)
    for tick, margin in peaks.items():
        best[tick] = margin
    return best


def shift(neutral, per_min):
    return rn.shift_of(neutral, per_min, HZ)


def neutral_of(per_min, excess, minutes=4):
    """A face with so many peaks a minute, exponential above the lowest shift with this mean."""
    ticks = minutes * MINUTE
    count = round(per_min * minutes)
    heights = rn.LOWEST_SHIFT - excess * np.log((np.arange(count) + 0.5) / count)
    at = np.linspace(0, ticks - 1, count).astype(int)
    return Neutral(ticks, tuple(map(Peak, at.tolist(), heights.tolist())))


def test_a_window_at_both_thresholds_has_margin_zero_and_the_lower_score_decides():
    at = np.float32([0.93, 0.99, 0.93])
    refined = np.float32([0.9, 0.9, 0.95])
    assert rn.margins(at, refined, SPEC).tolist() == [0, 0, 0]
    lower = rn.margins([0.99, 0.8], [0.8, 0.99], SPEC)
    np.testing.assert_allclose(lower, rn.logit(0.8) - rn.logit([0.9, 0.93]), atol=1e-6)


def test_certain_scores_have_finite_margins():
    assert np.isfinite(rn.margins([0.0, 1.0], [0.0, 1.0], SPEC)).all()


def test_a_shifted_threshold_lies_so_many_logits_above():
    assert rn.shifted(0.9, 0.0) == pytest.approx(0.9)
    assert rn.logit(rn.shifted(0.9, 1.5)) == pytest.approx(float(rn.logit(0.9)) + 1.5)
    low = rn.lowered(SPEC)
    assert float(rn.logit(low.t_cpn) - rn.logit(0.93)) == pytest.approx(rn.LOWEST_SHIFT)
    assert float(rn.logit(low.t_crn) - rn.logit(0.9)) == pytest.approx(rn.LOWEST_SHIFT)


@pytest.mark.parametrize(
    ("values", "peaks"),
    [
        ({50: 1.0}, [50]),
        ({50: 1.0, 55: 0.5, 60: 0.9}, [50]),  # one movement
        ({50: 0.5, 50 + SPEC.max_ticks: 1.0}, [50 + SPEC.max_ticks]),
        ({50: 1.0, 51 + SPEC.max_ticks: 0.5}, [50, 51 + SPEC.max_ticks]),
        ({50: 1.0, 52: 1.0}, [50]),  # of equal ones the first
        ({0: 1.0, 399: 1.0}, [0, 399]),
        ({50: rn.LOWEST_SHIFT - 0.01}, []),
    ],
)
def test_a_peak_is_the_best_within_the_length_of_an_me(values, peaks):
    assert [peak.tick for peak in rn.peaks_of(best_of(values), SPEC)] == peaks


def test_segments_of_a_face_follow_each_other_and_old_peaks_are_forgotten():
    neutral = Neutral().after(best_of({50: 1.0}), SPEC).after(best_of({20: 2.0}), SPEC)
    assert neutral == Neutral(800, (Peak(50, 1.0), Peak(420, 2.0)))
    later = neutral.after(best_of({}, round(rn.MEMORY_S * HZ) - 400), SPEC)
    assert later.peaks == (Peak(420, 2.0),)


def test_the_threshold_stays_in_the_warm_up():
    ticks = round(rn.WARM_UP_S * HZ)
    peaks = tuple(Peak(tick, 3.0) for tick in range(0, ticks - 1, 20))
    assert shift(Neutral(ticks - 1, peaks), 0.2) == 0
    assert shift(Neutral(ticks, peaks), 0.2) > 0


def test_more_peaks_and_higher_ones_raise_it_and_more_wanted_alarms_lower_it():
    usual = shift(neutral_of(6, 1.0), 1.0)
    assert shift(neutral_of(12, 1.0), 1.0) > usual > shift(neutral_of(1, 1.0), 1.0)
    assert shift(neutral_of(6, 2.5), 1.0) > usual > shift(neutral_of(6, 0.5), 1.0)
    assert shift(neutral_of(6, 1.0), 0.5) > usual > shift(neutral_of(6, 1.0), 2.0)


def test_it_stays_between_its_limits():
    assert shift(Neutral(4 * MINUTE), 60.0) == rn.LOWEST_SHIFT
    assert shift(neutral_of(60, 8.0), 0.01) == rn.HIGHEST_SHIFT


def test_about_as_many_alarms_come_as_were_asked_for():
    """On faces whose peaks are drawn alike all the time, once their five minutes are known."""
    rng = np.random.default_rng(0)
    minutes = 5
    alarms = 0
    for _ in range(200):
        ticks = np.sort(rng.choice(minutes * MINUTE, 60, replace=False))
        heights = rn.LOWEST_SHIFT + rng.exponential(0.8, 60)
        known = Neutral(minutes * MINUTE, tuple(map(Peak, ticks.tolist(), heights.tolist())))
        later = rn.LOWEST_SHIFT + rng.exponential(0.8, 60)
        alarms += int((later >= shift(known, 1.0)).sum())
    assert alarms / (200 * minutes) == pytest.approx(1.0, abs=0.25)


def test_a_face_without_peaks_is_taken_for_an_average_one_that_grows_calmer():
    first = shift(Neutral(MINUTE), 0.5)
    assert first == pytest.approx(rn.USUAL_FALL * math.log(rn.USUAL_PER_MIN / 0.5 / 2), abs=0.06)
    assert shift(Neutral(5 * MINUTE), 0.5) < first
    assert math.isfinite(shift(Neutral(MINUTE), rn.RATES[0]))


def test_a_peak_at_the_shift_reaches_it():
    """With one peak too many at a shift, the next shift is taken."""
    free = shift(Neutral(4 * MINUTE), 0.5)
    (at, *_) = rn.SHIFTS[free + 1 <= rn.SHIFTS]
    peaks = tuple(Peak(tick, float(at)) for tick in (10, 100, 200))
    assert shift(Neutral(4 * MINUTE, peaks), 0.5) == pytest.approx(float(at) + rn.SHIFT_STEP)
