"""The capture worker's queue of messages to its parent.

A message is a length, a JSON header, and after a frame's header its pixels. This module imports
nothing of this project, so that the worker stays light.
"""

from __future__ import annotations

import collections
import json
import os
import struct
import threading
from typing import Any

LENGTH = struct.Struct(">I")
OVERLOAD = "overload"  # the cause under which frames are counted that found the queue full


class Outbox:
    """Messages to the parent, bounded in bytes and by the time that their frames span.

    A frame that finds the queue full is dropped, and so are further ones until the queue is empty;
    with `waits` it waits instead.
    """

    def __init__(self, descriptor: int, span_ns: int, limit_bytes: int, waits: bool) -> None:
        self._descriptor = descriptor
        self._span_ns = span_ns
        self._limit_bytes = limit_bytes
        self._waits = waits
        self._queue: collections.deque[tuple[dict[str, Any], Any]] = collections.deque()
        self._change = threading.Condition()
        self._closed = False
        self._dropping = False
        self._missing: dict[str, int] = {}  # frames not yet reported, by cause
        self._thread = threading.Thread(target=self._send, name="outbox", daemon=True)
        self._thread.start()

    def count_missing(self, cause: str) -> None:
        """Count a frame that will not come; the next message reports it."""
        self._missing[cause] = self._missing.get(cause, 0) + 1

    def put(self, header: dict[str, Any], image: Any = None) -> None:
        """Queue a message, with the image (HxWx3 uint8) of a frame."""
        with self._change:
            if image is not None and self._waits:
                self._change.wait_for(lambda: not self._full(_time(header), image.nbytes))
            elif image is not None and self._drops(_time(header), image.nbytes):
                self.count_missing(OVERLOAD)
                return
            header["missing"] = self._missing
            self._missing = {}
            self._queue.append((header, image))
            self._change.notify_all()

    def _drops(self, when_ns: int, size: int) -> bool:
        """Whether to drop a frame: once the queue was full, until it is empty."""
        self._dropping = bool(self._queue) if self._dropping else self._full(when_ns, size)
        return self._dropping

    def _full(self, when_ns: int, size: int) -> bool:
        """Whether a frame of `size` bytes of `when_ns` is too much; two are always taken."""
        if len(self._queue) < 2:
            return False
        frames = (header for header, image in self._queue if image is not None)
        oldest = next(frames, None)
        span_ns = 0 if oldest is None else when_ns - _time(oldest)
        return span_ns >= self._span_ns or (len(self._queue) + 1) * size > self._limit_bytes

    def close(self) -> None:
        """Wait until everything is sent."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        self._thread.join()

    def _send(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._queue or self._closed)
                if not self._queue:
                    return
                header, image = self._queue.popleft()
                self._change.notify_all()
            text = json.dumps(header).encode()
            try:
                self._write(LENGTH.pack(len(text)) + text)
                if image is not None:
                    self._write(memoryview(image).cast("B"))
            except OSError:  # the parent is gone; the thread `watch` ends the capture
                return

    def _write(self, data: bytes | memoryview) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(self._descriptor, left) :]


def _time(header: dict[str, Any]) -> int:
    """When a frame was taken, as far as the source says, else when it came."""
    at_ns: int = header["at_ns"] if header["pts_ns"] is None else header["pts_ns"]
    return at_ns
