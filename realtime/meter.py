"""What a pipeline counts while it runs.

Meter      the times that each stage took
Rate       the measured frame rate of a source
Histogram  how many values there were up to each of some bounds
Figures    all that was counted, at one moment
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import numpy as np

from .spotting.batching import Arrays, EngineByName, RunEngine

KEPT = 4096  # measurements per stage
# Upper bounds of histograms, in s: of computing and waiting, and of deciding on an event, for which
# the stream must go on.
LATENCY_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
DECISION_S = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0)


class Counts(NamedTuple):
    """A histogram at one moment.

    bounds: upper, inclusive, rising; counts: values in each of their intervals and beyond the last;
    total: the sum of all values.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float

    def joined(self, other: Counts) -> Counts:
        """The values of both, whose bounds are the same."""
        counts = (a + b for a, b in zip(self.counts, other.counts, strict=True))
        return Counts(self.bounds, tuple(counts), self.total + other.total)


class Histogram:
    """Counts values by intervals; safe from any thread."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0
        self._lock = threading.Lock()

    def add(self, value: float) -> None:
        """Count one value."""
        with self._lock:
            self._counts[bisect_left(self._bounds, value)] += 1
            self._total += value

    def now(self) -> Counts:
        """What was counted until now."""
        with self._lock:
            return Counts(self._bounds, tuple(self._counts), self._total)


@dataclass(eq=False)
class _Stage:
    """The newest times of a stage in ms, and a histogram of all in s."""

    newest: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    all_s: Histogram = field(default_factory=lambda: Histogram(LATENCY_S))


class Meter:
    """Milliseconds per stage.

    Appending to a deque is atomic, so that the threads of feeds and the loop share one meter.
    """

    def __init__(self) -> None:
        self._stages: dict[str, _Stage] = {}

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        """Measure the body of a with statement."""
        began = time.perf_counter_ns()
        try:
            yield
        finally:
            self.add(stage, (time.perf_counter_ns() - began) / 1e6)

    def add(self, stage: str, ms: float) -> None:
        """Record one measurement."""
        times = self._stages.get(stage) or self._stages.setdefault(stage, _Stage())
        times.newest.append(ms)
        times.all_s.add(ms / 1e3)

    def clear(self) -> None:
        """Forget everything, such as what warming up took."""
        self._stages.clear()

    def __iadd__(self, other: Meter) -> Meter:
        for stage, times in other._stages.items():
            for ms in times.newest:
                self.add(stage, ms)
        return self

    def wrap(self, engines: EngineByName) -> EngineByName:
        """The same engines, each call timed under the engine's name."""

        def timed_engine(name: str) -> RunEngine:
            run = engines(name)

            def timed(**inputs: Any) -> Arrays:
                with self.time(name):
                    return run(**inputs)

            return timed

        return timed_engine

    def histograms(self) -> dict[str, Counts]:
        """Of each stage, in s, how long it took, every time until now."""
        return {name: times.all_s.now() for name, times in list(self._stages.items())}

    def table(self) -> dict[str, dict[str, float]]:
        """{stage: {ms_p50, ms_p95, ms_p99, count}}; stages in order of first use."""
        return {name: percentiles(list(times.newest)) for name, times in list(self._stages.items())}


def percentiles(ms: list[float]) -> dict[str, float]:
    """p50, p95, p99 and count of a list of milliseconds; zeros for an empty one."""
    p50, p95, p99 = np.percentile(ms, [50, 95, 99]) if ms else (0.0, 0.0, 0.0)
    return {
        "ms_p50": round(float(p50), 4),
        "ms_p95": round(float(p95), 4),
        "ms_p99": round(float(p99), 4),
        "count": len(ms),
    }


class Rate:
    """Frames per second of a source, from the median of its last capture intervals."""

    def __init__(self, kept: int = 31) -> None:
        self._times: deque[int] = deque(maxlen=kept)

    def add(self, captured_ns: int) -> None:
        """Add the time of a frame; one that is not later than the last starts a new measurement."""
        if self._times and captured_ns <= self._times[-1]:
            self._times.clear()
        self._times.append(captured_ns)

    @property
    def hz(self) -> float:
        """0 until two frames have come."""
        if len(self._times) < 2:
            return 0.0
        return 1e9 / float(np.median(np.diff(np.array(self._times))))

    def mean_hz(self, now_ns: int) -> float:
        """Frames per second up to now, on the clock of the times added; falls while none comes."""
        times = list(self._times)
        if len(times) < 2 or now_ns <= times[0]:
            return 0.0
        return (len(times) - 1) * 1e9 / (now_ns - times[0])


@dataclass(frozen=True)
class SourceFigures:
    """What was counted of one source until now.

    camera_hz, process_hz: frames a second that came, and that were processed; drops, rejected,
    gaps: by cause or reason; reconnects: connections after the first; latency: s from a frame's
    arrival to the end of its round; decision_delay: s of stream time from an event's offset to its
    decision; faces: of those seen now, quality and width in px of the picture.
    """

    source: str
    camera_hz: float
    process_hz: float
    frames: int
    events: int
    drops: dict[str, int]
    rejected: dict[str, int]
    gaps: dict[str, int]
    reconnects: int
    latency: Counts
    decision_delay: Counts
    faces: dict[int, tuple[float, float]]


@dataclass(frozen=True)
class Figures:
    """What a pipeline has counted until now: s of each stage, and all of every source."""

    stages: dict[str, Counts] = field(default_factory=dict)
    sources: tuple[SourceFigures, ...] = ()

    @classmethod
    def joined(cls, parts: Iterable[Figures]) -> Self:
        """The figures of several pipelines, whose sources are different ones."""
        stages: dict[str, Counts] = {}
        sources: list[SourceFigures] = []
        for part in parts:
            sources += part.sources
            for name, counts in part.stages.items():
                stages[name] = stages[name].joined(counts) if name in stages else counts
        return cls(stages, tuple(sources))
