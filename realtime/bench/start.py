"""A common start: several cameras get ready, each in its own time, and are measured from when all are."""

from __future__ import annotations

import threading
import time


class Start:
    """Holds every camera until all have come to their first frame; from then on time counts."""

    def __init__(self, cameras: int) -> None:
        self._barrier = threading.Barrier(cameras, action=self._open)
        self.wall_s = self.cpu_s = 0.0

    def _open(self) -> None:
        self.wall_s, self.cpu_s = time.monotonic(), time.process_time()

    def wait(self) -> bool:
        """True when all are there, False when one of them never will be."""
        try:
            self._barrier.wait()
        except threading.BrokenBarrierError:
            return False
        return True

    def cancel(self) -> None:
        """A camera is over: who still waits for it waits in vain."""
        self._barrier.abort()
