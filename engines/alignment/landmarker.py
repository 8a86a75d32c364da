"""MediaPipe's face landmarker, and what a mesh of its says about a face."""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import EngineError, missing_library
from ..system.processes import available_cores
from .affine import Affine
from .registration import Pixels

FACE_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
SIDES = (234, 454)  # where the mesh ends before either ear

THREAD = "landmarker"  # name of the threads that look at images

Mesh = NDArray[np.float64]  # (478, 3) frame px, z on the scale of x, smaller is nearer


class Landmarker:
    """Up to `faces` meshes of an image, each image for itself. Close it when done.

    MediaPipe remembers nothing between images in IMAGE mode, so cameras of a process share its
    tasks, at most one for each core. Ten cameras on two cores held 160 MB more with one each, and
    frames took 1 to 8 % more CPU.

    Raises EngineError where MediaPipe or its model cannot be loaded.
    """

    def __init__(self, faces: int) -> None:
        self._task = _acquire_task(faces)
        # runs once, also when the landmarker is never closed
        self._release = weakref.finalize(self, _release_task, self._task)
        self._release.atexit = False

    def __call__(self, image_bgr: Pixels) -> list[Mesh]:
        """The meshes of one image (H, W, 3)."""
        self._check_open()
        rgb = cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB)
        mp = self._task.mediapipe
        found = self._task.landmarker.detect(mp.Image(image_format=mp.ImageFormat.SRGB, data=rgb))
        high, wide = image_bgr.shape[:2]
        scale = (wide, high, wide)
        return [
            np.array([(point.x, point.y, point.z) for point in mesh]) * scale
            for mesh in found.face_landmarks
        ]

    def run(self, look: Callable[[Pixels], list[Mesh]], image_bgr: Pixels) -> Future[list[Mesh]]:
        """`look` at an image, such as this landmarker, in a thread of its own; the image must stay.

        Cameras that share a task of MediaPipe share its thread.
        """
        self._check_open()
        return self._task.thread.submit(look, image_bgr)

    def _check_open(self) -> None:
        if not self._release.alive:
            raise EngineError("the landmarker is closed: open another one")

    def close(self) -> None:
        """Free the model once no landmarker uses it; closing twice is fine."""
        self._release()


def _one_thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix=THREAD)


@dataclass(eq=False)
class _Task:
    """One landmarker of MediaPipe, which takes one image at a time from any thread."""

    mediapipe: Any
    landmarker: Any
    faces: int
    users: int = 0
    thread: ThreadPoolExecutor = field(default_factory=_one_thread)


_tasks: list[_Task] = []
# Reentrant: a landmarker that was never closed may be collected while another one is opened.
_lock = threading.RLock()


def _acquire_task(faces: int) -> _Task:
    """A new task while there are fewer than cores, then the one with the fewest users."""
    with _lock:
        alike = [task for task in _tasks if task.faces == faces]
        if len(alike) < available_cores():
            task = _Task(*_open(faces), faces)
            _tasks.append(task)
        else:
            task = min(alike, key=lambda task: task.users)
        task.users += 1
        return task


def _release_task(task: _Task) -> None:
    with _lock:
        task.users -= 1
        if task.users:
            return
        _tasks.remove(task)
    # What it still looks at comes first. A landmarker that was never closed may be collected in its
    # own thread, which cannot wait for itself.
    task.thread.submit(task.landmarker.close)
    task.thread.shutdown(wait=not threading.current_thread().name.startswith(THREAD))


def _open(faces: int) -> tuple[Any, Any]:
    """The mediapipe module and a landmarker in IMAGE mode."""
    model = resources.files("microspot.engines") / "weights" / "face_landmarker.task"
    if not model.is_file():
        raise EngineError("weights/face_landmarker.task is missing; install microspot again")
    try:
        import mediapipe

        tasks = mediapipe.tasks
        options = tasks.vision.FaceLandmarkerOptions(
            base_options=tasks.BaseOptions(model_asset_buffer=model.read_bytes()),
            running_mode=tasks.vision.RunningMode.IMAGE,
            num_faces=faces,
        )
        landmarker = tasks.vision.FaceLandmarker.create_from_options(options)  # loads the library
    except (ImportError, OSError) as error:
        missing = missing_library(error)
        raise missing or EngineError(f"mediapipe cannot be loaded: {error}") from error
    return mediapipe, landmarker


def outline(mesh: Mesh) -> NDArray[np.float32]:
    """The face oval (N, 2), frame px: a closed polygon, the first point is not repeated."""
    return mesh[FACE_OVAL, :2].astype(np.float32)


def width_px(mesh: Mesh) -> float:
    """The width of the face from side to side, frame px."""
    return math.dist(*mesh[SIDES, :2])


def transformed(mesh: Mesh, similarity: Affine) -> Mesh:
    """The mesh after a similarity of the picture; its depth is scaled along."""
    out = np.empty_like(mesh)
    out[:, :2] = similarity.apply(mesh[:, :2])
    out[:, 2] = mesh[:, 2] * math.hypot(*similarity.matrix[:, 0])
    return out


def yaw_degrees(mesh: Mesh) -> float:
    """How far the head is turned to either side, by the depth of the mesh's two sides."""
    x, y, depth = mesh[SIDES[1]] - mesh[SIDES[0]]
    return math.degrees(math.atan2(abs(depth), math.hypot(x, y)))
