"""Meter: the times that each stage took last. Rate: the measured frame rate of a source."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .spotting.batching import Arrays, EngineByName, RunEngine

KEPT = 4096  # measurements per stage


class Meter:
    """Milliseconds per stage.

    Appending to a deque is atomic, so that the threads of feeds and the loop share one meter.
    """

    def __init__(self) -> None:
        self._stages: dict[str, deque[float]] = {}

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
        self._stages.setdefault(stage, deque(maxlen=KEPT)).append(ms)

    def clear(self) -> None:
        """Forget everything, such as what warming up took."""
        self._stages.clear()

    def __iadd__(self, other: Meter) -> Meter:
        for stage, values in other._stages.items():
            self._stages.setdefault(stage, deque(maxlen=KEPT)).extend(values)
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

    def table(self) -> dict[str, dict[str, float]]:
        """{stage: {ms_p50, ms_p95, ms_p99, count}}; stages in order of first use."""
        return {name: percentiles(list(values)) for name, values in list(self._stages.items())}


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
