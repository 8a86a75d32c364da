"""How the cost grows: with cameras (per camera it must not) and with intervals (NMS)."""

from __future__ import annotations

import time
from collections.abc import Iterator
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
from ..pipeline import Pipeline, SourceEnd, latency
from ..records import Event, Frame, Gap, SourceState
from ..sources.open import Source, open_sources
from .common_start import Start
from .networks import timed
from .rounds import WARM

CAMERAS = (1, 2, 4, 8)
CAMERA_FRAMES = 150  # per camera
INTERVALS = (10, 100, 1000, 10_000)
NMS_THRESHOLD = 0.2
NMS_REPEATS = 5
CANDIDATES_PER_TICK = 2


class _First:
    """The first records of a source: WARM of them until all cameras have had as many, then CAMERA_FRAMES that count."""

    def __init__(self, source: Source, start: Start) -> None:
        self._source, self._start = source, start
        self.name, self.live, self.pace, self.epoch = (
            source.name,
            source.live,
            source.pace,
            source.epoch,
        )
        self.started_utc, self.rate_hz, self.drops = (
            source.started_utc,
            source.rate_hz,
            source.drops,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame | Gap | SourceState]:
        for index, record in enumerate(islice(iter(self._source), WARM + CAMERA_FRAMES)):
            if index == WARM and not self._start.wait():
                return
            yield record

    def close(self) -> None:
        self._start.cancel()
        self._source.close()


def camera_costs(uri: str, engines: EngineSet, hz: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Per number of cameras, on one core: ms and CPU ms a frame and camera, and how many cameras of `hz` that carries.

    Also the decision delay: what is promised, in s, and the median of the final events of the first camera alone.
    """
    costs: dict[str, Any] = {}
    delays: list[float] = []
    for count in CAMERAS:
        start, frames = Start(count), -count * WARM
        sources = [_First(source, start) for source in open_sources([uri] * count)]
        with Pipeline(sources, engines) as pipeline:
            for record in pipeline.run():
                frames += record.frames if isinstance(record, SourceEnd) else 0
                if isinstance(record, Event) and record.status == "final" and count == 1:
                    delays.append((record.emitted_ns - record.offset_ns) / 1e9)
            wall, cpu = (
                1e3 * (time.monotonic() - start.wall_s),
                1e3 * (time.process_time() - start.cpu_s),
            )
        costs[str(count)] = {
            "ms_per_frame": round(wall / frames, 3), "cpu_ms_per_frame": round(cpu / frames, 3),
            f"cameras_per_core_at_{hz}_hz": round(1000 * frames / (hz * cpu), 2),
        }  # fmt: skip
    bounds = {
        name: round(ticks / hz, 3)
        for name, ticks in latency(engines.spotter, Settings().hop).items()
    }
    measured = round(float(np.median(delays)), 3) if delays else None
    return costs, bounds | {"measured_final_p50": measured, "events": len(delays)}


def nms_costs() -> dict[str, Any]:
    """By number of intervals, ms of greedy NMS by Numba and by `numpy_nms`, and how many intervals both kept."""
    out = {}
    for count in INTERVALS:
        intervals = _intervals(count)
        keep, _ = nms(intervals, NMS_THRESHOLD)
        if not np.array_equal(keep, numpy_nms(intervals, NMS_THRESHOLD)):
            raise EngineError(
                f"Numba and NumPy keep other intervals of {count}; report this as a bug"
            )
        one, other = (
            percentiles(timed(partial(rule, intervals, NMS_THRESHOLD), NMS_REPEATS))["ms_p50"]
            for rule in (nms, numpy_nms)
        )
        out[str(count)] = {"numba_ms_p50": one, "numpy_ms_p50": other, "kept": len(keep)}
    return out


def numpy_nms(intervals: Intervals, threshold: float) -> NDArray[np.int64]:
    """Greedy NMS as vectors, the yardstick: indices of what is kept, best first."""
    order = np.lexsort((intervals.stop, intervals.start, -intervals.score))
    start, stop, kept = intervals.start, intervals.stop, []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(best)
        overlap = iou(start[best], stop[best], start[rest], stop[rest])
        same = (start[rest] == start[best]) & (stop[rest] == stop[best])
        order = rest[~(((overlap > 0) & (overlap >= threshold)) | same)]
    return np.array(kept, np.int64)


def _intervals(count: int) -> Intervals:
    """As dense as a busy stream's: CANDIDATES_PER_TICK windows that passed at every tick."""
    rng = np.random.default_rng(0)
    start = np.sort(rng.uniform(0, max(1.0, count / CANDIDATES_PER_TICK), count))
    return Intervals.of(start, start + rng.uniform(4, 17, count), rng.random(count))
