"""Samples of a stream that are sent together, each with the time that it has."""

from __future__ import annotations

from typing import Any


class WaitingOutlet:
    """Samples that wait for an outlet of pylsl; times are LSL's, in s."""

    def __init__(self, outlet: Any) -> None:
        self._outlet = outlet
        self._samples: list[list[float]] = []
        self._times_s: list[float] = []

    def add(self, values: list[float], at_s: float) -> None:
        """Let a sample wait, taken at `at_s`."""
        self._samples.append(values)
        self._times_s.append(at_s)

    def flush(self) -> None:
        """Send the samples that wait, in the order in which they came."""
        if self._samples:
            self._outlet.push_chunk(self._samples, self._times_s)
            self._samples = []
            self._times_s = []
