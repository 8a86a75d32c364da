"""What the capture worker costs: frames a second at most, and CPU a frame at a camera's rate.

    python -m tests.portability.worker_throughput

prints one JSON object. CPU is that of parent and worker together. `fast` is a camera that always
has a frame, so that the pipe between the two is the limit; what overflows is dropped by the worker,
and only frames that arrive count. `paced` gives 60 frames a second.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

import numpy as np

from microspot.realtime.records import Frame
from microspot.realtime.sources.open import SourceOptions, open_source

FRAMES = {"fast": 2000, "paced": 300}  # that are counted
PACED_HZ = 60.0
SIZES = {"fast": (640, 480), "paced": (1280, 720)}


class Camera:
    """The same picture again and again, `hz` times a second; as fast as it is read for 0."""

    def __init__(self, size: tuple[int, int], hz: float) -> None:
        width, height = size
        self._image = np.full((height, width, 3), 128, np.uint8)
        self._step_s = 1 / hz if hz else 0.0
        self._next_s = time.monotonic()

    def read(self) -> tuple[bool, Any]:
        self._next_s += self._step_s
        time.sleep(max(0.0, self._next_s - time.monotonic()))
        return True, self._image

    def release(self) -> None:
        """Do nothing: nothing is held."""


def fast(*_: object) -> Camera:
    return Camera(SIZES["fast"], 0.0)


def paced(*_: object) -> Camera:
    return Camera(SIZES["paced"], PACED_HZ)


def measure(kind: str) -> dict[str, float]:
    """Frames a second that arrive, and CPU (ms) of a frame, over FRAMES after the first."""
    options = SourceOptions(camera=f"tests.portability.worker_throughput:{kind}")
    count = 0
    began_s = 0.0
    before = os.times()
    with open_source("0", options=options) as source:
        for record in source:
            if not isinstance(record, Frame):
                continue
            count += 1
            if count == 1:
                began_s = time.monotonic()
                before = os.times()
            elif count > FRAMES[kind]:
                break
        took_s = time.monotonic() - began_s
        after = os.times()
    ended = os.times()  # the worker is counted when it has ended
    own_s = after.user + after.system - before.user - before.system
    worker_s = ended.children_user + ended.children_system
    worker_s -= before.children_user + before.children_system
    return {
        "frames_per_s": round((count - 1) / took_s, 1),
        "own_cpu_ms_per_frame": round(1e3 * own_s / (count - 1), 3),
        "cpu_ms_per_frame": round(1e3 * (own_s + worker_s) / (count - 1), 3),
    }


if __name__ == "__main__":
    print(json.dumps({kind: measure(kind) for kind in SIZES}))
