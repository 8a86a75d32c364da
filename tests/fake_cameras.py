"""Cameras that a capture worker opens instead of OpenCV's.

Every worker imports this module, so it is quick to import.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from tests.rtsp_server import number_image

HZ = 100


class FakeCamera:
    """Numbered frames at HZ.

    Every `every`-th read fails; all fail after `dead_from`, and hang after `hang_from`.
    """

    def __init__(self, every: int = 0, dead_from: int = 10**9, hang_from: int = 10**9) -> None:
        self.every = every
        self.dead_from = dead_from
        self.hang_from = hang_from
        self.reads = self.frames = 0
        self.next = time.monotonic()

    def read(self) -> tuple[bool, np.ndarray[Any, Any] | None]:
        self.next += 1 / HZ
        time.sleep(max(0.0, self.next - time.monotonic()))
        self.reads += 1
        if self.reads > self.hang_from:
            time.sleep(3600)
        if self.reads > self.dead_from or (self.every and self.reads % self.every == 0):
            return False, None
        self.frames += 1
        return True, number_image(self.frames - 1, 40, 30)

    def release(self) -> None:
        self.next = 0


def steady(target: str, fps: float | None, size: tuple[int, int] | None) -> FakeCamera:
    return FakeCamera()


def dropping(*_: object) -> FakeCamera:
    return FakeCamera(every=3)


def dying(*_: object) -> FakeCamera:
    return FakeCamera(dead_from=20)


def hanging(*_: object) -> FakeCamera:
    return FakeCamera(hang_from=20)


def dead(*_: object) -> FakeCamera:
    return FakeCamera(dead_from=0)


def broken(*_: object) -> FakeCamera:
    raise RuntimeError("no such device in this test")
