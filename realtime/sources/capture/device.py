"""Local cameras: which there are, what they are called, and how each system's are opened.

OpenCV opens a camera by its number in the list of one backend and knows no names. So names come
from where the backend's list comes from, in its order:

Linux           /sys/class/video4linux, which needs no library and opens no camera
Windows, macOS  cv2-enumerate-cameras, which asks Media Foundation, DirectShow or AVFoundation. It
                is small (MIT, no network code), kept since 2024, and orders AVFoundation's cameras
                as OpenCV does. On Linux it would open every camera, so it is not used there.

This module imports nothing of this project, so that the worker stays light.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

BY_NAME = "camera:"  # what an address of a camera by its name begins with
# By system, OpenCV's backends, the one to which a bare number belongs first. DirectShow is there
# for virtual cameras, which Media Foundation does not list.
BACKENDS: dict[str, tuple[str, ...]] = {
    "linux": ("CAP_V4L2",),
    "darwin": ("CAP_AVFOUNDATION",),
    "win32": ("CAP_MSMF", "CAP_DSHOW"),
}
OTHER_BACKENDS = ("CAP_ANY",)
ADVICE: dict[str, str] = {
    "darwin": "is it plugged in, and may this program use it (Settings, Privacy & Security)?",
    "win32": "is it plugged in, and may desktop apps use it (Settings, Privacy, Camera)?",
}
OTHER_ADVICE = "is it plugged in, and may this user read it?"
# Sizes that a camera is asked whether it takes; what a webcam gives, in pixels.
COMMON_SIZES = ((320, 240), (640, 480), (1280, 720), (1920, 1080), (3840, 2160))
SYSFS = Path("/sys/class/video4linux")
# Media Foundation takes up to a minute to open a camera through its hardware transforms.
SLOW_TRANSFORMS = "OPENCV_VIDEOIO_MSMF_ENABLE_HW_TRANSFORMS"


class Camera(NamedTuple):
    """A camera: its number in the list of `backend` (of OpenCV), and its name."""

    number: int
    name: str
    backend: str


class Mode(NamedTuple):
    """A size in pixels that a camera gives, and its rate in Hz; 0 where it does not say."""

    width: int
    height: int
    fps: float


def cameras_of_linux(folder: Path = SYSFS) -> list[Camera]:
    """The cameras that the kernel lists.

    A camera may have several devices; the first gives pictures, others what is known of them.
    """
    found = []
    for device in folder.glob("video*"):
        number = device.name.removeprefix("video")
        if number.isdecimal() and _line(device / "index") in ("", "0"):
            name = _line(device / "name") or device.name
            found.append(Camera(int(number), name, BACKENDS["linux"][0]))
    return sorted(found)


def cameras_of_library() -> list[Camera]:
    """The cameras of every backend of this system, each name of a later backend only if new."""
    import cv2
    from cv2_enumerate_cameras import enumerate_cameras

    found: list[Camera] = []
    for backend in BACKENDS[sys.platform]:
        known = {camera.name for camera in found}
        for info in enumerate_cameras(getattr(cv2, backend)):
            name = info.name or f"camera {info.index}"
            if name not in known:
                found.append(Camera(info.index, name, backend))
    return found


LISTS: dict[str, Callable[[], list[Camera]]] = {
    "linux": cameras_of_linux,
    "darwin": cameras_of_library,
    "win32": cameras_of_library,
}


def list_cameras(config: dict[str, Any]) -> list[Camera]:
    """The cameras of this system, or those of a function named by the options.

    Of several with the same name, each name ends in # and a number from 1 on. Raises OSError for a
    system whose cameras have no names here.
    """
    if config["camera_list"]:
        found = [Camera(*entry) for entry in _function(config["camera_list"])()]
    elif sys.platform in LISTS:
        found = LISTS[sys.platform]()
    else:
        raise OSError(f"cameras have no names here on {sys.platform}: give a number")
    counts = Counter(camera.name for camera in found)
    numbers: Counter[str] = Counter()
    for at, camera in enumerate(found):
        if counts[camera.name] > 1:
            numbers[camera.name] += 1
            found[at] = camera._replace(name=f"{camera.name}#{numbers[camera.name]}")
    return found


def find(name: str, cameras: Sequence[Camera]) -> Camera:
    """The camera of that name, or the only one with it in its name; cases do not matter.

    Raises OSError, which says which there are, where it is none or several.
    """
    wanted = name.casefold()
    exact = [camera for camera in cameras if camera.name.casefold() == wanted]
    found = exact or [camera for camera in cameras if wanted in camera.name.casefold()]
    if len(found) == 1:
        return found[0]
    if not cameras:
        raise OSError("there is no camera")
    what = "several cameras have that in their names" if found else "no camera is called so"
    names = ", ".join(f"{BY_NAME}{camera.name}" for camera in found or cameras)
    raise OSError(f"{what}; there are {names}")


def load_opencv() -> Any:
    """The module cv2, which reads its settings when it is imported."""
    os.environ.setdefault(SLOW_TRANSFORMS, "0")
    import cv2

    return cv2


def open_device(config: dict[str, Any]) -> Any:
    """The camera, opened: OpenCV's, or that of a function named by the options.

    Raises OSError when it cannot be opened.
    """
    target = config["target"]
    backend = config.get("backend") or BACKENDS.get(sys.platform, OTHER_BACKENDS)[0]
    if target.startswith(BY_NAME):
        camera = find(target.removeprefix(BY_NAME), list_cameras(config))
        target = str(camera.number)
        backend = camera.backend
    fps = config["fps"]
    size = config["size"]
    if config["camera"]:
        return _function(config["camera"])(target, fps, size)
    cv2 = load_opencv()
    device = cv2.VideoCapture(int(target) if target.isdecimal() else target, getattr(cv2, backend))
    if not device.isOpened():
        raise OSError(f"camera {target} cannot be opened: {ADVICE.get(sys.platform, OTHER_ADVICE)}")
    if size:
        _ask_for_size(device, size)
    if fps:
        device.set(cv2.CAP_PROP_FPS, fps)
    return device


def list_modes(config: dict[str, Any]) -> list[Mode]:
    """What a camera says that it gives: unasked first, then when asked for COMMON_SIZES.

    No picture is taken. Empty where it does not say. Raises OSError when it cannot be opened.
    """
    device = open_device(config)
    try:
        return _modes(device) if hasattr(device, "get") else []
    finally:
        device.release()


def _modes(device: Any) -> list[Mode]:
    found = [_mode(device)]
    for size in COMMON_SIZES:
        _ask_for_size(device, size)
        found.append(_mode(device))
    return [mode for mode in dict.fromkeys(found) if mode.width > 0 and mode.height > 0]


# What a worker may be asked instead of to capture.
ANSWERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "cameras": list_cameras,
    "modes": list_modes,
}


def _mode(device: Any) -> Mode:
    import cv2

    width, height, fps = (
        device.get(number)
        for number in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS)
    )
    return Mode(int(width), int(height), max(0.0, round(float(fps), 2)))


def _ask_for_size(device: Any, size: tuple[int, int]) -> None:
    import cv2

    device.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
    device.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])


def _function(path: str) -> Any:
    """The function of a text such as module:function."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def _line(path: Path) -> str:
    """The first line of a file; empty where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").partition("\n")[0].strip()
    except OSError:
        return ""
