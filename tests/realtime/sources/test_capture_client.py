"""The parent's end of a capture worker, with workers that do what they should not."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from microspot.realtime.sources.capture import client
from microspot.realtime.sources.capture.client import CaptureClient, CaptureError

HERE = "tests.realtime.sources.test_capture_client"
PATIENCE_S = 60.0  # for a worker to start, on a machine that does much else
PRELUDE = """
import json, os, struct, sys, time
def message(header, image=b""):
    text = json.dumps(header).encode()
    return struct.pack(">I", len(text)) + text + image
def send(data):
    os.write(1, data)
"""


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Any]:
    """Starts a client of a worker that is this code."""

    @contextmanager
    def start(code: str) -> Iterator[CaptureClient]:
        (tmp_path / "worker.py").write_text(PRELUDE + code, encoding="utf-8")
        monkeypatch.setattr(client, "WORKER", tmp_path / "worker.py")
        made = CaptureClient({}, 100)
        try:
            yield made
        finally:
            made.close()

    return start


def soon() -> float:
    return time.monotonic() + PATIENCE_S


def test_messages_come_in_order_and_the_end_is_told(started: Callable[[str], Any]) -> None:
    code = """
send(message({"type": "ready"}))
send(message({"type": "frame", "height": 2, "width": 3}, bytes(range(18))))
"""
    with started(code) as worker:
        assert worker.receive(soon()) == ({"type": "ready"}, None)
        header, image = worker.receive(soon())
        assert header["type"] == "frame"
        assert image.tobytes() == bytes(range(18))
        assert image.shape == (2, 3, 3)
        for _ in range(2):
            with pytest.raises(CaptureError, match="died"):
                worker.receive(soon())


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ('send(struct.pack(">I", 1 << 20) + bytes(100))', "a header of 1048576 bytes"),
        ('send(struct.pack(">I", 3) + b"{]}")', "no message"),
        ("send(message([1]))", "no message"),
        ('send(message({"type": "frame", "height": 11, "width": 10}))', "frames of 10x11"),
        ('send(message({"type": "frame", "height": "high", "width": 10}))', "no message"),
    ],
)
def test_what_is_no_message_ends_the_worker(
    started: Callable[[str], Any], code: str, told: str
) -> None:
    with (
        started(f"{code}\nsend(bytes(1 << 20))\ntime.sleep(3600)") as worker,
        pytest.raises(CaptureError, match=told),
    ):
        worker.receive(soon())


def test_silence_is_told_at_the_deadline(started: Callable[[str], Any]) -> None:
    code = 'send(message({"type": "ready"}))\nsend(b"ab")\ntime.sleep(3600)'
    with started(code) as worker:
        worker.receive(soon())
        with pytest.raises(TimeoutError):
            worker.receive(time.monotonic() + 0.3)


DRIP = """
send(message({"type": "ready"}))
for byte in message({"type": "end"}):
    send(bytes([byte]))
    time.sleep(0.2)
"""


def test_what_is_under_way_at_the_deadline_is_read(
    started: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "SLICE_S", 2.0)  # less than the message takes
    monkeypatch.setattr(client, "LATE_S", PATIENCE_S)
    with started(DRIP) as worker:
        worker.receive(soon())
        assert worker.receive(time.monotonic())[0] == {"type": "end"}


def test_what_never_ends_is_not_waited_for(
    started: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "SLICE_S", 2.0)  # in which something comes, however late
    monkeypatch.setattr(client, "LATE_S", 1.0)
    code = 'send(message({"type": "ready"}))\nsend(struct.pack(">I", 1000))\n'
    with started(code + "for _ in range(1000):\n    send(b' ')\n    time.sleep(0.01)") as worker:
        worker.receive(soon())
        with pytest.raises(TimeoutError):
            worker.receive(time.monotonic())


class Flood:
    """Always has a frame, more of them than anybody takes; says whether it was released."""

    def __init__(self, target: str) -> None:
        self.target = target

    def read(self) -> tuple[bool, Any]:
        return True, np.zeros((480, 640, 3), np.uint8)

    def release(self) -> None:
        Path(self.target).write_text("released")


def flood(target: str, *_: object) -> Flood:
    return Flood(target)


class Nosy:
    """Reads standard input and prints, as libraries may, before it gives a frame."""

    def read(self) -> tuple[bool, Any]:
        os.write(1, b"printed\n" * 100)
        return True, np.full((1, 1, 3), len(os.read(0, 1)), np.uint8)

    def release(self) -> None:
        """Do nothing: nothing is held."""


def nosy(*_: object) -> Nosy:
    return Nosy()


def config(camera: str, target: str = "0") -> dict[str, Any]:
    return {
        "kind": "camera",
        "target": target,
        "fps": None,
        "size": None,
        "camera": f"{HERE}:{camera}",
        "camera_list": None,
        "unread_frames": 5,
        "queue_ns": 10**12,
        "queue_bytes": 1 << 26,
    }


def test_a_worker_that_nobody_reads_leaves_in_good_order(tmp_path: Path) -> None:
    worker = CaptureClient(config("flood", str(tmp_path / "note")), 10**6)
    worker.receive(soon())
    while worker._message is None:
        time.sleep(0.01)
    worker.close(PATIENCE_S)
    assert worker._process.returncode == 0
    assert not worker._thread.is_alive()
    assert (tmp_path / "note").read_text() == "released"
    with pytest.raises(CaptureError, match="closed"):
        worker.receive(soon())


def test_libraries_neither_wait_for_the_parent_nor_speak_to_it() -> None:
    worker = CaptureClient(config("nosy"), 100)
    try:
        worker.receive(soon())
        _, image = worker.receive(soon())
        assert image is not None
        assert image.tolist() == [[[0, 0, 0]]]  # the end of an empty input
    finally:
        worker.close()
