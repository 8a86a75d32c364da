"""Cameras by name: listed, chosen, and opened by each system's backend."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any, ClassVar

import cv2
import pytest

from microspot.realtime.commands.reports import camera_lines
from microspot.realtime.errors import SourceError, UsageError
from microspot.realtime.records import Frame
from microspot.realtime.sources import cameras
from microspot.realtime.sources.address import parse
from microspot.realtime.sources.capture import device
from microspot.realtime.sources.capture.device import BACKENDS, Camera, Mode, cameras_of_linux, find
from microspot.realtime.sources.open import SourceOptions, open_source
from tests.rtsp_server import number_image, read_number

HERE = "tests.portability.test_cameras"
BRIO = Camera(0, "Logitech BRIO", "CAP_V4L2")
C920 = Camera(2, "HD Pro Webcam C920", "CAP_V4L2")


class Webcam:
    """Gives 640x480 unasked, 1280x720 if asked, each with its rate; its pictures say which."""

    SIZES: ClassVar = {(640, 480): 30.0, (1280, 720): 10.0}

    def __init__(self, target: str, *_: object) -> None:
        if target == "3":
            raise OSError("another program has it")
        self.number = int(target)
        self.size = (640, 480)
        self.asked = [0, 0]

    def get(self, number: int) -> float:
        return {
            cv2.CAP_PROP_FRAME_WIDTH: float(self.size[0]),
            cv2.CAP_PROP_FRAME_HEIGHT: float(self.size[1]),
            cv2.CAP_PROP_FPS: self.SIZES[self.size],
        }[number]

    def set(self, number: int, value: float) -> None:
        self.asked[number == cv2.CAP_PROP_FRAME_HEIGHT] = int(value)
        if tuple(self.asked) in self.SIZES:
            self.size = (self.asked[0], self.asked[1])

    def read(self) -> tuple[bool, Any]:
        return True, number_image(self.number, 40, 30)

    def release(self) -> None:
        """Do nothing: nothing is held."""


def connected() -> list[tuple[int, str, str]]:
    return [
        (0, "Logitech BRIO", "CAP_V4L2"),
        (2, "Twin", "CAP_V4L2"),
        (3, "Twin", "CAP_V4L2"),
        (1, "OBS Virtual Camera", "CAP_DSHOW"),
    ]


def nothing() -> list[tuple[int, str, str]]:
    return []


def options(cameras: str = "connected") -> SourceOptions:
    return SourceOptions(
        camera=f"{HERE}:Webcam", camera_list=f"{HERE}:{cameras}", retry_s=0.1, retry_max_s=0.2
    )


def test_cameras_are_listed_with_what_they_give() -> None:
    found = cameras.list_cameras(options())
    assert [camera.name for camera in found] == [
        "Logitech BRIO", "Twin#1", "Twin#2", "OBS Virtual Camera",
    ]  # fmt: skip
    assert [camera.number for camera in found] == [0, 2, 3, None]
    modes = (Mode(640, 480, 30.0), Mode(1280, 720, 10.0))
    assert [camera.modes for camera in found] == [modes, modes, (), modes]
    lines = list(camera_lines(found))
    assert lines[0] == "  0  camera:Logitech BRIO       640x480 at 30 Hz, 1280x720 at 10 Hz"
    assert lines[2].endswith("cannot be opened: another program has it")
    assert lines[3].startswith("  -  camera:OBS Virtual Camera")
    entry = json.loads(json.dumps(found[0].to_json()))
    assert entry["source"] == "camera:Logitech BRIO"
    assert entry["modes"][1] == {"width": 1280, "height": 720, "fps": 10.0}


def test_no_camera_is_an_error_of_its_source() -> None:
    with pytest.raises(SourceError, match="no camera was found"):
        cameras.list_cameras(options("nothing"))


@pytest.mark.parametrize(
    ("name", "number"),
    [("logitech brio", 0), ("brio", 0), ("Twin#2", 3), ("obs", 1)],  # cases and parts are enough
)
def test_a_camera_is_chosen_by_its_name(name: str, number: int) -> None:
    found = find(name, device.list_cameras({"camera_list": f"{HERE}:connected"}))
    assert found.number == number


def test_a_name_that_is_a_part_of_another_is_chosen_all_the_same() -> None:
    others = [Camera(0, "Cam", "CAP_V4L2"), Camera(1, "Cam 2", "CAP_V4L2")]
    assert find("cam", others).number == 0


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Twin", "several cameras .* camera:Twin#1, camera:Twin#2;"),  # not the others
        ("C920", "no camera is called so; there are camera:Logitech BRIO, camera:Twin#1"),
    ],
)
def test_a_name_of_several_or_of_none_says_which_there_are(name: str, told: str) -> None:
    with (
        pytest.raises(SourceError, match=told),
        open_source(f"camera:{name}", options=options()) as source,
    ):
        list(source)


def test_frames_come_from_the_camera_of_that_name() -> None:
    with open_source("camera:Twin#1", options=options()) as source:
        frame = next(record for record in source if isinstance(record, Frame))
    assert read_number(frame.image) == 2
    assert source.name == "camera:Twin#1"


def test_a_name_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("camera:x").mkdir()
    assert parse("camera:x").kind == "camera"
    assert parse("./camera:x").kind == "folder"
    with pytest.raises(UsageError, match="microspot cameras"):
        parse("camera: ")


def test_linux_lists_the_first_device_of_each_camera(tmp_path: Path) -> None:
    for number, name, index in ((2, C920.name, "0"), (0, BRIO.name, "0"), (1, BRIO.name, "1")):
        folder = tmp_path / f"video{number}"
        folder.mkdir()
        (folder / "name").write_text(f"{name}\n")
        (folder / "index").write_text(f"{index}\n")
    (tmp_path / "v4l-subdev0").mkdir()
    assert cameras_of_linux(tmp_path) == [BRIO, C920]
    assert cameras_of_linux(tmp_path / "nothing") == []


class Library(types.ModuleType):
    """cv2-enumerate-cameras, with the cameras of a Windows machine."""

    LISTS: ClassVar = {
        cv2.CAP_MSMF: ["BRIO", ""],
        cv2.CAP_DSHOW: ["BRIO", "OBS"],
        cv2.CAP_AVFOUNDATION: ["A"],
    }

    def enumerate_cameras(self, backend: int) -> list[Any]:
        names = enumerate(self.LISTS[backend])
        return [types.SimpleNamespace(index=at, name=name) for at, name in names]


def test_other_systems_list_theirs_by_each_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2_enumerate_cameras", Library("cv2_enumerate_cameras"))
    monkeypatch.setattr(sys, "platform", "win32")
    assert device.list_cameras({"camera_list": None}) == [
        Camera(0, "BRIO", "CAP_MSMF"),
        Camera(1, "camera 1", "CAP_MSMF"),
        Camera(1, "OBS", "CAP_DSHOW"),
    ]
    monkeypatch.setattr(sys, "platform", "darwin")
    assert device.list_cameras({"camera_list": None}) == [Camera(0, "A", "CAP_AVFOUNDATION")]
    monkeypatch.setattr(sys, "platform", "sunos5")
    with pytest.raises(OSError, match="give a number"):
        device.list_cameras({"camera_list": None})


@pytest.mark.parametrize(
    ("system", "target", "opened"),
    [
        ("linux", "1", (1, cv2.CAP_V4L2)),
        ("linux", "/dev/video1", ("/dev/video1", cv2.CAP_V4L2)),
        ("win32", "1", (1, cv2.CAP_MSMF)),
        ("win32", "camera:OBS", (1, cv2.CAP_DSHOW)),
        ("darwin", "0", (0, cv2.CAP_AVFOUNDATION)),
        ("sunos5", "0", (0, cv2.CAP_ANY)),
    ],
)
def test_each_system_opens_by_its_backend(
    monkeypatch: pytest.MonkeyPatch, system: str, target: str, opened: tuple[Any, int]
) -> None:
    asked = []

    def closed(*given: object) -> Any:
        asked.append(given)
        return types.SimpleNamespace(isOpened=lambda: False)

    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(cv2, "VideoCapture", closed)
    monkeypatch.setitem(sys.modules, "cv2_enumerate_cameras", Library("cv2_enumerate_cameras"))
    config = {"target": target, "camera": None, "camera_list": None, "fps": None, "size": None}
    with pytest.raises(OSError, match="is it plugged in"):
        device.open_device(config)
    assert asked == [opened]


def test_every_backend_is_one_of_opencv() -> None:
    names = [name for backends in BACKENDS.values() for name in backends]
    assert all(isinstance(getattr(cv2, name), int) for name in names)
