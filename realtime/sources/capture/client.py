"""The parent's end of a capture worker: start it, hear from it within a time, end it for certain.

No thread and no lock is shared with the worker, so killing it at any moment leaves nothing locked;
messages are JSON and pixels, so a worker that a hostile stream has taken over can hand us nothing
that runs. POSIX only.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, cast

import numpy as np

from ...records import Pixels
from .outbox import LENGTH
from .worker import GRACE_S

SLICE_S = 0.1  # how soon a close from another thread is noticed
HEADER_BYTES = 1 << 16


class CaptureError(Exception):
    """The worker ended, broke the protocol or was closed; the text says which."""


class CaptureClient:
    """One capture process: `receive` from one thread, `close` from any."""

    def __init__(self, config: dict[str, Any], max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self._lock = threading.Lock()  # reading and closing exclude each other
        self._closed = False
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).with_name("worker.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in = self._process.stdin
        self._out = self._process.stdout
        os.set_blocking(self._out.fileno(), False)
        self._poll = select.poll()  # select() fails beyond descriptor 1023
        self._poll.register(self._out, select.POLLIN)
        try:
            told = config | {"path": sys.path, "package": __package__, "max_pixels": max_pixels}
            self._in.write(json.dumps(told).encode() + b"\n")
        except BrokenPipeError:
            self.close()
            raise CaptureError("the capture worker did not start") from None

    def receive(self, deadline: float) -> tuple[dict[str, Any], Pixels | None]:
        """The next message, and its image (HxWx3 BGR) if it is a frame. `deadline` is monotonic s.

        Raises CaptureError when the worker is gone, TimeoutError when it is silent until the
        deadline.
        """
        (length,) = LENGTH.unpack(self._read(LENGTH.size, deadline))
        if length > HEADER_BYTES:
            raise CaptureError(f"the capture worker sent a header of {length} bytes")
        header = cast("dict[str, Any]", json.loads(self._read(length, deadline)))
        if header["type"] != "frame":
            return header, None
        height = int(header["height"])
        width = int(header["width"])
        if not 0 < height * width <= self._max_pixels:
            raise CaptureError(
                f"frames of {width}x{height}, expected at most {self._max_pixels} pixels"
            )
        image = np.empty((height, width, 3), np.uint8)
        self._fill(image.data.cast("B"), deadline)
        return header, image

    def _read(self, size: int, deadline: float) -> bytes:
        buffer = bytearray(size)
        self._fill(memoryview(buffer), deadline)
        return bytes(buffer)

    def _fill(self, left: memoryview, deadline: float) -> None:
        """Fill `left` with what the worker sends.

        Data that already waits is read even past the deadline: then this process was late, and not
        the worker.
        """
        while left:
            wait = min(SLICE_S, max(0.0, deadline - time.monotonic()))
            with self._lock:
                if self._closed:
                    raise CaptureError("closed")
                ready = self._poll.poll(wait * 1000)
                count = self._out.readinto(left) if ready else None  # type: ignore[attr-defined]
            if count == 0:
                raise CaptureError("the capture worker died")
            if count is None and time.monotonic() >= deadline:
                raise TimeoutError("the capture worker is silent")
            left = left[count or 0 :]

    def close(self, grace_s: float = GRACE_S) -> None:
        """Ask the worker to leave, kill it if it has not within `grace_s`. Idempotent."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._in.close()
            self._out.close()
        try:
            self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
