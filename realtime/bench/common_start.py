"""CommonStart: several cameras get ready, and are measured from when all of them are."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any


class CommonStart:
    """Blocks every camera until all have come to their first frame; from then on time counts.

    make_barrier: makes a barrier for so many, `threading.Barrier` or one that processes share.
    """

    def __init__(
        self, cameras: int, make_barrier: Callable[[int], Any] = threading.Barrier
    ) -> None:
        self._barrier = make_barrier(cameras)
        self.wall_s = 0.0  # clock and CPU time of this process at the start
        self.cpu_s = 0.0

    def wait(self) -> bool:
        """Return True when all are there, and False when one of them never will be."""
        try:
            self._barrier.wait()
        except threading.BrokenBarrierError:
            return False
        self.wall_s = time.monotonic()
        self.cpu_s = time.process_time()
        return True

    def cancel(self) -> None:
        """A camera is over: those that wait for it, or will, return False."""
        self._barrier.abort()
