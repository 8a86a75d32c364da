"""The capture worker's queue of messages to its parent. It imports nothing of this project.

A message is a length, a JSON header, and after a frame's header its pixels.
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
    """Queue to the parent, bounded by the time its frames span and by bytes. Full, it drops, or `waits`."""

    def __init__(self, descriptor: int, span_ns: int, limit_bytes: int, waits: bool) -> None:
        self._descriptor, self._span_ns, self._bytes, self._waits = (
            descriptor,
            span_ns,
            limit_bytes,
            waits,
        )
        self._queue: collections.deque[tuple[dict[str, Any], Any]] = collections.deque()
        self._change = threading.Condition()
        self._closed = self._dropping = False
        self._missing: dict[str, int] = {}
        self._thread = threading.Thread(target=self._send, name="outbox", daemon=True)
        self._thread.start()

    def miss(self, cause: str) -> None:
        """Count a frame that will not come; the next message reports it."""
        self._missing[cause] = self._missing.get(cause, 0) + 1

    def put(self, header: dict[str, Any], image: Any = None) -> None:
        with self._change:
            if image is not None and self._waits:
                self._change.wait_for(lambda: not self._full(_time(header), image.nbytes))
            elif image is not None and self._drops(_time(header), image.nbytes):
                self.miss(OVERLOAD)
                return
            header["missing"], self._missing = self._missing, {}
            self._queue.append((header, image))
            self._change.notify_all()

    def _drops(self, when_ns: int, size: int) -> bool:
        self._dropping = bool(self._queue) if self._dropping else self._full(when_ns, size)
        return self._dropping

    def _full(self, when_ns: int, size: int) -> bool:
        """Whether a frame of `size` bytes of `when_ns` is too much; two are always taken."""
        if len(self._queue) < 2:
            return False
        oldest_ns = next(
            (_time(header) for header, image in self._queue if image is not None), when_ns
        )
        return when_ns - oldest_ns >= self._span_ns or (len(self._queue) + 1) * size > self._bytes

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
            head = json.dumps(header).encode()
            try:
                self._write(LENGTH.pack(len(head)) + head)
                if image is not None:
                    self._write(memoryview(image).cast("B"))
            except BrokenPipeError:  # nobody is left to tell; `_watch` knows and ends the capture
                return

    def _write(self, data: bytes | memoryview) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(self._descriptor, left) :]


def _time(header: dict[str, Any]) -> int:
    """When a frame was taken, as far as the source says, else when it came."""
    at_ns: int = header["at_ns"] if header["pts_ns"] is None else header["pts_ns"]
    return at_ns
