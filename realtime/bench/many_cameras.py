"""Many cameras at once, at the pace of their frames: how many the cores of a machine carry."""

from __future__ import annotations

import multiprocessing
import os
import queue
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, dropwhile
from multiprocessing.queues import Queue
from typing import Any, Self

from microspot.engines.clips import SECOND_NS
from microspot.engines.loading import load_engines
from microspot.engines.system.processes import peak_memory_mb

from ..config import Settings
from ..errors import EngineError
from ..meter import percentiles
from ..pipeline import SourceEnd
from ..processes.group import ProcessGroup
from ..processes.plan import process_count
from ..records import Frame, SourceRecord
from ..sources.open import open_source
from .common_start import CommonStart

# Cameras play the same clip this far apart: what is costly in it does not come to all at once.
OFFSET_S = 7.0
WARM_UP_S = 2.0  # played before frames count: the first landmarks of a camera take longer
# A frame later than this counts as dropped: the buffer of a live source would have overflowed.
DROPPED_MS = 250.0
REPORT_S = 30.0  # how long a camera's process may take to send its report


@dataclass(frozen=True)
class CameraReport:
    """How late each frame of a camera was, and what its process had used when it ended.

    late_ms: of every frame after the warm-up; process: its id; cpu_s, seconds: CPU and wall time
    since the common start; memory_mb: peak memory.
    """

    late_ms: list[float]
    process: int
    cpu_s: float
    seconds: float
    memory_mb: float | None


class PacedClip:
    """A source: a file that is played again and again at the pace of its frames.

    It begins `first_s` into the file and lasts `warm_up_s` and `seconds`. A frame is late when the
    pipeline has not made room for it: the feed waits while its queue is full. `send_report` is
    called after the last frame.
    """

    live = False
    pace = True
    epoch = 0
    started_utc: str | None = None

    def __init__(
        self,
        uri: str,
        first_s: float,
        warm_up_s: float,
        seconds: float,
        start: CommonStart,
        send_report: Callable[[CameraReport], None],
    ) -> None:
        self._uri = uri
        self._start = start
        self._send_report = send_report
        self._first_ns = int(first_s * SECOND_NS)
        self._stop_ns = int((first_s + warm_up_s + seconds) * SECOND_NS)
        self._warm_up_ns = warm_up_s * SECOND_NS
        self._source = open_source(uri)
        self.name = self._source.name
        self.rate_hz = self._source.rate_hz
        self.drops = self._source.drops

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[SourceRecord]:
        frames = dropwhile(lambda entry: entry[0] < self._first_ns, self._endless())
        first_ns, first = next(frames)  # decoded before time counts
        if not self._start.wait():
            return
        began_s = self._start.wall_s
        began_cpu_s = self._start.cpu_s
        late_ms: list[float] = []
        for index, (at_ns, frame) in enumerate(chain([(first_ns, first)], frames)):
            if at_ns >= self._stop_ns:
                break
            due_s = began_s + (at_ns - first_ns) / SECOND_NS
            time.sleep(max(0.0, due_s - time.monotonic()))
            yield Frame(self.name, index, at_ns, frame.image)
            if at_ns - first_ns >= self._warm_up_ns:  # the feed has put it into its queue
                late_ms.append((time.monotonic() - due_s) * 1e3)
        report = CameraReport(
            late_ms=late_ms,
            process=os.getpid(),
            cpu_s=time.process_time() - began_cpu_s,
            seconds=time.monotonic() - began_s,
            memory_mb=peak_memory_mb(),
        )
        self._send_report(report)

    def _endless(self) -> Iterator[tuple[int, Frame]]:
        """(ns, frame) of the file played again and again, each time one frame after the last."""
        start_ns = 0
        last_ns = 0
        step_ns = 0
        while True:
            for record in self._source:
                if isinstance(record, Frame):
                    at_ns = start_ns + record.captured_ns
                    if at_ns > last_ns:
                        step_ns = at_ns - last_ns
                    last_ns = at_ns
                    yield at_ns, record
            self._source.close()
            self._source = open_source(self._uri)
            start_ns = last_ns + step_ns

    def close(self) -> None:
        """Close the file; cameras that wait for the common start stop waiting."""
        self._start.cancel()
        self._source.close()


def measure_cameras(
    uri: str,
    cameras: int,
    seconds: float,
    folder: str | None,
    backend: str,
    processes: int | None = None,
) -> dict[str, Any]:
    """Play `uri` as so many cameras for `seconds`: frames, lateness, busy cores, memory.

    All cameras begin at once, OFFSET_S apart in the file. The first WARM_UP_S of each are played as
    well, and their lateness is not counted. `dropped` counts frames more than DROPPED_MS late.
    Raises what loading engines and opening sources raise.
    """
    context = multiprocessing.get_context("spawn")
    start = CommonStart(cameras, context.Barrier)
    reports: Queue[CameraReport] = context.Queue()
    openers = {
        f"camera {i + 1}": partial(
            PacedClip, uri, i * OFFSET_S, WARM_UP_S, seconds, start, reports.put_nowait
        )
        for i in range(cameras)
    }
    count = process_count(cameras, Settings(), backend, processes)
    with ProcessGroup(openers, partial(load_engines, folder, backend), count=count) as group:
        frames = _run(group)
        found = [_next_report(reports) for _ in range(cameras)]
        (rate_hz,) = {entry["fps"] for entry in group.describe()["sources"]}
    header = {"cameras": cameras, "processes": count, "rate_hz": rate_hz, "frames": frames}
    return header | _summary(found, frames)


def _run(group: ProcessGroup) -> int:
    """Run to the end; returns the number of frames."""
    frames = 0
    for record in group.run():
        if isinstance(record, SourceEnd):
            if record.error is not None:
                raise record.error  # the other cameras wait for this one
            frames += record.frames
    return frames


def _sum(memory_mb: list[float | None]) -> float | None:
    """What all processes hold together; None where the system does not tell."""
    told = [mb for mb in memory_mb if mb is not None]
    return round(sum(told), 1) if len(told) == len(memory_mb) else None


def _next_report(reports: Queue[CameraReport]) -> CameraReport:
    try:
        return reports.get(timeout=REPORT_S)
    except queue.Empty:
        raise EngineError("a camera ended without a report of its frames") from None


def _summary(reports: list[CameraReport], frames: int) -> dict[str, Any]:
    """Lateness over all cameras; CPU and memory over all processes as their last cameras ended."""
    last_of_process = {
        report.process: report for report in sorted(reports, key=lambda report: report.cpu_s)
    }
    cpu_s = sum(report.cpu_s for report in last_of_process.values())
    wall_s = max(report.seconds for report in reports)
    memory_mb = [report.memory_mb for report in last_of_process.values()]
    late_ms = [ms for report in reports for ms in report.late_ms]
    longest_ms = max(late_ms, default=0.0)
    return {
        "seconds": round(wall_s, 2),
        "late": percentiles(late_ms) | {"ms_max": round(longest_ms, 1)},
        "dropped": len([ms for ms in late_ms if ms > DROPPED_MS]),
        "cores_busy": round(cpu_s / wall_s, 2),
        "cpu_ms_per_frame": round(1e3 * cpu_s / max(frames, 1), 2),
        "memory_mb": _sum([peak_memory_mb(), *memory_mb]),
    }
