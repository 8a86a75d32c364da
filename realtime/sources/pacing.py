"""Playing a recording in real time."""

from __future__ import annotations

import threading
import time

from microspot.engines.clips import SECOND_NS

LATE_S = 1.0  # playback that falls this far behind continues from now instead of hurrying


class Pacer:
    """Plays a recording in real time: `wait` sleeps until a frame is due, or `closed` is set."""

    def __init__(self, closed: threading.Event) -> None:
        self._closed = closed
        self._start_s: float | None = None  # monotonic s of the recording's zero

    def wait(self, at_ns: int) -> None:
        """Sleep until the frame of stream time `at_ns` is due."""
        at_s = at_ns / SECOND_NS
        now_s = time.monotonic()
        due_s = now_s if self._start_s is None else self._start_s + at_s
        if now_s - due_s > LATE_S:
            due_s = now_s
        self._closed.wait(max(0.0, due_s - now_s))
        self._start_s = due_s - at_s
