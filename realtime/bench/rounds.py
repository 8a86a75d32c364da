"""What a frame costs from file to event, and the bare face landmarker on the same frames, decoding on both sides.

Besides wall time every round counts CPU time, of all threads: on a machine that does other work only that is its own.
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
from ..meter import Meter, percentiles
from ..records import Crop, Frame
from ..session import Session
from ..sources.open import open_source
from ..spotting.batching import run_batched

FRAMES = 240  # of a round that count
WARM = 10  # frames before them
NEUTRAL_FRAME = 1140  # of the sample clip: the still that the steadiness case moves
COLD = """
import time
from microspot.engines import load_engines
from microspot.engines.alignment.aligner import MediaPipeAligner
from microspot.realtime.records import Crop, Frame
from microspot.realtime.session import Session
from microspot.realtime.sources.open import open_source
with load_engines({folder!r}, {backend!r}) as engines, open_source({uri!r}) as source:
    with MediaPipeAligner(engines.spotter.side) as aligner:
        session = Session(engines, "cold")
        for frame in source:
            faces = aligner(frame.image, frame.captured_ns).faces if isinstance(frame, Frame) else ()
            for face in faces:
                session.push(Crop("cold", 0, frame.index, frame.captured_ns, face.pixels, face.affine, face.quality))
            if faces:
                break
"""


@dataclass
class Times:
    """ms of every frame, and the CPU ms of all of them."""

    wall: list[float] = field(default_factory=list)
    cpu_ms: float = 0.0

    def __iadd__(self, other: Times) -> Times:
        self.wall += other.wall
        self.cpu_ms += other.cpu_ms
        return self

    def table(self) -> dict[str, float]:
        """Percentiles, and the means: the landmarker runs now and then, so no frame is typical."""
        count = max(len(self.wall), 1)
        means = {"ms_mean": sum(self.wall) / count, "cpu_ms_mean": self.cpu_ms / count}
        return percentiles(self.wall) | {name: round(value, 4) for name, value in means.items()}


class _Laps:
    """Times of the frames after the first WARM."""

    def __init__(self) -> None:
        self.times, self._seen, self._cpu = Times(), 0, 0

    def lap(self, began: int) -> None:
        self._seen += 1
        if self._seen > WARM:
            self.times.wall.append((time.perf_counter_ns() - began) / 1e6)
            self.times.cpu_ms += (time.process_time_ns() - self._cpu) / 1e6
        self._cpu = time.process_time_ns()


def pipeline_round(uri: str, engines: EngineSet) -> tuple[Times, Meter]:
    """Decode, align and session of every frame, and each stage of them."""
    laps, meter = _Laps(), Meter()
    session = Session(engines, "bench", settings=Settings())
    timed = meter.wrap(engines.engine)
    with MediaPipeAligner(side=engines.spotter.side) as aligner:
        for began, frame in frames(uri, meter):
            with meter.time("align"):
                faces = aligner(frame.image, frame.captured_ns).faces
            for face in faces[:1]:
                at = frame.captured_ns
                crop = Crop(
                    "bench",
                    0,
                    frame.index,
                    at,
                    face.pixels,
                    face.affine,
                    face.quality,
                    face.outline,
                )
                run_batched([session.push_steps(crop)], timed)
            laps.lap(began)
    return laps.times, meter


def landmarker_round(uri: str) -> Times:
    """Decode and the bare landmarker on every frame."""
    laps = _Laps()
    with MediaPipeAligner() as aligner:
        for began, frame in frames(uri):
            aligner.landmarks(frame.image)
            laps.lap(began)
    return laps.times


def frames(uri: str, meter: Meter | None = None) -> Iterator[tuple[int, Frame]]:
    """(time before decoding, frame) of the first frames of a source; `meter` forgets the first WARM."""
    with open_source(uri) as source:
        records = iter(source)
        seen = 0
        while seen < FRAMES + WARM:
            if seen == WARM and meter is not None:
                meter.clear()
            began = time.perf_counter_ns()
            record = next(records, None)
            if record is None:
                return
            if isinstance(record, Frame):
                if meter is not None:
                    meter.add("capture", (time.perf_counter_ns() - began) / 1e6)
                seen += 1
                yield began, record


def cold_start_s(uri: str, folder: str | None, backend: str) -> float:
    """s from starting Python to the first scored crop, files cached by the system. EngineError where that fails."""
    code = COLD.format(uri=uri, folder=folder, backend=backend)
    began = time.perf_counter()
    ours = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env=ours, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise EngineError(
            f"the cold start failed: {(done.stderr.splitlines() or ['no reason given'])[-1]}"
        )
    return time.perf_counter() - began


def neutral_frame() -> NDArray[np.uint8]:
    """A still face of the sample clip."""
    with open_source("sample") as source:
        for record in source:
            if isinstance(record, Frame) and record.index == NEUTRAL_FRAME:
                return record.image
    raise EngineError("the sample clip is shorter than its neutral frame; install microspot again")
