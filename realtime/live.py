"""Live sources: cameras and network streams that fail, come back, and must not take the program with them.

A read can hang for good (cv2 and PyAV alike, measured: still blocked after 45 s), so a killable process reads, and
the age of its last frame is watched. End of stream is a loss like any other. After the first success it is tried again
without end. Stream time goes on across reconnects by the host's monotonic clock; `epoch` tells connections apart.
"""

from __future__ import annotations

import datetime
import random
import threading
import time
from collections.abc import Generator, Iterator
from typing import Any, Self

from .address import Address
from .arrival import ArrivalClock
from .capture import OVERLOAD
from .errors import SourceError
from .intake import RateCheck, SourceOptions
from .records import Frame, Gap, Pixels, SourceState
from .worker import Worker, WorkerError

Record = Frame | Gap | SourceState


class Backoff:
    """Pauses between attempts: doubling, bounded, jittered; short again once a connection has outlived its pause."""

    def __init__(self, options: SourceOptions) -> None:
        self._options, self._next_s = options, options.retry_s

    def pause(self, lived_s: float) -> float:
        """Seconds to wait after a connection that gave frames for `lived_s`."""
        if lived_s > self._next_s:
            self._next_s = self._options.retry_s
        pause, self._next_s = self._next_s, min(2 * self._next_s, self._options.retry_max_s)
        return pause * (1 - self._options.retry_jitter * random.random())


class LiveSource:
    """One camera or stream. Iterate once; close() is safe from any thread.

    Iterating raises SourceError when the first attempt fails, unless `wait`. `drops` counts frames by cause.
    """

    live = True
    pace = True

    def __init__(
        self,
        address: Address,
        options: SourceOptions,
        *,
        fps: float | None = None,
        size: tuple[int, int] | None = None,
        wait: bool = False,
    ) -> None:
        self.name, self.rate_hz, self.epoch = address.name, fps, 0
        self.started_utc: str | None = datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")
        self.drops: dict[str, int] = {}
        self._address, self._options, self._size, self._wait = address, options, size, wait
        self._closed = threading.Event()
        self._lock = threading.Lock()  # no worker starts once closed
        self._worker: Worker | None = None
        self._check = RateCheck(options)
        self._zero_ns: int | None = None  # host time of the first frame
        self._last_ns = 0  # stream time of the last frame, or of the end of a gap
        self._next_index = 0
        self._lived_s = 0.0

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
            yield SourceState(self.name, "connecting", failure)
            connected = self.epoch
            failure = self._address.scrub((yield from self._connection()))
            if self._closed.is_set():
                return
            if self.epoch != connected:
                yield from self._lost(failure)
            elif self._zero_ns is None and not self._wait:
                raise SourceError(f"{self.name}: {failure}; check the camera and its address, or start with --wait")
            self._closed.wait(backoff.pause(self._lived_s))

    def _lost(self, why: str) -> Iterator[Record]:
        start_ns, self._last_ns = self._last_ns, max(self._last_ns + 1, time.monotonic_ns() - (self._zero_ns or 0))
        yield SourceState(self.name, "lost", why)
        yield Gap(self.name, None, start_ns, self._last_ns, "connection lost")

    def _connection(self) -> Generator[Record, None, str]:
        """One worker's life; returns why it ended."""
        self._lived_s, worker = 0.0, None
        try:
            worker = self._start()
            self._hear(worker, time.monotonic() + self._options.start_s, "the capture worker did not start")
            yield from self._frames(worker)
        except WorkerError as lost:
            return str(lost)
        finally:
            if worker:
                worker.close()
        return "closed"

    def _start(self) -> Worker:
        options, address = self._options, self._address
        config = {
            "kind": address.kind, "target": address.target, "fps": self.rate_hz, "size": self._size,
            "camera": options.camera, "open_s": options.open_s, "stall_s": options.stall_s,
            "unread_frames": options.unread_frames, "queue_frames": options.queue_frames,
            "queue_bytes": options.queue_bytes,
        }  # fmt: skip
        with self._lock:
            if self._closed.is_set():
                raise WorkerError("closed")
            self._worker = Worker(config, options.max_pixels)
        return self._worker

    def _frames(self, worker: Worker) -> Iterator[Record]:
        clock = ArrivalClock(0 if self._zero_ns is None else self._zero_ns + self._last_ns)
        since = time.monotonic()
        limit_s, silence = self._options.open_s, f"no frame within {self._options.open_s:g} s"
        base, heard, fresh = self._next_index, since, True
        while True:
            header, image = self._hear(worker, heard + limit_s, silence)
            heard = time.monotonic()
            if image is None:
                raise WorkerError(header["detail"])
            if fresh:
                limit_s, silence = self._options.stall_s, f"no frame for {self._options.stall_s:g} s"
                since, fresh = heard, False
                yield from self._arrived(image)
            self._lived_s = heard - since
            self._next_index = base + header["index"] + 1
            yield from self._placed(header, image, clock)

    def _hear(self, worker: Worker, deadline: float, silence: str) -> tuple[dict[str, Any], Pixels | None]:
        """The worker's next message, its losses counted."""
        try:
            header, image = worker.receive(deadline)
        except TimeoutError:
            worker.close(0)  # it hangs: no use in asking
            raise WorkerError(silence) from None
        for cause, count in header["missing"].items():
            self.drops[cause] = self.drops.get(cause, 0) + count
        return header, image

    def _arrived(self, image: Pixels) -> Iterator[SourceState]:
        self.epoch = max(self.epoch + 1, time.time_ns())
        width, height = image.shape[1], image.shape[0]
        yield SourceState(self.name, "live", f"{width}x{height}")
        if self._size and self._size != (width, height):
            asked = "x".join(map(str, self._size))
            yield SourceState(self.name, "warning", f"asked for {asked}, the camera gives {width}x{height}")

    def _placed(self, header: dict[str, Any], image: Pixels, clock: ArrivalClock) -> Iterator[Record]:
        """The frame at its stream time, after the Gap of whatever is missing before it."""
        host_ns, jumped = clock.place(header["pts_ns"], header["at_ns"])
        first = self._zero_ns is None
        if self._zero_ns is None:
            self._zero_ns = host_ns
        at_ns = host_ns - self._zero_ns
        if at_ns <= self._last_ns and not first:
            self.drops["repeated"] = self.drops.get("repeated", 0) + 1
            return
        reason = OVERLOAD if OVERLOAD in header["missing"] else "clock jumped" if jumped else ""
        if reason and not first:
            yield Gap(self.name, None, self._last_ns, at_ns, reason)
        self._last_ns = at_ns
        yield Frame(self.name, self._next_index - 1, at_ns, image)
        if warning := self._check.add(at_ns):
            yield SourceState(self.name, "warning", warning)
