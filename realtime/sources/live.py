"""Live sources: cameras and network streams that fail and come back.

A read can hang for good (cv2 and PyAV alike, measured: still blocked after 45 s), so a process that
can be killed reads, and its silence is watched. End of stream is a loss like any other. After the
first success a lost source is tried again without end. Stream time goes on across reconnects by the
host's clock; `epoch` tells connections apart.

An outage gives a Gap as soon as it is certain, which ends every segment, and another for the rest
with the first frame that is back: together they cover it, from frame to frame.

A recording behind a URL (the worker sees which it is) is read as a file is: every frame, at its own
time, once, no faster than frames are taken.
"""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Generator, Iterator
from typing import Any, Self

from microspot.engines.clips import SECOND_NS

from ..errors import SourceError
from ..records import (
    ConnectionState,
    DropCause,
    Frame,
    Gap,
    GapReason,
    Pixels,
    SourceRecord,
    SourceState,
    SourceWarning,
    WarningKind,
)
from .address import Address, password_advice
from .arrival_clock import ArrivalClock, PlaylistClock
from .capture.client import CaptureClient, CaptureError
from .capture.host_clock import host_time_ns
from .capture.worker import ENDED
from .options import SourceOptions
from .pacing import Pacer
from .rate_check import RateCheck
from .timeouts import ReconnectBackoff, SilenceTimeout

Clock = ArrivalClock | PlaylistClock
# The least length of a Gap whose end, the time at which the loss is noticed, is not after its
# start.
LEAST_GAP_NS = 1_000_000


