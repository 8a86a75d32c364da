"""What every source shares: its limits and time-outs, and the check that frames come often enough for MEs.

No value here is from the papers.
"""

from __future__ import annotations

import math
import statistics
import threading
import time
from dataclasses import dataclass, field

from .capture import TRANSPORTS
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
    open_s: float = 10.0  # from a ready worker to the first packet or frame of its source
    picture_s: float = 60.0  # packets may come for so long without a picture: until a key frame, or all damaged
    stall_s: float = 5.0  # silence after which a live source counts as lost
    segment_stall_s: float = 30.0  # the same of HLS, which is silent while its next segment is made
    settle_s: float = 1.0  # of a new stream, in which it is measured how late its packets come
    retry_s: float = 0.5  # first pause before a reconnect
    retry_growth: float = 1.25  # from pause to pause: at most about a quarter of an outage is added to it
    retry_max_s: float = 30.0
    retry_lively_s: float = 3.0  # longest pause after a connection that gave frames, however few
    retry_jitter: float = 0.25  # share of the pause that is random, so that cameras do not return in step
    stable_s: float = 5.0  # a connection that gave frames for so long starts the pauses anew
    queue_s: float = 2.0  # of a camera's frames that wait in the worker before a stretch is dropped
    queue_bytes: int = 256 << 20
    late_s: float = 5.0  # a stream's packet may wait beyond its time before a stretch is dropped (see `packets`)
    packet_bytes: int = 64 << 20
    rtsp_transport: str = "auto"  # a key of capture.TRANSPORTS
    unread_frames: int = 10  # reads of a camera that may fail in a row
    camera: str | None = None
    synthetic_s: float = 30.0  # length of sample:synthetic

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, int | float) and not 0 < value < math.inf:
                raise UsageError(f"source option {name} is {value}: expected more than 0 and finite")
        if self.rtsp_transport not in TRANSPORTS:
            raise UsageError(f"RTSP transport {self.rtsp_transport!r}: expected one of {', '.join(TRANSPORTS)}")


LATE_S = 1.0  # playback that falls this far behind starts counting anew instead of racing


class Pace:
    """Plays a recording in real time: `wait` sleeps until a frame is due, or `closed` is set."""

    def __init__(self, closed: threading.Event) -> None:
        self._closed = closed
        self._start_s: float | None = None  # monotonic s of the recording's zero

    def wait(self, at_ns: int) -> None:
        """Sleep until the frame of stream time `at_ns` is due."""
        now_s = time.monotonic()
        due_s = (now_s - at_ns / NS if self._start_s is None else self._start_s) + at_ns / NS
        if now_s - due_s > LATE_S:
            due_s = now_s
        self._closed.wait(max(0.0, due_s - now_s))
        self._start_s = due_s - at_ns / NS


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
