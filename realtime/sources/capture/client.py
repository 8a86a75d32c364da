"""The parent's end of a capture worker: start it, hear from it within a time, end it for certain.

A thread reads what the worker sends, one message ahead, and ends when the worker does: that works
on every system, where waiting for a pipe with a time-out does not. No lock is shared with the
worker, so killing it at any moment leaves nothing locked; messages are JSON and pixels, so a worker
that a hostile stream has taken over can hand us nothing that runs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, cast

import numpy as np

from microspot.engines.system.pipes import widen

from ...records import Pixels
from .outbox import LENGTH
from .worker import GRACE_S

SLICE_S = 0.1  # past a deadline, bytes that keep coming so often are still waited for,
LATE_S = 2.0  # but no longer than this
HEADER_BYTES = 1 << 16
# The pipe is made to hold this much of a frame, and never more than one, since frames in it are in
# no queue that could overflow. With 1 MiB a frame cost no less (256 KiB stay in a core's cache).
PIPE_BYTES = 1 << 18
# On Windows: out of reach of ctrl-C, and without a window of its own. On POSIX a session does that.
APART = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0) | getattr(
    subprocess, "CREATE_NO_WINDOW", 0
)
WORKER = Path(__file__).with_name("worker.py")

Message = tuple[dict[str, Any], Pixels | None]


class CaptureError(Exception):
    """The worker ended, broke the protocol or was closed; the text says which."""


class CaptureClient:
    """One capture process: `receive` from one thread, `close` from any."""

    def __init__(self, config: dict[str, Any], max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self._change = threading.Condition()
        self._message: Message | None = None  # read, and not yet received
        self._failure = ""  # why no message comes after it
        self._bytes = 0  # read until now
        self._closed = False
        self._widened = False
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
            creationflags=APART,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in = self._process.stdin
        self._out = self._process.stdout
        self._thread = threading.Thread(target=self._read_all, name="capture", daemon=True)
        self._thread.start()
        try:
            told = config | {"path": sys.path, "package": __package__, "max_pixels": max_pixels}
            self._in.write(json.dumps(told).encode() + b"\n")
        except OSError:  # not always a BrokenPipeError on Windows
            self.close()
            raise CaptureError("the capture worker did not start") from None

    def receive(self, deadline: float) -> Message:
        """The next message, and its image (HxWx3 BGR) if it is a frame. `deadline` is monotonic s.

        Data that already waits is read even past the deadline: then this process was late, and not
        the worker. Raises CaptureError when the worker is gone, TimeoutError when it is silent
        until the deadline.
        """
        with self._change:
            while not (self._message or self._failure or self._closed):
                seen = self._bytes
                left_s = deadline - time.monotonic()
                told = self._change.wait(max(left_s, SLICE_S))
                late = time.monotonic() - deadline
                if not told and (late > LATE_S or (late >= 0 and self._bytes == seen)):
                    raise TimeoutError("the capture worker is silent")
            if self._closed:
                raise CaptureError("closed")
            if self._message is None:
                raise CaptureError(self._failure)
            message = self._message
            self._message = None
            self._change.notify_all()
        return message

    def _read_all(self) -> None:
        """Hand over every message; when none will follow, say why.

        Closing the pipe is for this thread alone: a worker that writes to it then stops waiting,
        and on Windows no other thread could close what this one reads.
        """
        failure = "closed"
        try:
            while self._hand_over(self._read_message()):
                pass
        except CaptureError as error:
            failure = str(error)
        except (OSError, ValueError, KeyError, TypeError) as error:
            failure = f"the capture worker sent what is no message ({error})"
        with self._change:
            self._failure = failure
            self._change.notify_all()
        self._out.close()

    def _hand_over(self, message: Message) -> bool:
        """Wait until a message is received; whether to go on."""
        with self._change:
            self._message = message
            self._change.notify_all()
            self._change.wait_for(lambda: self._message is None or self._closed)
            return not self._closed

    def _read_message(self) -> Message:
        (length,) = LENGTH.unpack(self._read(LENGTH.size))
        if length > HEADER_BYTES:
            raise CaptureError(f"the capture worker sent a header of {length} bytes")
        header = cast("dict[str, Any]", json.loads(self._read(length)))
        if header["type"] != "frame":
            return header, None
        height = int(header["height"])
        width = int(header["width"])
        if not 0 < height * width <= self._max_pixels:
            raise CaptureError(
                f"frames of {width}x{height}, expected at most {self._max_pixels} pixels"
            )
        image = np.empty((height, width, 3), np.uint8)
        if not self._widened:
            widen(self._out.fileno(), min(image.nbytes, PIPE_BYTES))
            self._widened = True
        self._fill(image.data.cast("B"))
        return header, image

    def _read(self, size: int) -> bytes:
        buffer = bytearray(size)
        self._fill(memoryview(buffer))
        return bytes(buffer)

    def _fill(self, left: memoryview) -> None:
        """Fill `left` with what the worker sends; raises CaptureError where it has ended."""
        while left:
            count: int = self._out.readinto(left)  # type: ignore[attr-defined]
            if not count:
                raise CaptureError("the capture worker died")
            self._bytes += count
            left = left[count:]

    def close(self, grace_s: float = GRACE_S) -> None:
        """Ask the worker to leave, kill it if it has not within `grace_s`. Idempotent."""
        with self._change:
            if self._closed:
                return
            self._closed = True
            self._change.notify_all()
        self._in.close()
        try:
            self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._thread.join(GRACE_S)  # longer where a process of the worker's outlives it
