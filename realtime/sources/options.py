"""What every source shares: its limits and time-outs, and the check that frames come often enough for MEs.

No value here is from the papers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import UsageError
from .capture.worker import TRANSPORTS

NS = 1_000_000_000
FPS = (0.01, 10_000.0)  # that --fps takes: no camera of this field is slower or faster


@dataclass(frozen=True)
class SourceOptions:
    """Limits and time-outs, in pixels, seconds, bytes and counts as named.

    `camera` replaces OpenCV's capture in the worker: "module:function", called as f(target, fps,
    size), returns an object with read() -> (ok, HxWx3 uint8 BGR image) and release(). Tests and
    unusual cameras use it.
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
    # packets may come for so long without a picture: until a key frame, or all damaged
    picture_s: float = 60.0
    stall_s: float = 5.0  # silence after which a live source counts as lost
    # the same of HLS, which is silent while its next segment is made
    playlist_stall_s: float = 30.0
    settle_s: float = 1.0  # of a new stream, in which it is measured how late its packets come
    retry_s: float = 0.5  # first pause before a reconnect
    # from pause to pause: at most about a quarter of an outage is added to it
    retry_growth: float = 1.25
    retry_max_s: float = 30.0
    retry_lively_s: float = 3.0  # longest pause after a connection that gave frames, however few
    # share of the pause that is random, so that cameras do not return in step
    retry_jitter: float = 0.25
    stable_s: float = 5.0  # a connection that gave frames for so long starts the pauses anew
    queue_s: float = 2.0  # of a camera's frames that wait in the worker before a segment is dropped
    queue_bytes: int = 256 << 20
    late_s: float = 5.0  # a stream's packet may wait beyond its time before a segment is dropped (see `packets`)
    packet_bytes: int = 64 << 20
    rtsp_transport: str = "auto"  # a key of capture.TRANSPORTS
    unread_frames: int = 10  # reads of a camera that may fail in a row
    camera: str | None = None
    synthetic_s: float = 30.0  # length of sample:synthetic

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, int | float) and not 0 < value < math.inf:
                raise UsageError(
                    f"source option {name} is {value}: expected more than 0 and finite"
                )
        if self.rtsp_transport not in TRANSPORTS:
            raise UsageError(
                f"RTSP transport {self.rtsp_transport!r}: expected one of {', '.join(TRANSPORTS)}"
            )
