"""Scores keep a steady rate over pauses, so that a reader may straighten their times by a line."""

from __future__ import annotations

import numpy as np
import pytest

from microspot.realtime.sinks.lsl.score_outlet import LAG_S, MOST_FILLED_S, ScoreOutlet
from microspot.realtime.sinks.lsl.waiting_outlet import WaitingOutlet

HZ = 30


class Samples(WaitingOutlet):
    """An outlet that keeps what is pushed."""

    def __init__(self) -> None:
        super().__init__(None)
        self.values: list[list[float]] = []
        self.times: list[float] = []

    def add(self, values: list[float], at_s: float) -> None:
        self.values.append(values)
        self.times.append(at_s)

    def straightened(self) -> np.ndarray:
        """Times as a reader of a stream with a nominal rate has them: a line through all."""
        numbers = np.arange(len(self.times))
        return np.polyval(np.polyfit(numbers, self.times, 1), numbers)


def outlet() -> tuple[ScoreOutlet, Samples]:
    samples = Samples()
    return ScoreOutlet(samples, HZ, 2), samples


def play(scores: ScoreOutlet, samples: Samples, segments: list[tuple[float, int]]) -> list[float]:
    """Push segments of (start in s, ticks); returns the times of what was pushed."""
    pushed = []
    for start, ticks in segments:
        for tick in range(ticks):
            pushed.append(start + tick / HZ)
            scores.add([0.5, 0.25], pushed[-1])
    return pushed


def test_pauses_of_no_whole_ticks_do_not_add_up() -> None:
    scores, samples = outlet()
    rng = np.random.default_rng(0)
    segments = []
    start = 100.0
    for number in range(80):
        segments.append((start, 10))
        # A bit more than whole ticks, later a bit less: what is rounded each time would add up.
        odd = 0.4 if number < 40 else -0.4
        start += 9 / HZ + (int(rng.integers(20, 60)) + odd) / HZ
    pushed = play(scores, samples, segments)
    assert np.all(np.diff(samples.times) > 0)
    known = ~np.isnan(np.array(samples.values)[:, 0])
    assert np.array(samples.times)[known].tolist() == pushed
    assert np.abs(samples.straightened()[known] - pushed).max() < 1 / HZ


def test_nothing_is_sent_between_ticks_of_a_face_that_stays() -> None:
    scores, samples = outlet()
    jitter = np.random.default_rng(1).uniform(-0.25, 0.25, 300) / HZ
    for tick in range(300):
        scores.add([0.5, 0.25], 7.0 + tick / HZ + jitter[tick])
    assert len(samples.times) == 300


def test_frames_without_a_face_send_samples_without_numbers() -> None:
    scores, samples = outlet()
    for frame in range(5 * HZ):
        scores.idle(50.0 + frame / HZ)
    assert np.isnan(samples.values).all()
    assert samples.times[0] == pytest.approx(50.0, abs=1.5 / HZ)
    assert samples.times[-1] == pytest.approx(55.0 - LAG_S, abs=2 / HZ)
    assert np.diff(samples.times) == pytest.approx(1 / HZ, abs=0.6 / HZ)
    scores.add([0.5, 0.25], 55.0)
    assert np.diff(samples.times).max() < 1.5 / HZ


def test_frames_of_a_face_that_stays_send_nothing() -> None:
    scores, samples = outlet()
    for frame in range(5 * HZ):
        at_s = 50.0 + frame / HZ
        scores.idle(at_s)
        if frame >= 5:
            scores.add([0.5, 0.25], at_s - 5 / HZ)
    assert len(samples.times) == 5 * HZ - 5
    assert np.isfinite(samples.values).all()


def test_a_long_pause_is_left_out() -> None:
    scores, samples = outlet()
    play(scores, samples, [(10.0, 30), (12.0 + MOST_FILLED_S, 30)])
    assert len(samples.times) == 60


def test_a_pause_after_a_long_one_is_filled_again() -> None:
    scores, samples = outlet()
    later = 12.0 + MOST_FILLED_S
    pushed = play(scores, samples, [(10.0, 30), (later, 30), (later + 2.0, 30)])
    assert len(samples.times) == 120
    assert np.isnan(samples.values[60:90]).all()
    assert samples.times[30] == pushed[30]
    assert np.diff(samples.times[30:]) == pytest.approx(1 / HZ, abs=1e-6)
