"""Whether a source's frames come often enough for micro-expressions."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

from .options import NS, SourceOptions


@dataclass
class RateCheck:
    """Measures the true rate once, by the median interval of a source's first seconds."""

    options: SourceOptions
    measured_hz: float | None = None
    _times: list[int] = field(default_factory=list)

    def add(self, captured_ns: int) -> str | None:
        """The warning, on the frame that makes it certain that the rate is too low."""
        if self.measured_hz is not None:
            return None
        self._times.append(captured_ns)
        enough = captured_ns - self._times[0] >= self.options.rate_window_s * NS
        return self._measure() if enough and len(self._times) > self.options.rate_frames else None

    def finish(self) -> str | None:
        """The warning of a source shorter than the window."""
        return (
            self._measure()
            if self.measured_hz is None and len(self._times) > self.options.rate_frames
            else None
        )

    def _measure(self) -> str | None:
        interval = statistics.median(
            b - a for a, b in zip(self._times, self._times[1:], strict=False)
        )
        self._times.clear()
        self.measured_hz = NS / max(interval, 1)
        if self.measured_hz >= self.options.low_hz:
            return None
        return f"{self.measured_hz:.3g} frames/s measured: MEs are under-sampled below {self.options.low_hz:g} Hz"
