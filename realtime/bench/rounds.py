"""What a frame costs from file to event, and the bare face landmarker on the same frames.

Decoding counts on both sides. Besides wall time every round counts CPU time, of all threads: on a
machine that does other work, only CPU time is the round's own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from microspot.engines.alignment.aligner import MediaPipeAligner
from microspot.engines.runtime.engine import EngineSet

from ..config import Settings
from ..errors import EngineError
from ..feed import crop_of
from ..meter import Meter, percentiles
from ..records import Frame
from ..session import Session
from ..sources.open import open_source
from ..sources.synthetic_clip import NEUTRAL_FRAME
from ..spotting.batching import run_batched

COUNTED_FRAMES = 240  # of a round
WARM_UP_FRAMES = 10  # before them, not counted

# What a new process does for a cold start: load the engines, align the first face, push its crop.
COLD_START_CODE = """
from microspot.engines import load_engines
from microspot.engines.alignment.aligner import MediaPipeAligner
from microspot.realtime.records import Crop, Frame
from microspot.realtime.session import Session
from microspot.realtime.sources.open import open_source

with load_engines({folder!r}, {backend!r}) as engines, open_source({uri!r}) as source:
    with MediaPipeAligner(engines.spotter.side) as aligner:
        session = Session(engines, "cold")
        for frame in source:
            if not isinstance(frame, Frame):
                continue
            at = frame.captured_ns
            faces = aligner(frame.image, at).faces
            for face in faces:
                session.push(
                    Crop("cold", 0, frame.index, at, face.pixels, face.affine, face.quality)
                )
            if faces:
                break
"""


@dataclass
class Times:
    """Milliseconds of every frame, and the CPU milliseconds of all of them."""

    wall: list[float] = field(default_factory=list)
    cpu_ms: float = 0.0

    def __iadd__(self, other: Times) -> Times:
        self.wall += other.wall
        self.cpu_ms += other.cpu_ms
        return self

    def table(self) -> dict[str, float]:
        """Percentiles, and means: no frame is typical, as the landmarker runs on some only."""
        count = max(len(self.wall), 1)
        means = {"ms_mean": sum(self.wall) / count, "cpu_ms_mean": self.cpu_ms / count}
        return percentiles(self.wall) | {name: round(value, 4) for name, value in means.items()}


class _FrameTimer:
    """Times of the frames after the warm-up."""

    def __init__(self) -> None:
        self.times = Times()
        self._seen = 0
        self._cpu_ns = 0

    def frame_done(self, began_ns: int) -> None:
        """Add a frame that began at `began_ns` and ends now."""
        self._seen += 1
        if self._seen > WARM_UP_FRAMES:
            self.times.wall.append((time.perf_counter_ns() - began_ns) / 1e6)
            self.times.cpu_ms += (time.process_time_ns() - self._cpu_ns) / 1e6
        self._cpu_ns = time.process_time_ns()


def pipeline_round(uri: str, engines: EngineSet) -> tuple[Times, Meter]:
    """Decode and align every frame and push its crop; also the times of each stage of that."""
    timer = _FrameTimer()
    meter = Meter()
    session = Session(engines, "bench", settings=Settings())
    timed_engines = meter.wrap(engines.engine)
    with MediaPipeAligner(side=engines.spotter.side) as aligner:
        for began_ns, frame in frames(uri, meter):
            with meter.time("align"):
                faces = aligner(frame.image, frame.captured_ns).faces
            for face in faces[:1]:
                run_batched([session.push_steps(crop_of(frame, face))], timed_engines)
            timer.frame_done(began_ns)
    return timer.times, meter


def landmarker_round(uri: str) -> Times:
    """Decode every frame and run the bare landmarker on it."""
    timer = _FrameTimer()
    with MediaPipeAligner() as aligner:
        for began_ns, frame in frames(uri):
            aligner.landmarks(frame.image)
            timer.frame_done(began_ns)
    return timer.times


def frames(uri: str, meter: Meter | None = None) -> Iterator[tuple[int, Frame]]:
    """(ns before decoding, frame) of a round's frames; `meter` forgets those of the warm-up."""
    with open_source(uri) as source:
        records = iter(source)
        seen = 0
        while seen < COUNTED_FRAMES + WARM_UP_FRAMES:
            if seen == WARM_UP_FRAMES and meter is not None:
                meter.clear()
            began_ns = time.perf_counter_ns()
            record = next(records, None)
            if record is None:
                return
            if isinstance(record, Frame):
                if meter is not None:
                    meter.add("capture", (time.perf_counter_ns() - began_ns) / 1e6)
                seen += 1
                yield began_ns, record


def cold_start_s(uri: str, folder: str | None, backend: str) -> float:
    """Seconds from starting Python to the first scored crop, with files cached by the system.

    Raises EngineError where that fails.
    """
    code = COLD_START_CODE.format(uri=uri, folder=folder, backend=backend)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-P", "-c", code]
    began_s = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.splitlines() or ["no reason given"])[-1]
        raise EngineError(f"the cold start failed: {reason}")
    return time.perf_counter() - began_s


def neutral_frame() -> NDArray[np.uint8]:
    """A still face of the sample clip, which the measurement of crop jitter moves."""
    with open_source("sample") as source:
        for record in source:
            if isinstance(record, Frame) and record.index == NEUTRAL_FRAME:
                return record.image
    raise EngineError("the sample clip is shorter than its neutral frame; install microspot again")
