"""Fixtures for tests of live sources."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.children import children_of
from tests.rtsp_server import write_clip


@pytest.fixture
def nothing_left_behind() -> Iterator[None]:
    """Fails the test where a thread, a process or an open file is left after it."""
    threads = set(threading.enumerate())
    processes = children_of(os.getpid())
    files = len(os.listdir("/proc/self/fd"))
    yield
    assert set(threading.enumerate()) == threads
    assert children_of(os.getpid()) == processes
    assert len(os.listdir("/proc/self/fd")) <= files


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """45 numbered frames, a key frame every 15."""
    return write_clip(tmp_path_factory.mktemp("rtsp") / "clip.mp4", 45)
