"""`microspot bench`: the real step on one core, beside its yardsticks, in alternating rounds.

The pipeline's step here is what a frame costs end to end: decode, align, session. The yardsticks are the bare face
landmarker on the same frames (decoding included on both sides) and recomputing the whole window for every new frame.
Nothing is asserted: a benchmark reports.
"""

from __future__ import annotations

import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from engines.align import MediaPipeAligner
from engines.runtime.engine import EngineSet
from engines.steadiness import measure

from .calls import drive
from .config import Settings
from .errors import SourceError
from .meter import Meter, percentiles
from .records import Crop, Frame
from .session import Session
from .sources import open_source

ROUNDS, FRAMES = 5, 240
WARM = 10  # first frames of every round, not counted
WINDOW_TICKS = 128  # of the recompute yardstick
CAMERAS = 8
REPEATS = 60
NEUTRAL_FRAME = 1140  # of the sample clip: the still that the steadiness case moves


def bench(uri: str, engines: EngineSet) -> dict[str, Any]:
    """The report of the command contract; times in ms, one core, medians over all rounds."""
    with one_core():
        meter = Meter()
        step: list[float] = []
        bare: list[float] = []
        for _ in range(ROUNDS):
            bare += landmarker_round(uri)
            step += pipeline_round(uri, engines, meter)
        heads = head_times(engines)
        incremental, recompute = window_times(engines)
        steady = measure(neutral_frame(), lambda: MediaPipeAligner(side=engines.spotter.side))
    if not step:
        raise SourceError(f"{uri}: a benchmark needs more than {WARM} frames")
    pipeline = percentiles(step)
    return {
        "pipeline": pipeline | {"fps_one_core": round(1000 / pipeline["ms_p50"], 1)},
        "stages": meter.table(),
        "heads": heads,
        "yardsticks": {"landmarker": percentiles(bare), "window_recompute": percentiles(recompute)},
        "incremental": percentiles(incremental),
        "pipeline_over_landmarker": round(pipeline["ms_p50"] / percentiles(bare)["ms_p50"], 3),
        "recompute_over_incremental": round(percentiles(recompute)["ms_p50"] / percentiles(incremental)["ms_p50"], 1),
        "tick_budget_ms": round(1000 / engines.spotter.grid_hz, 2),
        "crop_motion_px_rms": round(steady.motion_px_rms, 4),
        "crop_motion_px_rms_unregistered": round(steady.unregistered_px_rms, 4),
        "me_survival": round(steady.me_survival, 4),
        "memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "machine": machine(engines),
    }


@contextmanager
def one_core() -> Iterator[None]:
    """Pin the process to one core where the system can, and put it back."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def pipeline_round(uri: str, engines: EngineSet, meter: Meter) -> list[float]:
    """ms per frame of decode, align and session; each stage into `meter`."""
    times: list[float] = []
    session = Session(engines, "bench", settings=Settings())
    timed = meter.wrap(engines.engine)
    with MediaPipeAligner(side=engines.spotter.side) as aligner:
        for began, frame in _frames(uri, meter):
            with meter.time("align"):
                faces = aligner(frame.image, frame.captured_ns).faces
            for face in faces[:1]:
                at = frame.captured_ns
                crop = Crop("bench", 0, frame.index, at, face.pixels, face.affine, face.quality, face.outline)
                drive([session.push_steps(crop)], timed)
            times.append((time.perf_counter_ns() - began) / 1e6)
    return times[WARM:]


def landmarker_round(uri: str) -> list[float]:
    """ms per frame of decode and the bare landmarker."""
    times: list[float] = []
    with MediaPipeAligner() as aligner:
        for began, frame in _frames(uri):
            aligner.landmarks(frame.image)
            times.append((time.perf_counter_ns() - began) / 1e6)
    return times[WARM:]


def _frames(uri: str, meter: Meter | None = None) -> Iterator[tuple[int, Frame]]:
    """(time before decoding, frame) of the first frames of a source."""
    with open_source(uri) as source:
        records = iter(source)
        seen = 0
        while seen < FRAMES + WARM:
            began = time.perf_counter_ns()
            record = next(records, None)
            if record is None:
                return
            if isinstance(record, Frame):
                if meter is not None:
                    meter.add("capture", (time.perf_counter_ns() - began) / 1e6)
                seen += 1
                yield began, record


def head_times(engines: EngineSet) -> dict[str, Any]:
    """One proposer step for one camera and for CAMERAS cameras in a batch."""
    spec = engines.spotter

    def step(cameras: int) -> Callable[[], Any]:
        inputs = {
            "features": np.zeros((cameras, spec.feature, 1), np.float32),
            "valid": np.ones((cameras, 1), np.float32),
            "state": np.zeros((cameras, spec.state), np.float32),
        }
        return lambda: engines.proposer(**inputs)

    return percentiles(_timed(step(1))) | {f"cameras_{CAMERAS}": percentiles(_timed(step(CAMERAS)))}


def window_times(engines: EngineSet) -> tuple[list[float], list[float]]:
    """ms of (encoder once + one proposer step) and of (encoder + proposer over the last WINDOW_TICKS ticks)."""
    spec = engines.spotter
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (WINDOW_TICKS, spec.channels, spec.side, spec.side), np.uint8)
    state = np.zeros((1, spec.state), np.float32)

    def run(frames: int) -> None:
        features = engines.encoder(pixels=pixels[:frames])["features"]
        columns = np.ascontiguousarray(features.T[None])
        engines.proposer(features=columns, valid=np.ones((1, frames), np.float32), state=state)

    return _timed(lambda: run(1)), _timed(lambda: run(WINDOW_TICKS), REPEATS // 6)


def _timed(run: Callable[[], Any], repeats: int = REPEATS) -> list[float]:
    times = []
    for _ in range(repeats + 3):
        began = time.perf_counter_ns()
        run()
        times.append((time.perf_counter_ns() - began) / 1e6)
    return times[3:]


def neutral_frame() -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A still face of the sample clip."""
    with open_source("sample") as source:
        for record in source:
            if isinstance(record, Frame) and record.index == NEUTRAL_FRAME:
                return record.image
    raise RuntimeError("the sample clip is shorter than its neutral frame")


def machine(engines: EngineSet) -> dict[str, Any]:
    """What the figures belong to."""
    info = Path("/proc/cpuinfo")
    names = (
        [line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        if info.exists()
        else []
    )
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "python": sys.version.split()[0],
        "backend": engines.backend,
        "engines": engines.name,
    }
