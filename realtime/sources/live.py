"""Live sources: cameras and network streams that fail, come back, and must not take the program with them.

A read can hang for good (cv2 and PyAV alike, measured: still blocked after 45 s), so a killable
process reads, and its silence is watched. End of stream is a loss like any other. After the first
success it is tried again without end. Stream time goes on across reconnects by the host's monotonic
clock; `epoch` tells connections apart.

An outage gives a Gap as soon as it is certain, which ends every segment, and another for the rest
with the first frame that is back: together they cover it, from frame to frame. A recording behind a
URL (the worker sees which it is) is read as a file is: every frame, at its own time, once, no
faster than they are taken.
"""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Generator, Iterator
from typing import Any, Self

from ..errors import SourceError
from ..records import (
    Connection,
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
from .capture.worker import ENDED
from .options import NS, SourceOptions
from .pacing import Pace
from .rate_check import RateCheck
from .timeouts import Backoff, Patience

Clock = ArrivalClock | PlaylistClock
Record = SourceRecord
LEAST_NS = 1_000_000  # of a Gap whose end, the time of noticing, is not later than its start


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
        self.name, self.rate_hz, self.epoch = address.name, fps, 0
        self.live = self.pace = True
        self.started_utc: str | None = datetime.datetime.now(datetime.UTC).isoformat(
            timespec="microseconds"
        )
        self.drops: dict[str, int] = {}
        self._address, self._options, self._size, self._wait = address, options, size, wait
        self._closed = threading.Event()
        self._lock = threading.Lock()  # no worker starts once closed
        self._worker: CaptureClient | None = None
        self._check = RateCheck(options)
        self._zero_ns: int | None = None  # host time of the first frame
        self._last_ns = 0  # stream time of the last frame, or of the end of a gap
        self._shown_ns = 0  # from the frame before it to the last one
        self._next_index = 0
        self._lived_s: float | None = None  # what the frames of this connection span
        self._away = False  # lost, and no frame has come since
        self._playlist: PlaylistClock | None = None  # of HLS: goes on across connections
        self._overload = False  # frames were dropped since the last one
        self._recording_s: float | None = None  # what a recording promises
        self._over = False  # a live stream that has become a recording: all of it was seen
        self._paced, self._playing = pace, Pace(self._closed)

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

    def __iter__(self) -> Iterator[Record]:
        backoff, failure = Backoff(self._options), ""
        while not self._closed.is_set():
            yield SourceState(self.name, Connection.CONNECTING, failure)
            failure = self._told((yield from self._connection()))
            if self._closed.is_set() or self._over:
                return
            if self._zero_ns is None and not self._wait:
                raise SourceError(
                    f"{self.name}: {failure}; check the camera and its address, or start with --wait"
                )
            if self._recording_s is not None and self._zero_ns is not None:
                yield from self._last_words(failure)
                return
            if self._lived_s is not None:
                yield from self._lost(failure)
            self._closed.wait(backoff.pause(self._lived_s))

    def _told(self, failure: str) -> str:
        """What is shown of a failure: no secrets, and what to do about a password that was not understood."""
        stream = self._address.kind == "stream"
        advice = password_advice(self._address.target, failure) if stream else ""
        return self._address.scrub(failure) + (f"; {advice}" if advice else "")

    def _lost(self, why: str) -> Iterator[Record]:
        """The outage is certain: a Gap from the last frame to now; the next frame completes it."""
        start_ns, now_ns = self._last_ns, time.monotonic_ns() - (self._zero_ns or 0)
        if self._playlist is not None:
            now_ns = start_ns  # segments that come late hold frames taken before now
        self._last_ns, self._away = max(now_ns, start_ns + LEAST_NS), True
        yield SourceState(self.name, Connection.LOST, why)
        yield Gap(self.name, None, start_ns, self._last_ns, GapReason.CONNECTION_LOST)

    def _last_words(self, ending: str) -> Iterator[SourceWarning]:
        """What a file would say at its end."""
        short_s = (self._recording_s or 0) - (self._last_ns + self._shown_ns) / NS
        told = [
            "" if ending == ENDED else f"reading stopped: {ending}",
            f"it ends {short_s:.2f} s early" if short_s > self._options.lost_tail_s else "",
            f"{n} frames could not be decoded and were skipped"
            if (n := self.drops.get(DropCause.DAMAGED))
            else "",
        ]
        if warning := self._check.finish():
            yield SourceWarning(self.name, WarningKind.RATE, warning)
        if any(told):
            yield SourceWarning(self.name, WarningKind.DAMAGED, "; ".join(filter(None, told)))

    def _connection(self) -> Generator[Record, None, str]:
        """One worker's life; returns why it ended."""
        self._lived_s, worker = None, None
        try:
            worker = self._start()
            start = time.monotonic() + self._options.start_s, "the capture worker did not start"
            header, _ = self._hear(worker, start)
            if header["type"] == "end":  # what it needs cannot be loaded
                raise CaptureError(header["detail"])
            yield from self._frames(worker)
        except CaptureError as lost:
            return str(lost)
        finally:
            if worker:
                worker.close()
        return "closed"

    def _start(self) -> CaptureClient:
        options, address = self._options, self._address
        config = {
            "kind": address.kind, "target": address.target, "fps": self.rate_hz, "size": self._size,
            "camera": options.camera, "open_s": options.open_s, "settle_s": options.settle_s,
            "unread_frames": options.unread_frames, "queue_s": options.queue_s, "queue_bytes": options.queue_bytes,
            "late_s": options.late_s, "packet_bytes": options.packet_bytes, "rtsp_transport": options.rtsp_transport,
        }  # fmt: skip
        with self._lock:
            if self._closed.is_set():
                raise CaptureError("closed")
            self._worker = CaptureClient(config, options.max_pixels)
        return self._worker

    def _frames(self, worker: CaptureClient) -> Iterator[Record]:
        clock: Clock = ArrivalClock(0 if self._zero_ns is None else self._zero_ns + self._last_ns)
        patience, base, began = Patience(self._options), self._next_index, 0.0
        while True:
            header, image = self._hear(worker, patience.deadline())
            if image is not None:
                if not patience.pictured:
                    began = time.monotonic()
                    yield from self._arrived(image)
                self._lived_s = time.monotonic() - began
                self._next_index = base + header["index"] + 1
                yield from self._placed(header, image, clock)
                patience.picture()
            elif header["type"] == "open":
                self._opened(header, patience)
                clock = self._playlist or clock
            elif header["type"] == "end":
                raise CaptureError(header["detail"])
            elif patience.packets():
                yield SourceState(
                    self.name, Connection.CONNECTING, "packets come, but no key frame yet"
                )

    def _opened(self, header: dict[str, Any], patience: Patience) -> None:
        patience.opened(header["playlist"])
        if header["playlist"]:
            self._playlist = self._playlist or PlaylistClock()
        if header["recording_s"] is None:
            return
        if self._zero_ns is not None and self._recording_s is None:  # it was live, and was seen
            self._over = True
            raise CaptureError("the broadcast is over")
        self._recording_s, self.live, self.pace = header["recording_s"], False, self._paced

    def _hear(
        self, worker: CaptureClient, until: tuple[float, str]
    ) -> tuple[dict[str, Any], Pixels | None]:
        """The worker's next message, its losses counted."""
        deadline, silence = until
        try:
            header, image = worker.receive(deadline)
        except TimeoutError:
            worker.close(0)  # it hangs: no use in asking
            raise CaptureError(silence) from None
        for cause, count in header["missing"].items():
            self.drops[cause] = self.drops.get(cause, 0) + count
            self._overload |= cause == DropCause.OVERLOAD
        return header, image

    def _arrived(self, image: Pixels) -> Iterator[SourceState | SourceWarning]:
        width, height = image.shape[1], image.shape[0]
        if self._recording_s is not None:
            yield SourceState(self.name, Connection.PLAYING, f"{width}x{height}, a recording")
            return
        self.epoch = max(self.epoch + 1, time.time_ns())
        yield SourceState(self.name, Connection.LIVE, f"{width}x{height}")
        if self._size and self._size != (width, height):
            asked = "x".join(map(str, self._size))
            yield SourceWarning(
                self.name,
                WarningKind.PICTURE_SIZE,
                f"asked for {asked}, the camera gives {width}x{height}",
            )

    def _gap_reason(self, jumped: bool) -> GapReason | None:
        """Why something is missing before the frame at hand; None where nothing is."""
        if self._away:
            return GapReason.CONNECTION_LOST
        if self._overload:
            return GapReason.OVERLOAD
        return GapReason.CLOCK_JUMPED if jumped else None

    def _placed(self, header: dict[str, Any], image: Pixels, clock: Clock) -> Iterator[Record]:
        """The frame at its stream time, after the Gap of whatever is missing before it."""
        recording, pts_ns = self._recording_s is not None, header["pts_ns"]
        if recording and pts_ns is None:
            raise SourceError(
                f"{self.name}: the recording carries no times; convert it to mp4 or mkv"
            )
        host_ns, jumped = (pts_ns, False) if recording else clock.place(pts_ns, header["at_ns"])
        if first := self._zero_ns is None:
            self._zero_ns = host_ns
        at_ns = host_ns - (self._zero_ns or 0)
        if at_ns <= self._last_ns and not first:
            self.drops[DropCause.REPEATED] = self.drops.get(DropCause.REPEATED, 0) + 1
            return
        reason = self._gap_reason(jumped)
        if reason and not first:
            yield Gap(self.name, None, self._last_ns, at_ns, reason)
        self._shown_ns, self._last_ns = at_ns - self._last_ns, at_ns
        self._away = self._overload = False
        if recording and self._paced:
            self._playing.wait(at_ns)
        yield Frame(self.name, self._next_index - 1, at_ns, image)
        if warning := self._check.add(at_ns):
            yield SourceWarning(self.name, WarningKind.RATE, warning)
