"""Whether a source's frames come often enough for micro-expressions."""

from __future__ import annotations

import itertools
import statistics
from dataclasses import dataclass, field

from microspot.engines.clips import SECOND_NS

from .options import SourceOptions


@dataclass
class RateCheck:
    """Measures the true rate once, by the median interval of a source's first seconds."""

    options: SourceOptions
    measured_hz: float | None = None
    _times: list[int] = field(default_factory=list)

    def add(self, captured_ns: int) -> str | None:
        """The warning of too low a rate, on the frame that makes it certain."""
        if self.measured_hz is not None:
            return None
        self._times.append(captured_ns)
        enough = captured_ns - self._times[0] >= self.options.rate_window_s * SECOND_NS
        return self._measure() if enough else None

    def finish(self) -> str | None:
        """The warning of a source shorter than the window."""
        return self._measure() if self.measured_hz is None else None

    def _measure(self) -> str | None:
        """The warning of too low a rate; measures nothing while there are too few frames."""
        if len(self._times) <= self.options.rate_frames:
            return None
        interval_ns = statistics.median(
            after - before for before, after in itertools.pairwise(self._times)
        )
        self._times.clear()
        self.measured_hz = SECOND_NS / max(interval_ns, 1)
        if self.measured_hz >= self.options.low_hz:
            return None
        return (
            f"{self.measured_hz:.3g} frames/s measured: "
            f"MEs are under-sampled below {self.options.low_hz:g} Hz"
        )
