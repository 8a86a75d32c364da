"""Limits and time-outs that all sources share.

No value here is from the papers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import UsageError
from .capture.worker import TRANSPORTS

# The range of --fps: no camera of this field is slower or faster.
FPS = (0.01, 10_000.0)


@dataclass(frozen=True)
class SourceOptions:
    """Limits and time-outs, in pixels, seconds, bytes and counts as named.

    `camera` replaces OpenCV's capture in the worker: "module:function", called as f(target, fps,
    size), returns an object with read() -> (ok, HxWx3 uint8 BGR image) and release(); get(property)
    and set(property, value), as OpenCV has them, where it says what it gives. `camera_list`
    replaces the system's list of cameras likewise: f() returns (number, name, backend) of each.
    Tests and unusual cameras use them.
    """

    # Files and folders.
    max_pixels: int = 8192 * 4320  # one 8K frame
    max_seconds: float = 86_400.0  # one day of video
    max_images: int = 1_000_000
    max_image_bytes: int = 256 << 20
    lost_tail_s: float = 0.25  # a file that ends this much before its promise is damaged
    synthetic_s: float = 30.0  # length of sample:synthetic

    # The check of the frame rate.
    low_hz: float = 20.0  # an ME of 0.13 s has fewer than 3 frames below this
    rate_window_s: float = 2.0  # stream time after which the measured rate is believed
    rate_frames: int = 5  # fewest intervals from which a rate is measured

    # How long a live source is waited for.
    start_s: float = 30.0  # a worker process gets this long to import its libraries
    open_s: float = 10.0  # from a ready worker to the first packet or frame of its source
    picture_s: float = 60.0  # packets may come for so long without a picture
    stall_s: float = 5.0  # silence after which a live source counts as lost
    playlist_stall_s: float = 30.0  # silence after which HLS is lost: it waits for its next segment
    unread_frames: int = 10  # reads of a camera that may fail in a row

    # Pauses between reconnects.
    retry_s: float = 0.5  # the first pause
    retry_growth: float = 1.25  # from pause to pause; adds at most about a quarter to an outage
    retry_max_s: float = 30.0
    retry_lively_s: float = 3.0  # longest pause after a connection that gave frames, however few
    retry_jitter: float = 0.25  # random share of a pause, so that cameras do not return together
    stable_s: float = 5.0  # a connection that gave frames for so long starts the pauses anew

    # What waits in the capture worker before a segment is dropped.
    queue_s: float = 2.0  # frames of a camera
    queue_bytes: int = 256 << 20
    late_s: float = 5.0  # packets of a stream, beyond their time (see `packets`)
    packet_bytes: int = 64 << 20
    settle_s: float = 1.0  # of a new stream, in which the delay of its packets is measured

    rtsp_transport: str = "auto"  # a key of capture.worker.TRANSPORTS
    camera: str | None = None
    camera_list: str | None = None

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
