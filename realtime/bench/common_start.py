"""A common start: several cameras get ready, each in its own time, and are measured from when all are."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any


class Start:
    """Holds every camera until all have come to their first frame; from then on time counts.

    barrier: what makes one for so many, `threading.Barrier` or one that processes share.
    """

    def __init__(self, cameras: int, barrier: Callable[[int], Any] = threading.Barrier) -> None:
        self._barrier = barrier(cameras)
        self.wall_s = self.cpu_s = 0.0  # of the start, in this process

    def wait(self) -> bool:
        """True when all are there, False when one of them never will be."""
        try:
            self._barrier.wait()
        except threading.BrokenBarrierError:
            return False
        self.wall_s, self.cpu_s = time.monotonic(), time.process_time()
        return True

    def cancel(self) -> None:
        """A camera is over: who still waits for it waits in vain."""
        self._barrier.abort()
