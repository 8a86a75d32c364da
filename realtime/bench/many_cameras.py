"""Many cameras at once, at the pace of their frames: how many a machine carries, on all its cores."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections.abc import Iterator
from functools import partial
from itertools import chain, dropwhile
from typing import Any, Self

from microspot.engines.clips import SECOND_NS
from microspot.engines.loading import load_engines

from ..config import Settings
from ..meter import percentiles
from ..pipeline import Record, SourceEnd
from ..processes.group import Processes
from ..processes.plan import how_many
from ..records import Frame, SourceRecord, SourceState
from ..sources.open import open_source
from .common_start import Start
from .report import peak_memory_mb

APART_S = (
    7.0  # between what one camera and the next show: what is hard must not be hard for all at once
)
WARM_S = 2.0  # played before frames count: the first landmarks of a camera take longer
DROPPED_MS = (
    250.0  # a frame later than this counts as dropped: a live source's buffer would have run over
)
TOLD = "played"  # the state by which a camera tells what it saw


class _Paced:
    """A file played again and again at the pace of its frames for `warm_s` and `seconds`; notes how late each frame is.

    A frame is late when the pipeline has not made room for it: the feed waits while its queue is full. The last record
    tells: lateness of every frame (ms), and of its process the id, CPU and wall time (s), and peak memory (MB).
    """

    live, pace, epoch = False, True, 0

    def __init__(
        self, uri: str, first_s: float, warm_s: float, seconds: float, start: Start
    ) -> None:
        self._uri, self._start = uri, start
        self._source = open_source(uri)
        self._first_ns, self._stop_ns = int(first_s * SECOND_NS), int((first_s + warm_s + seconds) * SECOND_NS)
        self._warm_ns = warm_s * SECOND_NS
        self.name, self.rate_hz, self.drops = (
            self._source.name,
            self._source.rate_hz,
            self._source.drops,
        )
        self.started_utc: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[SourceRecord]:
        frames = dropwhile(lambda entry: entry[0] < self._first_ns, self._frames())
        first_ns, first = next(frames)  # decoded before time counts
        if not self._start.wait():
            return
        began_s, cpu_s, late_ms = self._start.wall_s, self._start.cpu_s, list[float]()
        for index, (at_ns, frame) in enumerate(chain([(first_ns, first)], frames)):
            if at_ns >= self._stop_ns:
                break
            due = began_s + (at_ns - first_ns) / SECOND_NS
            time.sleep(max(0.0, due - time.monotonic()))
            yield Frame(self.name, index, at_ns, frame.image)
            if at_ns - first_ns >= self._warm_ns:
                late_ms.append((time.monotonic() - due) * 1e3)  # the feed has put it into its queue
        told = {
            "late_ms": late_ms, "process": os.getpid(), "cpu_s": time.process_time() - cpu_s,
            "seconds": time.monotonic() - began_s, "memory_mb": peak_memory_mb(),
        }  # fmt: skip
        yield SourceState(self.name, TOLD, json.dumps(told))

    def _frames(self) -> Iterator[tuple[int, Frame]]:
        start = last = step = 0
        while True:
            for record in self._source:
                if isinstance(record, Frame):
                    at = start + record.captured_ns
                    last, step = at, at - last if at > last else step
                    yield at, record
            self._source.close()
            self._source = open_source(self._uri)
            start = last + step

    def close(self) -> None:
        self._start.cancel()
        self._source.close()


def load(
    uri: str,
    cameras: int,
    seconds: float,
    folder: str | None,
    backend: str,
    processes: int | None = None,
) -> dict[str, Any]:
    """`cameras` cameras that play `uri`, APART_S apart, at its pace for `seconds`: frames, lateness, busy cores.

    All begin at once; the first WARM_S of each are played besides and not looked at. `dropped` counts frames more than
    DROPPED_MS late. Raises what loading engines and opening sources raise.
    """
    start = Start(cameras, multiprocessing.get_context("spawn").Barrier)
    opens = {
        f"camera {i + 1}": partial(_Paced, uri, i * APART_S, WARM_S, seconds, start)
        for i in range(cameras)
    }
    count = how_many(cameras, Settings(), backend, processes)
    with Processes(opens, partial(load_engines, folder, backend), count=count) as group:
        records: list[Record] = []
        for record in group.run():
            if isinstance(record, SourceEnd) and record.error is not None:
                raise record.error  # the others wait for it
            records.append(record)
        (rate_hz,) = {entry["fps"] for entry in group.describe()["sources"]}
    frames = sum(record.frames for record in records if isinstance(record, SourceEnd))
    told = [json.loads(r.detail) for r in records if isinstance(r, SourceState) and r.state == TOLD]
    last = {
        one["process"]: one for one in sorted(told, key=lambda one: float(one["cpu_s"]))
    }.values()
    late = [ms for one in told for ms in one["late_ms"]]
    cpu, wall = sum(one["cpu_s"] for one in last), max(one["seconds"] for one in told)
    return {
        "cameras": cameras, "processes": count, "rate_hz": rate_hz, "frames": frames, "seconds": round(wall, 2),
        "late": percentiles(late) | {"ms_max": round(max(late, default=0.0), 1)},
        "dropped": sum(ms > DROPPED_MS for ms in late),
        "cores_busy": round(cpu / wall, 2), "cpu_ms_per_frame": round(1e3 * cpu / max(frames, 1), 2),
        "memory_mb": round(peak_memory_mb() + sum(one["memory_mb"] for one in last), 1),
    }  # fmt: skip
