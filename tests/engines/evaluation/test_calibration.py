"""Thresholds: what counts as a truth, as a hit, and that the sweep stays quick."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from microspot.engines import reference
from microspot.engines.evaluation.calibration import (
    T_CPN_GRID,
    T_CRN_GRID,
    Scored,
    best_thresholds,
    curve,
    report_at,
    score_clip,
)
from microspot.engines.evaluation.rates import AlarmLimits
from microspot.engines.intervals import Candidate
from microspot.engines.specs import SpotterSpec
from tests import fakes

SPEC = fakes.spec(t_cpn=0.3, t_crn=0.3)
TICK = 33_333_333


def scored(windows: list[Candidate], *truths: tuple[float, float], ticks: int = 1800) -> Scored:
    start, stop = np.array(truths, float).reshape(-1, 2).T
    return Scored(np.ones((SPEC.scales, ticks), np.float32), windows, start, stop)


def dense(ticks: int, seed: int = 0) -> list[Candidate]:
    """Windows of every scale at every tick, refined at random."""
    random = np.random.default_rng(seed)
    windows = []
    for end in range(14, ticks):
        for scale, width in enumerate(SPEC.windows):
            a = end + 1 - width + random.uniform(-3, 2)
            b = end + 1 + random.uniform(-2, 2)
            windows.append(Candidate(end, scale, max(a, 0.0), b, float(random.random())))
    return windows


def test_a_truth_covers_its_offset_frame() -> None:
    times = 500 * TICK + np.arange(60) * TICK  # a clip need not begin at zero
    found = score_clip(
        fakes.engine_set(),
        np.zeros((60, 3, 16, 16), np.uint8),
        times,
        times[[[36, 45]]].astype(np.int64),
    )
    assert (found.start[0], found.stop[0]) == pytest.approx((36, 46), abs=1e-5)


def test_hits_are_one_to_one_and_the_best_overlap_wins() -> None:
    windows = [
        Candidate(20, 0, 10, 20, 0.9),
        Candidate(21, 0, 11, 21, 0.8),
        Candidate(50, 0, 40, 50, 0.7),
    ]
    truths = ((10.0, 20.0), (80.0, 90.0))
    found = report_at([scored(windows, *truths)], replace(SPEC, t_nms=1.0))
    assert (found["f1"], found["precision"], found["recall"]) == (0.4, 0.3333, 0.5)
    assert (found["truths"], found["false_alarms_per_min"]) == (2, 2.0)
    assert report_at([scored(windows, *truths)], SPEC)["precision"] == 0.5, (
        "NMS removes the second of the same ME"
    )


def test_the_best_thresholds_leave_the_false_alarm_out() -> None:
    best = best_thresholds(
        [scored([Candidate(20, 0, 10, 20, 0.9), Candidate(50, 0, 40, 50, 0.5)], (10, 20))], SPEC
    )
    assert best["f1"] == 1
    assert best["t_crn"] > 0.5


def test_the_upper_end_of_the_interval_is_limited_too() -> None:
    """One false alarm in 10 minutes: 0.1 a minute, up to 0.56."""
    windows = [
        Candidate(20, 0, 10, 20, 0.9),
        Candidate(50, 0, 40, 50, 0.6),
        Candidate(80, 0, 70, 80, 0.4),
    ]
    clips = [scored(windows, (10, 20), (70, 80), ticks=18_000)]
    free = best_thresholds(clips, SPEC, AlarmLimits(0.2, 0.6))
    assert (free["recall"], free["false_alarms_per_min"]) == (1.0, 0.1)
    assert free["false_alarms_high"] == pytest.approx(0.557, abs=0.001)
    strict = best_thresholds(clips, SPEC, AlarmLimits(0.2, 0.5))
    assert (strict["recall"], strict["false_alarms_per_min"]) == (0.5, 0.0)


def test_both_limits_have_to_hold() -> None:
    limits = AlarmLimits(0.2, 0.3)
    assert limits.hold(0.2, 0.3)
    assert not limits.hold(0.1, 0.31)
    assert not limits.hold(0.21, 0.3)


def test_what_fits_a_doubtful_movement_is_neither_hit_nor_false_alarm() -> None:
    windows = [
        Candidate(20, 0, 10, 20, 0.9),
        Candidate(50, 0, 40, 50, 0.8),
        Candidate(90, 0, 80, 90, 0.7),
    ]
    clip = scored(windows, (10, 20))
    doubtful = replace(clip, doubtful=(np.array([41.0, 11.0]), np.array([51.0, 21.0])))
    assert report_at([clip], SPEC)["precision"] == 0.3333
    found = report_at([doubtful], SPEC)
    assert (found["precision"], found["recall"]) == (0.5, 1.0)
    assert found["false_alarms_per_min"] == 1.0


def test_only_allowed_thresholds_are_taken() -> None:
    clips = [scored([Candidate(20, 0, 10, 20, 0.9)], (10, 20))]
    strict = best_thresholds(
        clips, SPEC, allowed=lambda trials: [t for t in trials if t.t_crn > 0.85]
    )
    assert (strict["t_crn"], strict["f1"]) == (0.9, 1)
    none = best_thresholds(clips, SPEC, allowed=lambda trials: [])
    assert (none["t_cpn"], none["t_crn"]) == (T_CPN_GRID[-1], T_CRN_GRID[-1])


@pytest.mark.parametrize("ticks", [40, 250, 700])
def test_clusters_equal_those_that_grow_window_by_window(ticks: int) -> None:
    random = np.random.default_rng(ticks)
    windows = [w for w in dense(ticks) if random.random() < 0.15]
    found = [sorted(cluster) for cluster in reference.clusters(windows, 60)]
    grown = [sorted(cluster) for cluster in reference._barred(windows, 60)]
    assert sorted(found) == sorted(grown)


def test_a_dense_clip_is_suppressed_at_once() -> None:
    windows = dense(290)
    reference.suppress_clusters(windows, 290, SPEC)  # compiles
    began = time.process_time()
    reference.suppress_clusters(windows, 290, SPEC)
    assert time.process_time() - began < 0.1


def test_an_operating_point_limits_the_false_alarms() -> None:
    """Two clips whose every window passes at first: a limit costs recall, and is kept if it can."""
    random = np.random.default_rng(3)
    crops = random.integers(0, 60, (2, 90, 3, fakes.SIDE, fakes.SIDE), np.uint8)
    times = np.arange(90, dtype=np.int64) * TICK
    engines = fakes.engine_set()
    scored = [
        score_clip(engines, clip, times, np.array([[20 * TICK, 30 * TICK]], np.int64))
        for clip in crops
    ]
    free = best_thresholds(scored, engines.spotter)
    assert (free["truths"], free["clips"], free["minutes"]) == (2, 2, 0.1)
    fewest = min(report["false_alarms_per_min"] for report in every_report(scored, engines.spotter))
    for limit in (0.0, fewest + 1, 1e9):
        limited = best_thresholds(scored, engines.spotter, AlarmLimits(limit, 1e9))
        assert limited["false_alarms_per_min"] <= max(limit, fewest)
        assert limited["f1"] <= free["f1"]
    steps = curve(scored, replace(engines.spotter, t_cpn=free["t_cpn"]))
    assert free["f1"] in [step["f1"] for step in steps]
    assert all(
        a["false_alarms_per_min"] >= b["false_alarms_per_min"] - 20
        for a, b in itertools.pairwise(steps)
    )


def every_report(scored: list[Scored], spec: SpotterSpec) -> list[dict[str, float]]:
    return [
        report_at(scored, replace(spec, t_cpn=a, t_crn=b)) for a in T_CPN_GRID for b in T_CRN_GRID
    ]


def test_calibration_needs_no_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; import microspot.engines.evaluation.calibration"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
