"""Many cameras at once, at the pace of their frames: how many a machine carries, on all its cores."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import chain, dropwhile
from typing import Any, Self

from engines.runtime.select import load_engines

from ..clock import NS
from ..meter import percentiles
from ..pipeline import Pipeline, SourceEnd
from ..records import Frame, Gap, SourceState
from ..sources import Source, open_sources
from .report import peak_memory_mb
from .start import Start

APART_S = 7.0  # between what one camera and the next show: what is hard must not be hard for all at once
WARM_S = 2.0  # played before frames count: the first landmarks of a camera take longer
DROPPED_MS = 250.0  # a frame later than this counts as dropped: a live source's buffer would have run over


class _Paced:
    """A source played again and again at the pace of its frames until `seconds` are over; notes how late each frame is.

    A frame is late when the pipeline has not made room for it: the feed waits while its queue is full.
    """

    live, pace, epoch = False, True, 0

    def __init__(self, source: Source, uri: str, first_s: float, seconds: float, start: Start) -> None:
        self._source, self._uri, self._start = source, uri, start
        self._first_ns, self._stop_ns = int(first_s * NS), int((first_s + WARM_S + seconds) * NS)
        self.name, self.rate_hz, self.drops = source.name, source.rate_hz, source.drops
        self.started_utc: str | None = None
        self.late_ms: list[float] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame | Gap | SourceState]:
        frames = dropwhile(lambda entry: entry[0] < self._first_ns, self._frames())
        first_ns, first = next(frames)  # decoded before time counts
        if not self._start.wait():
            return
        for index, (at_ns, frame) in enumerate(chain([(first_ns, first)], frames)):
            if at_ns >= self._stop_ns:
                return
            due = self._start.wall_s + (at_ns - first_ns) / NS
            time.sleep(max(0.0, due - time.monotonic()))
            yield Frame(self.name, index, at_ns, frame.image)
            if at_ns - first_ns >= WARM_S * NS:
                self.late_ms.append((time.monotonic() - due) * 1e3)  # the feed has put it into its queue

    def _frames(self) -> Iterator[tuple[int, Frame]]:
        start = last = step = 0
        while True:
            for record in self._source:
                if isinstance(record, Frame):
                    at = start + record.captured_ns
                    last, step = at, at - last if at > last else step
                    yield at, record
            self._source.close()
            (self._source,) = open_sources([self._uri])
            start = last + step

    def close(self) -> None:
        self._start.cancel()
        self._source.close()


def load(uri: str, cameras: int, seconds: float, folder: str | None, backend: str) -> dict[str, Any]:
    """`cameras` cameras that play `uri`, APART_S apart, at its pace for `seconds`: frames, lateness, busy cores.

    All begin at once; the first WARM_S of each are played besides and not looked at. `dropped` counts frames more than
    DROPPED_MS late. Raises what loading engines and opening sources raise.
    """
    start = Start(cameras)
    sources = [_Paced(s, uri, i * APART_S, seconds, start) for i, s in enumerate(open_sources([uri] * cameras))]
    with load_engines(folder, backend) as engines, Pipeline(sources, engines) as pipeline:
        frames = sum(record.frames for record in pipeline.run() if isinstance(record, SourceEnd))
        wall, cpu = time.monotonic() - start.wall_s, time.process_time() - start.cpu_s
    late = [ms for source in sources for ms in source.late_ms]
    return {
        "cameras": cameras, "rate_hz": sources[0].rate_hz, "frames": frames, "seconds": round(wall, 2),
        "late": percentiles(late) | {"ms_max": round(max(late, default=0.0), 1)},
        "dropped": sum(ms > DROPPED_MS for ms in late),
        "cores_busy": round(cpu / wall, 2), "cpu_ms_per_frame": round(1e3 * cpu / max(frames, 1), 2),
        "memory_mb": peak_memory_mb(),
    }  # fmt: skip
