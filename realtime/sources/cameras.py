"""The cameras of this machine: `list_cameras()`, each with what it says that it gives.

Processes of their own ask (`capture`), since a driver may hang: one for the list, one for each
camera, each for a time. A camera is opened, and no picture is taken; its light may go on.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import SourceError
from .capture.client import CaptureClient, CaptureError
from .capture.device import BACKENDS, BY_NAME, OTHER_BACKENDS, Camera, Mode
from .options import SourceOptions

NONE = "no camera was found: plug one in, and see that this user may use it"


@dataclass(frozen=True)
class ListedCamera:
    """A camera of this machine.

    number: by which `watch` opens it, None where its name alone does; backend: of OpenCV; modes:
    sizes and rates, the one that it gives unasked first; problem: why there are none.
    """

    number: int | None
    name: str
    backend: str
    modes: tuple[Mode, ...]
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        """The entry of `microspot cameras --json`."""
        return {
            "number": self.number,
            "source": f"{BY_NAME}{self.name}",
            "backend": self.backend,
            "modes": [mode._asdict() for mode in self.modes],
            "problem": self.problem,
        }


def list_cameras(options: SourceOptions | None = None) -> list[ListedCamera]:
    """Every camera of this machine.

    Raises SourceError where there is none, or where the list cannot be had.
    """
    options = options or SourceOptions()
    try:
        found = [Camera(*entry) for entry in _ask("cameras", options)]
    except CaptureError as error:
        raise SourceError(f"the cameras cannot be listed: {error}; give a number") from error
    if not found:
        raise SourceError(NONE)
    return [_with_modes(camera, options) for camera in found]


def _with_modes(camera: Camera, options: SourceOptions) -> ListedCamera:
    first = BACKENDS.get(sys.platform, OTHER_BACKENDS)[0]
    number = camera.number if camera.backend == first else None
    try:
        told = _ask("modes", options, target=str(camera.number), backend=camera.backend)
    except CaptureError as error:
        return ListedCamera(number, camera.name, camera.backend, (), str(error))
    modes = tuple(Mode(*entry) for entry in told)
    return ListedCamera(number, camera.name, camera.backend, modes)


def _ask(kind: str, options: SourceOptions, **more: Any) -> list[list[Any]]:
    """The answer of a worker; raises CaptureError where none comes in time."""
    config = {
        "kind": kind,
        "target": "",
        "fps": None,
        "size": None,
        "camera": options.camera,
        "camera_list": options.camera_list,
        "queue_ns": 0,
        "queue_bytes": 0,
    }
    worker = CaptureClient(config | more, options.max_pixels)
    try:
        _next(worker.receive, options.start_s, "ready")
        answer: list[list[Any]] = _next(worker.receive, options.open_s, "answer")["answer"]
        return answer
    except TimeoutError:
        raise CaptureError(f"no answer within {options.open_s:g} s") from None
    finally:
        worker.close()


def _next(
    receive: Callable[[float], tuple[dict[str, Any], Any]], seconds: float, kind: str
) -> dict[str, Any]:
    """The next message, which is to be of a kind; raises CaptureError for another."""
    header, _ = receive(time.monotonic() + seconds)
    if header["type"] != kind:
        raise CaptureError(header.get("detail", "the capture worker answered something else"))
    return header
