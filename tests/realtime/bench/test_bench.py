"""The benchmark reports what the contract names, and its yardsticks measure what they should."""

from __future__ import annotations

import csv
import os
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from microspot.engines.errors import DataError, SourceError
from microspot.engines.evaluation.roofline import Peak
from microspot.engines.intervals import Intervals, nms
from microspot.engines.loading import load_engines
from microspot.realtime.bench import csv_and_plot, many_cameras, networks, report, rounds, scale
from microspot.realtime.bench.common_start import CommonStart
from microspot.realtime.bench.many_cameras import PacedClip
from microspot.realtime.cores import one_core, one_thread
from tests.clips import write_still

MACHINE = {
    "processor": "A CPU @ 2 GHz",
    "backend": "onnx",
    "precision": "fp32",
    "versions": {"numpy": "2.0.1"},
}


CONTRACT = [
    "pipeline.ms_p50",
    "pipeline.ms_p95",
    "pipeline.ms_p99",
    "pipeline.ms_mean",
    "pipeline.fps_one_core",
    "stages.capture.ms_p99",
    "stages.align.ms_p50",
    "stages.encoder.share_of_tick",
    "heads.ms_p50",
    "heads.cameras_8.ms_p50",
    "heads.cameras_8.floor_ms",
    "yardsticks.landmarker.ms_p50",
    "yardsticks.window_recompute.ms_p50",
    "incremental.ms_p50",
    "crop_motion_px_rms",
    "me_survival",
    "memory_mb",
    "machine.processor",
    "backends.numpy.encoder.ms_p99",
    "backends.numpy.proposer.fraction_of_floor",
    "cameras.2.cpu_ms_per_frame",
    "cameras.1.cameras_per_core_at_30_hz",
    "windows.64.incremental_ms_p50",
    "nms.10.numba_ms_p50",
    "cold_start_s",
    "decision_delay_s.final",
]


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measures everything once or twice: the figures mean nothing, but the report is complete."""
    for module, values in {
        report: {"ROUNDS": 1, "measure": partial(report.measure, seconds=0.4)},
        rounds: {"COUNTED_FRAMES": 5, "WARM_UP_FRAMES": 2},
        networks: {"REPEATS": 2, "CONTEXTS": (64,), "CONTEXT_TICKS": 16},
        scale: {
            "WARM_UP_FRAMES": 2,
            "CAMERAS": (1, 2),
            "CAMERA_FRAMES": 6,
            "INTERVALS": (10,),
            "NMS_REPEATS": 1,
        },
    }.items():
        for name, value in values.items():
            monkeypatch.setattr(module, name, value)


def test_the_report_holds_what_the_contract_names(short: None, tmp_path: Path) -> None:
    found = report.bench("sample", "baseline")
    names = {name for name, _ in csv_and_plot.flat(found)}
    assert not [name for name in CONTRACT if name not in names]
    assert found["pipeline"]["count"] == 5
    table, plot = csv_and_plot.write_files(found, tmp_path / "new")
    with table.open(encoding="utf-8") as file:
        rows = dict(list(csv.reader(file))[1:])
    assert rows["pipeline.ms_p50"] == str(found["pipeline"]["ms_p50"])
    assert cv2.imread(str(plot)).std() > 10


def test_the_roofline_is_that_of_the_cpu_and_of_no_gpu() -> None:
    peak = Peak(flops_per_s=1e9, bytes_per_s=1e9)
    with load_engines(backend="onnx") as engines:
        for backend, known in (("onnx", True), ("rtx", False)):
            costs = networks.proposer_costs(replace(engines, backend=backend), None, peak)
            assert (costs["floor_ms"] is not None) == known
            assert costs["ms_p50"] > 0


def test_a_file_is_named_after_what_it_belongs_to() -> None:
    assert csv_and_plot.file_name(MACHINE) == "bench_A-CPU-2-GHz_onnx_fp32_numpy-2.0.1"


def test_files_that_cannot_be_written_are_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        csv_and_plot.write_files({"machine": MACHINE}, tmp_path / "file" / "folder")


def test_too_short_a_clip_is_a_source_error(short: None, tmp_path: Path) -> None:
    clip = write_still(tmp_path / "wall.mp4", frames=2, value=90)
    with pytest.raises(SourceError, match="more than"):
        report.bench(str(clip), "baseline")


@pytest.mark.parametrize("threshold", [0.0, 0.2, 1.0])
def test_both_nms_keep_the_same(threshold: float) -> None:
    intervals = scale._intervals(200)
    with_duplicates = [
        np.concatenate([values, values[:20]])
        for values in (intervals.start, intervals.stop, intervals.score)
    ]
    twice = Intervals.of(*with_duplicates)
    np.testing.assert_array_equal(scale.numpy_nms(twice, threshold), nms(twice, threshold)[0])


def test_a_table_of_times_has_median_and_means() -> None:
    times = rounds.Times([1.0, 1.0, 10.0], cpu_ms=6.0)
    times += rounds.Times([1.0, 1.0, 10.0], cpu_ms=6.0)
    table = times.table()
    assert table["ms_p50"] == 1.0
    assert table["ms_mean"] == 4.0
    assert table["cpu_ms_mean"] == 2.0
    assert table["count"] == 6


def test_cores_and_threads_are_restored() -> None:
    def now() -> tuple[Any, int]:
        return getattr(os, "sched_getaffinity", lambda _: None)(0), cv2.getNumThreads()

    before = now()
    with one_core(), one_thread():
        assert cv2.getNumThreads() == 1
        assert before[0] is None or len(now()[0]) == 1
    assert now() == before


def test_paced_cameras_play_on_and_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many_cameras, "WARM_UP_S", 0.5)
    clip = write_still(tmp_path / "wall.mp4", 12, 64)
    found = many_cameras.measure_cameras(str(clip), 2, 0.99, "baseline", "auto", processes=2)
    assert (found["cameras"], found["processes"]) == (2, 2)
    assert found["frames"] == pytest.approx(2 * 45, abs=3)  # 30 Hz; a frame may lie on the edge
    counted = 2 * 30  # the first half second is played and does not count
    assert found["late"]["count"] == pytest.approx(counted, abs=3)
    assert found["late"]["ms_max"] >= found["late"]["ms_p50"] >= 0
    assert 0 <= found["dropped"] <= found["late"]["count"]
    assert found["seconds"] >= 1.4


def test_a_camera_that_breaks_before_the_start_frees_the_others(tmp_path: Path) -> None:
    start = CommonStart(2)
    reports: list[many_cameras.CameraReport] = []
    clip = str(write_still(tmp_path / "wall.mp4", 12, 64))
    waiting = PacedClip(clip, 0.0, 0.5, 1.0, start, reports.append)
    broken = PacedClip(clip, 0.0, 0.5, 1.0, start, reports.append)
    seen: list[object] = []
    thread = threading.Thread(target=lambda: seen.append(list(waiting)))
    thread.start()
    broken.close()
    thread.join(10)
    assert seen == [[]]
    assert not reports
