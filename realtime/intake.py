"""What every source shares: its limits and time-outs, and the check that frames come often enough for MEs.

No value here is from the papers.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

from .errors import UsageError

NS = 1_000_000_000
FPS = (0.01, 10_000.0)  # that --fps takes: no camera of this field is slower or faster


@dataclass(frozen=True)
class SourceOptions:
    """Limits and time-outs, in pixels, seconds, bytes and counts as named.

    `camera` replaces OpenCV's capture in the worker: "module:function", called as f(target, fps, size), returns an
    object with read() -> (ok, HxWx3 uint8 BGR image) and release(). Tests and unusual cameras use it.
    """

    max_pixels: int = 8192 * 4320  # one 8K frame
    max_seconds: float = 86_400.0  # one day of video
    max_images: int = 1_000_000
    max_image_bytes: int = 256 << 20
    low_hz: float = 20.0  # an ME of 0.13 s has fewer than 3 frames below this
    rate_window_s: float = 2.0  # stream time after which the measured rate is believed
    rate_frames: int = 5  # fewest intervals a rate is measured from
    lost_tail_s: float = 0.25  # a file that ends this much before its promise is damaged
    start_s: float = 30.0  # a worker process gets this long to import its libraries
    open_s: float = 10.0  # from a ready worker to its first frame
    stall_s: float = 5.0  # age of the last frame at which a live source counts as lost
    retry_s: float = 0.5  # first pause before a reconnect; doubles
    retry_max_s: float = 30.0
    retry_jitter: float = 0.25  # share of the pause that is random, so that cameras do not return in step
    queue_frames: int = 60  # frames that wait in the worker before a stretch is dropped
    queue_bytes: int = 256 << 20
    unread_frames: int = 10  # reads of a camera that may fail in a row
    camera: str | None = None
    synthetic_s: float = 30.0  # length of sample:synthetic

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, int | float) and value <= 0:
                raise UsageError(f"source option {name} is {value}: expected more than 0")


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
        return self._measure() if self.measured_hz is None and len(self._times) > self.options.rate_frames else None

    def _measure(self) -> str | None:
        interval = statistics.median(b - a for a, b in zip(self._times, self._times[1:], strict=False))
        self._times.clear()
        self.measured_hz = NS / max(interval, 1)
        if self.measured_hz >= self.options.low_hz:
            return None
        return f"{self.measured_hz:.3g} frames/s measured: MEs are under-sampled below {self.options.low_hz:g} Hz"
