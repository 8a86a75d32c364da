"""How cost grows with cameras, where that of each must not grow, and of NMS with intervals."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from microspot.engines.intervals import Intervals, iou, nms
from microspot.engines.runtime.engine import EngineSet

from ..config import Settings
from ..errors import EngineError
from ..meter import percentiles
from ..pipeline import Pipeline, SourceEnd
from ..records import Event, SourceRecord
from ..sources.open import Source, open_sources
from ..start_record import latency
from .common_start import CommonStart
from .networks import call_times
from .rounds import WARM_UP_FRAMES

CAMERAS = (1, 2, 4, 8)
CAMERA_FRAMES = 150  # per camera
INTERVALS = (10, 100, 1000, 10_000)
NMS_THRESHOLD = 0.2
NMS_REPEATS = 5
CANDIDATES_PER_TICK = 2


class _CountedSource:
    """The first records of a source, in step with other cameras.

    It gives WARM_UP_FRAMES records, waits until all cameras have given as many, and then gives
    CAMERA_FRAMES that count.
    """

    def __init__(self, source: Source, start: CommonStart) -> None:
        self._source = source
        self._start = start
        self.name = source.name
        self.live = source.live
        self.pace = source.pace
        self.epoch = source.epoch
        self.started_utc = source.started_utc
        self.rate_hz = source.rate_hz
        self.drops = source.drops

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[SourceRecord]:
        records = islice(iter(self._source), WARM_UP_FRAMES + CAMERA_FRAMES)
        for index, record in enumerate(records):
            if index == WARM_UP_FRAMES and not self._start.wait():
                return
            yield record

    def close(self) -> None:
        """Close the source; cameras that wait for the common start stop waiting."""
        self._start.cancel()
        self._source.close()


@dataclass
class _CameraRun:
    """What a run of several cameras cost from their common start on; delays are of decisions."""

    frames: int
    wall_ms: float
    cpu_ms: float
    delays_s: list[float]


def camera_costs(uri: str, engines: EngineSet, hz: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """What one core does for several cameras, and how long a decision takes.

    Returns, by number of cameras, ms and CPU ms a frame and camera and how many cameras of `hz`
    that carries; and the decision delay in s: its bounds, and the median of the final events of a
    single camera.
    """
    costs: dict[str, Any] = {}
    delays_s: list[float] = []
    for count in CAMERAS:
        run = _run_cameras(uri, engines, count)
        if count == 1:
            delays_s = run.delays_s
        costs[str(count)] = {
            "ms_per_frame": round(run.wall_ms / run.frames, 3),
            "cpu_ms_per_frame": round(run.cpu_ms / run.frames, 3),
            f"cameras_per_core_at_{hz}_hz": round(1000 * run.frames / (hz * run.cpu_ms), 2),
        }
    bounds = latency(engines.spotter, Settings().hop)
    delay: dict[str, Any] = {name: round(ticks / hz, 3) for name, ticks in bounds.items()}
    delay["measured_final_p50"] = round(float(np.median(delays_s)), 3) if delays_s else None
    delay["events"] = len(delays_s)
    return costs, delay


def _run_cameras(uri: str, engines: EngineSet, count: int) -> _CameraRun:
    start = CommonStart(count)
    sources = [_CountedSource(source, start) for source in open_sources([uri] * count)]
    frames = 0
    delays_s: list[float] = []
    with Pipeline(sources, engines) as pipeline:
        for record in pipeline.run():
            if isinstance(record, SourceEnd):
                frames += record.frames
            elif isinstance(record, Event) and record.status == "final":
                delays_s.append((record.emitted_ns - record.offset_ns) / 1e9)
        wall_ms = 1e3 * (time.monotonic() - start.wall_s)
        cpu_ms = 1e3 * (time.process_time() - start.cpu_s)
    return _CameraRun(frames - count * WARM_UP_FRAMES, wall_ms, cpu_ms, delays_s)


def nms_costs() -> dict[str, Any]:
    """By number of intervals: ms of greedy NMS by Numba and by `numpy_nms`, and how many are kept.

    Raises EngineError where the two keep different intervals.
    """
    out = {}
    for count in INTERVALS:
        intervals = _intervals(count)
        keep, _ = nms(intervals, NMS_THRESHOLD)
        if not np.array_equal(keep, numpy_nms(intervals, NMS_THRESHOLD)):
            raise EngineError(
                f"Numba and NumPy keep different intervals of {count}; report this as a bug"
            )
        out[str(count)] = {
            "numba_ms_p50": _nms_ms(nms, intervals),
            "numpy_ms_p50": _nms_ms(numpy_nms, intervals),
            "kept": len(keep),
        }
    return out


def _nms_ms(rule: Callable[..., Any], intervals: Intervals) -> float:
    """The median time of one suppression."""
    times = call_times(partial(rule, intervals, NMS_THRESHOLD), NMS_REPEATS)
    return percentiles(times)["ms_p50"]


def numpy_nms(intervals: Intervals, threshold: float) -> NDArray[np.int64]:
    """Greedy NMS as vectors, for comparison: indices of the intervals that are kept, best first."""
    order = np.lexsort((intervals.stop, intervals.start, -intervals.score))
    start = intervals.start
    stop = intervals.stop
    kept = []
    while len(order):
        best = order[0]
        rest = order[1:]
        kept.append(best)
        overlap = iou(start[best], stop[best], start[rest], stop[rest])
        same = (start[rest] == start[best]) & (stop[rest] == stop[best])
        order = rest[~(((overlap > 0) & (overlap >= threshold)) | same)]
    return np.array(kept, np.int64)


def _intervals(count: int) -> Intervals:
    """Random intervals as dense as if CANDIDATES_PER_TICK windows passed at every tick."""
    rng = np.random.default_rng(0)
    start = np.sort(rng.uniform(0, max(1.0, count / CANDIDATES_PER_TICK), count))
    return Intervals.of(start, start + rng.uniform(4, 17, count), rng.random(count))
