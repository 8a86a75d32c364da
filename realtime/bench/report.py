"""The report of `microspot bench`: every figure with what it belongs to."""

from __future__ import annotations

import os
import sys
from typing import Any

from microspot.engines.alignment.aligner import MediaPipeAligner
from microspot.engines.commands.version import package_versions
from microspot.engines.evaluation.crop_jitter import measure
from microspot.engines.evaluation.roofline import Peak, measure_peak
from microspot.engines.loading import load_engines
from microspot.engines.runtime.engine import EngineSet
from microspot.engines.system.processes import peak_memory_mb
from microspot.engines.system.processor import processor
from microspot.engines.tensorrt.plans import EVERY_WHEEL

from ..cores import one_core, one_thread
from ..errors import SourceError
from ..meter import Meter, percentiles
from .networks import backend_costs, context_costs, new_frame_times, proposer_costs
from .rounds import (
    WARM_UP_FRAMES,
    Times,
    cold_start_s,
    landmarker_round,
    neutral_frame,
    pipeline_round,
)
from .scale import camera_costs, nms_costs

ROUNDS = 5
PACKAGES = (
    "microspot", "onnxruntime", "mediapipe", "opencv-contrib-python", "numpy", "torch",
    *EVERY_WHEEL,
)  # fmt: skip


def bench(uri: str, folder: str | None = None, backend: str = "auto") -> dict[str, Any]:
    """The report of the command contract; times in ms, on one core.

    Raises SourceError for a source of WARM_UP_FRAMES or fewer, and what loading engines and opening
    sources raise.
    """
    with load_engines(folder, backend) as engines, one_core(), one_thread():
        report = _stream(uri, engines)
        report["memory_mb"] = peak_memory_mb()  # before the yardsticks need theirs
        peak = measure_peak()
        report |= _parts(uri, engines, folder, peak)
        report["yardsticks"]["window_recompute"] = report.pop("window_recompute")
        return report | {
            "cold_start_s": round(cold_start_s(uri, folder, backend), 2),
            "backends": backend_costs(engines, folder, peak),
            "machine": machine(engines, peak),
        }


def _stream(uri: str, engines: EngineSet) -> dict[str, Any]:
    """The pipeline and the bare landmarker in turns, and the stages of the pipeline."""
    meter = Meter()
    step = Times()
    bare = Times()
    for _ in range(ROUNDS):
        bare += landmarker_round(uri)
        times, stages = pipeline_round(uri, engines)
        step += times
        meter += stages
    if not step.wall:
        raise SourceError(
            f"{uri}: a benchmark needs more than {WARM_UP_FRAMES} frames; give a longer one"
        )
    budget = 1000 / engines.spotter.grid_hz
    pipeline = step.table()
    landmarker = bare.table()
    return {
        "pipeline": pipeline | {"fps_one_core": round(1000 / pipeline["ms_mean"], 1)},
        "stages": {
            name: row | {"share_of_tick": round(row["ms_p50"] / budget, 4)}
            for name, row in meter.table().items()
        },
        "yardsticks": {"landmarker": landmarker},
        "pipeline_over_landmarker": round(pipeline["ms_mean"] / landmarker["ms_mean"], 3),
        "pipeline_over_landmarker_cpu": round(
            pipeline["cpu_ms_mean"] / landmarker["cpu_ms_mean"], 3
        ),
        "tick_budget_ms": round(budget, 2),
    }


def _parts(uri: str, engines: EngineSet, folder: str | None, peak: Peak) -> dict[str, Any]:
    """Proposer steps, contexts, cameras, NMS, and how still the aligner keeps a face."""
    times = new_frame_times(engines)
    incremental = percentiles(times.incremental)
    recompute = percentiles(times.recompute)
    cameras, delay = camera_costs(uri, engines, engines.spotter.grid_hz)
    jitter = measure(neutral_frame(), lambda: MediaPipeAligner(side=engines.spotter.side))
    return {
        "heads": proposer_costs(engines, folder, peak),
        "incremental": incremental,
        "window_recompute": recompute,
        "recompute_over_incremental": round(recompute["ms_p50"] / incremental["ms_p50"], 1),
        "windows": context_costs(engines),
        "cameras": cameras,
        "decision_delay_s": delay,
        "nms": nms_costs(),
        "crop_motion_px_rms": round(jitter.motion_px_rms, 4),
        "crop_motion_px_rms_unregistered": round(jitter.unregistered_px_rms, 4),
        "me_survival": round(jitter.me_survival, 4),
    }


def machine(engines: EngineSet, peak: Peak) -> dict[str, Any]:
    """The machine, backend and versions that the figures belong to."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "gflops_one_core": round(peak.flops_per_s / 1e9, 1),
        "gbytes_per_s": round(peak.bytes_per_s / 1e9, 1),
        "python": sys.version.split()[0],
        "backend": engines.backend,
        "precision": engines.precision,
        "engines": engines.name,
        "weights": engines.digest[:12],
        "versions": package_versions(PACKAGES),
    }