class LiveSource:
    """One camera or stream. Iterate once; close() is safe from any thread.

    Iterating raises SourceError when the first attempt fails, unless `wait`. `drops` counts frames
    by cause. `live`, `pace` and `epoch` become those of a file where the stream turns out to be a
    recording, which may play in real time (`pace`).
    """

    def __init__(
        self,
        address: Address,
        options: SourceOptions,
        *,
        fps: float | None = None,
        size: tuple[int, int] | None = None,
        wait: bool = False,
        pace: bool = False,
    ) -> None:
        self.name = address.name
        self.rate_hz = fps
        self.epoch = 0
        self.live = True
        self.pace = True
        now_utc = datetime.datetime.now(datetime.UTC)
        self.started_utc: str | None = now_utc.isoformat(timespec="microseconds")
        self.drops: dict[str, int] = {}
        self._address = address
        self._options = options
        self._size = size
        self._wait = wait
        self._pace_recording = pace
        self._closed = threading.Event()
        self._lock = threading.Lock()  # no worker starts once closed
        self._worker: CaptureClient | None = None
        self._check = RateCheck(options)
        self._pacer = Pacer(self._closed)
        self._zero_ns: int | None = None  # host time of the first frame
        self._last_ns = 0  # stream time of the last frame, or of the end of a gap
        self._last_interval_ns = 0  # from the frame before it to the last one
        self._next_index = 0
        self._connected_s: float | None = None  # what the frames of this connection span
        self._lost = False  # no frame has come since the connection was lost
        self._overload = False  # frames were dropped since the last one
        self._playlist_clock: PlaylistClock | None = None  # of HLS, for all connections
        self._recording_s: float | None = None  # the length that a recording promises
        self._broadcast_over = False  # the live stream has become a recording: all of it was seen

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the iteration, wherever it is, and the worker."""
        with self._lock:
            self._closed.set()
            worker = self._worker
        if worker:
            worker.close()

    def __iter__(self) -> Iterator[SourceRecord]:
        backoff = ReconnectBackoff(self._options)
        failure = ""
        while not self._closed.is_set():
            yield SourceState(self.name, ConnectionState.CONNECTING, failure)
            failure = self._shown((yield from self._connection()))
            if self._closed.is_set() or self._broadcast_over:
                return
            if self._zero_ns is None and not self._wait:
                raise SourceError(
                    f"{self.name}: {failure}; "
                    "check the camera and its address, or start with --wait"
                )
            if self._recording_s is not None and self._zero_ns is not None:
                yield from self._warnings_at_end(failure)
                return
            if self._connected_s is not None:
                yield from self._report_loss(failure)
            self._closed.wait(backoff.pause_s(self._connected_s))

    def _shown(self, failure: str) -> str:
        """A failure without secrets, with advice on a password that was not understood."""
        stream = self._address.kind == "stream"
        advice = password_advice(self._address.target, failure) if stream else ""
        return self._address.scrub(failure) + (f"; {advice}" if advice else "")

    def _report_loss(self, why: str) -> Iterator[SourceRecord]:
        """The outage is certain: a Gap from the last frame to now; the next frame completes it."""
        start_ns = self._last_ns
        now_ns = host_time_ns() - (self._zero_ns or 0)
        if self._playlist_clock is not None:
            now_ns = start_ns  # segments that come late hold frames taken before now
        self._last_ns = max(now_ns, start_ns + LEAST_GAP_NS)
        self._lost = True
        yield SourceState(self.name, ConnectionState.LOST, why)
        yield Gap(self.name, None, start_ns, self._last_ns, GapReason.CONNECTION_LOST)

    def _warnings_at_end(self, ending: str) -> Iterator[SourceWarning]:
        """The warnings of a recording, which are those of a file."""
        if warning := self._check.finish():
            yield SourceWarning(self.name, WarningKind.RATE, warning)
        details = []
        if ending != ENDED:
            details.append(f"reading stopped: {ending}")
        end_s = (self._last_ns + self._last_interval_ns) / SECOND_NS
        short_s = (self._recording_s or 0) - end_s
        if short_s > self._options.lost_tail_s:
            details.append(f"it ends {short_s:.2f} s early")
        if damaged := self.drops.get(DropCause.DAMAGED):
            details.append(f"{damaged} frames could not be decoded and were skipped")
        if details:
            yield SourceWarning(self.name, WarningKind.DAMAGED, "; ".join(details))

    def _connection(self) -> Generator[SourceRecord, None, str]:
        """The records of one worker; returns why it ended."""
        self._connected_s = None
        worker = None
        try:
            worker = self._start_worker()
            deadline = time.monotonic() + self._options.start_s
            header, _ = self._receive(worker, deadline, "the capture worker did not start")
            if header["type"] == "end":  # what it needs cannot be loaded
                raise CaptureError(header["detail"])
            yield from self._frames(worker)
        except CaptureError as error:
            return str(error)
        finally:
            if worker:
                worker.close()
        return "closed"

    def _start_worker(self) -> CaptureClient:
        options = self._options
        config = {
            "kind": self._address.kind,
            "target": self._address.target,
            "fps": self.rate_hz,
            "size": self._size,
            "camera": options.camera,
            "camera_list": options.camera_list,
            "open_s": options.open_s,
            "settle_ns": int(options.settle_s * SECOND_NS),
            "unread_frames": options.unread_frames,
            "queue_ns": int(options.queue_s * SECOND_NS),
            "queue_bytes": options.queue_bytes,
            "late_ns": int(options.late_s * SECOND_NS),
            "packet_bytes": options.packet_bytes,
            "rtsp_transport": options.rtsp_transport,
        }
        with self._lock:
            if self._closed.is_set():
                raise CaptureError("closed")
            self._worker = CaptureClient(config, options.max_pixels)
        return self._worker

    def _frames(self, worker: CaptureClient) -> Iterator[SourceRecord]:
        """The frames of one worker, with states and gaps; raises CaptureError where it ends."""
        clock: Clock = ArrivalClock(0 if self._zero_ns is None else self._zero_ns + self._last_ns)
        silence = SilenceTimeout(self._options)
        first_index = self._next_index
        began_s = 0.0
        while True:
            header, image = self._receive(worker, *silence.deadline())
            if image is not None:
                if not silence.has_picture:
                    began_s = time.monotonic()
                    yield from self._connected(image)
                self._connected_s = time.monotonic() - began_s
                self._next_index = first_index + header["index"] + 1
                yield from self._timed(header, image, clock)
                silence.picture()
            elif header["type"] == "open":
                self._opened(header, silence)
                clock = self._playlist_clock or clock
            elif header["type"] == "end":
                raise CaptureError(header["detail"])
            elif silence.packets():
                detail = "packets come, but no key frame yet"
                yield SourceState(self.name, ConnectionState.CONNECTING, detail)

    def _opened(self, header: dict[str, Any], silence: SilenceTimeout) -> None:
        """Note what kind of stream was opened.

        Raises CaptureError for the recording that a live stream has become.
        """
        silence.opened(header["playlist"])
        if header["playlist"]:
            self._playlist_clock = self._playlist_clock or PlaylistClock()
        if header["recording_s"] is None:
            return
        if self._zero_ns is not None and self._recording_s is None:  # it was live, and was seen
            self._broadcast_over = True
            raise CaptureError("the broadcast is over")
        self._recording_s = header["recording_s"]
        self.live = False
        self.pace = self._pace_recording

    def _receive(
        self, worker: CaptureClient, deadline: float, silence: str
    ) -> tuple[dict[str, Any], Pixels | None]:
        """The worker's next message, its losses counted.

        Raises CaptureError, with the text `silence`, where none comes until the deadline (monotonic
        s).
        """
        try:
            header, image = worker.receive(deadline)
        except TimeoutError:
            worker.close(0)  # it hangs, and would not end when asked to
            raise CaptureError(silence) from None
        for cause, count in header["missing"].items():
            self.drops[cause] = self.drops.get(cause, 0) + count
            self._overload |= cause == DropCause.OVERLOAD
        return header, image

    def _connected(self, image: Pixels) -> Iterator[SourceState | SourceWarning]:
        """The state of a connection that gave its first frame."""
        height, width = image.shape[:2]
        if self._recording_s is not None:
            yield SourceState(self.name, ConnectionState.PLAYING, f"{width}x{height}, a recording")
            return
        self.epoch = max(self.epoch + 1, time.time_ns())
        yield SourceState(self.name, ConnectionState.LIVE, f"{width}x{height}")
        if self._size and self._size != (width, height):
            asked = "x".join(map(str, self._size))
            detail = f"asked for {asked}, the camera gives {width}x{height}"
            yield SourceWarning(self.name, WarningKind.PICTURE_SIZE, detail)

    def _gap_reason(self, jumped: bool) -> GapReason | None:
        """Why something is missing before the frame at hand; None where nothing is."""
        if self._lost:
            return GapReason.CONNECTION_LOST
        if self._overload:
            return GapReason.OVERLOAD
        return GapReason.CLOCK_JUMPED if jumped else None

    def _timed(self, header: dict[str, Any], image: Pixels, clock: Clock) -> Iterator[SourceRecord]:
        """The frame at its stream time, after the Gap of whatever is missing before it."""
        recording = self._recording_s is not None
        pts_ns = header["pts_ns"]
        if recording and pts_ns is None:
            raise SourceError(
                f"{self.name}: the recording carries no times; convert it to mp4 or mkv"
            )
        host_ns, jumped = (pts_ns, False) if recording else clock.place(pts_ns, header["at_ns"])
        first = self._zero_ns is None
        if self._zero_ns is None:
            self._zero_ns = host_ns
        at_ns = host_ns - self._zero_ns
        if at_ns <= self._last_ns and not first:
            self.drops[DropCause.REPEATED] = self.drops.get(DropCause.REPEATED, 0) + 1
            return
        reason = self._gap_reason(jumped)
        if reason and not first:
            yield Gap(self.name, None, self._last_ns, at_ns, reason)
        self._last_interval_ns = at_ns - self._last_ns
        self._last_ns = at_ns
        self._lost = False
        self._overload = False
        taken_ns = None if recording else host_ns
        if recording and self._pace_recording:
            taken_ns = self._pacer.wait(at_ns)
        yield Frame(self.name, self._next_index - 1, at_ns, image, taken_ns)
        if warning := self._check.add(at_ns):
            yield SourceWarning(self.name, WarningKind.RATE, warning)
