"""Thresholds: what counts as a truth, as a hit, and that the sweep stays quick."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engines import reference
from engines.calibrate import Scored, best_thresholds, calibrate, report_at, score_clip
from engines.errors import DataError
from engines.reference import Window
from tests import fakes

SPEC = fakes.spec(t_cpn=0.3, t_crn=0.3)
TICK = 33_333_333


def scored(windows: list[Window], *truths: tuple[float, float], ticks: int = 1800) -> Scored:
    start, stop = np.array(truths, float).reshape(-1, 2).T
    return Scored(np.ones((SPEC.scales, ticks), np.float32), windows, start, stop)


def dense(ticks: int, seed: int = 0) -> list[Window]:
    """Windows of every scale at every tick, refined at random."""
    random = np.random.default_rng(seed)
    windows = []
    for end in range(14, ticks):
        for scale, width in enumerate(SPEC.windows):
            a, b = end + 1 - width + random.uniform(-3, 2), end + 1 + random.uniform(-2, 2)
            windows.append(Window(end, scale, max(a, 0.0), b, float(random.random())))
    return windows


def test_a_truth_covers_its_offset_frame() -> None:
    times = 500 * TICK + np.arange(60) * TICK  # a clip need not begin at zero
    found = score_clip(
        fakes.engine_set(), np.zeros((60, 3, 16, 16), np.uint8), times, times[[[36, 45]]].astype(np.int64)
    )
    assert (found.start[0], found.stop[0]) == pytest.approx((36, 46), abs=1e-5)


def test_hits_are_one_to_one_and_the_best_overlap_wins() -> None:
    windows = [Window(20, 0, 10, 20, 0.9), Window(21, 0, 11, 21, 0.8), Window(50, 0, 40, 50, 0.7)]
    truths = ((10.0, 20.0), (80.0, 90.0))
    found = report_at([scored(windows, *truths)], replace(SPEC, t_nms=1.0))
    assert (found["f1"], found["precision"], found["recall"]) == (0.4, 0.3333, 0.5)
    assert (found["truths"], found["false_alarms_per_min"]) == (2, 2.0)
    assert report_at([scored(windows, *truths)], SPEC)["precision"] == 0.5, "NMS removes the second of the same ME"


def test_the_best_thresholds_leave_the_false_alarm_out() -> None:
    best = best_thresholds([scored([Window(20, 0, 10, 20, 0.9), Window(50, 0, 40, 50, 0.5)], (10, 20))], SPEC)
    assert best["f1"] == 1
    assert best["t_crn"] > 0.5


@pytest.mark.parametrize("ticks", [40, 250, 700])
def test_clusters_equal_those_that_grow_window_by_window(ticks: int) -> None:
    random = np.random.default_rng(ticks)
    windows = [w for w in dense(ticks) if random.random() < 0.15]
    found, grown = ([sorted(c) for c in clusters(windows, 60)] for clusters in (reference.clusters, reference._barred))
    assert sorted(found) == sorted(grown)


def test_a_dense_clip_settles_at_once() -> None:
    windows = dense(290)
    reference.settle(windows, 290, SPEC)  # compiles
    began = time.process_time()
    reference.settle(windows, 290, SPEC)
    assert time.process_time() - began < 0.1


def test_a_set_is_calibrated_and_nothing_else_is(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no clip set"):
        calibrate(fakes.engine_set(), tmp_path)
    random = np.random.default_rng(3)
    movement = {"kind": "micro", "onset_ns": 20 * TICK, "offset_ns": 30 * TICK}
    clip = {"split": "validation", "start": 0, "count": 90, "times_ns": [t * TICK for t in range(90)]}
    (tmp_path / "index.json").write_text(json.dumps({"clips": [clip | {"movements": [movement]}]}))
    np.save(tmp_path / "crops.npy", random.integers(0, 60, (90, 3, fakes.SIDE, fakes.SIDE), np.uint8))
    report = calibrate(fakes.engine_set(), tmp_path)
    assert (report["truths"], report["clips"], report["minutes"]) == (1, 1, 0.05)


def test_calibration_needs_no_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; import engines.calibrate"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
