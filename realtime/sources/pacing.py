"""Playing a recording in real time."""

from __future__ import annotations

import threading

from microspot.engines.clips import SECOND_NS

from .capture.host_clock import host_time_ns

LATE_NS = SECOND_NS  # playback that falls so far behind continues from now instead of hurrying


class Pacer:
    """Plays a recording in real time: `wait` sleeps until a frame is due, or `closed` is set."""

    def __init__(self, closed: threading.Event) -> None:
        self._closed = closed
        self._start_ns: int | None = None  # host time of the recording's zero

    def wait(self, at_ns: int) -> int:
        """Sleep until the frame of stream time `at_ns` is due; returns when that is.

        In ns of the host's clock.
        """
        now_ns = host_time_ns()
        due_ns = now_ns if self._start_ns is None else self._start_ns + at_ns
        if now_ns - due_ns > LATE_NS:
            due_ns = now_ns
        self._closed.wait(max(0, due_ns - now_ns) / SECOND_NS)
        self._start_ns = due_ns - at_ns
        return due_ns
