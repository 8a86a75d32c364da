"""Streams as cameras send them: the same rules as for files, in the capture worker."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from microspot.realtime.records import Frame, SourceState
from microspot.realtime.sources.open import SourceOptions, open_source
from tests.bitstreams import SHORT, boxed, header, remux
from tests.realtime.sources.test_odd_files import (
    COVER,
    marked,
    resized,
    stored,
    turned,
    video,
    write_pictures,
    write_tracks,
)
from tests.rtsp_server import RtspServer, read_number

FRAMES = 12
OPTIONS = SourceOptions(open_s=20.0, stall_s=10.0, retry_s=0.1)


class Latin1(RtspServer):
    """A camera whose name is not UTF-8."""

    def _reply(self, *request: str) -> bytes:
        return super()._reply(*request).replace(b"\r\ns=test\r\n", b"\r\ns=Caf\xe9\r\n")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a folder over HTTP."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=folder)
    ) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def frames(url: str) -> tuple[list[np.ndarray[Any, Any]], dict[str, int]]:
    """The pictures of one connection, and what was dropped."""
    found = []
    with open_source(url, options=OPTIONS) as source:
        for record in source:
            if isinstance(record, Frame):
                found.append(record.image)
            if isinstance(record, SourceState) and record.state == "lost":
                break
    return found, source.drops


def test_a_camera_with_messages_that_break_off_and_a_name_in_latin_1(tmp_path: Path) -> None:
    plain = write_tracks(tmp_path / "plain.mp4", video())
    unit = header("h264", 6) + SHORT
    path = remux(plain, tmp_path / "a.mp4", lambda _, packet: boxed(packet, unit))
    with Latin1(path) as server:
        found, drops = frames(server.url)
    assert [read_number(image) for image in found] == list(range(FRAMES))
    assert not drops


@pytest.mark.parametrize("matrix", [(0, 1, -1, 0), (-1, 0, 0, 1), (0, -1, -1, 0)])
def test_a_stream_is_shown_upright(tmp_path: Path, matrix: tuple[int, int, int, int]) -> None:
    plain = write_pictures(
        tmp_path / "plain.mp4", [stored(marked(number), matrix) for number in range(FRAMES)]
    )
    turned(plain, tmp_path / "a.mp4", matrix)
    with served(tmp_path) as url:
        found, _ = frames(f"{url}/a.mp4")
    assert len(found) == FRAMES
    assert all(
        np.abs(image.astype(int) - marked(number)).mean() < 2 for number, image in enumerate(found)
    )


@pytest.mark.parametrize(
    ("name", "tracks"),
    [
        ("a.mp4", [video(COVER, 900, 1, "mjpeg"), video()]),
        ("a.mkv", [video(1, 900, 1, "mjpeg"), video(0, frames=40)]),
        ("a.mkv", [video(0, 500), video(1)]),
    ],
    ids=["cover", "still", "default"],
)
def test_the_video_of_a_stream_is_watched(
    tmp_path: Path, name: str, tracks: list[dict[str, Any]]
) -> None:
    write_tracks(tmp_path / name, *tracks)
    with served(tmp_path) as url:
        found, _ = frames(f"{url}/{name}")
    assert [read_number(image) for image in found] == list(range(tracks[1]["frames"]))


def test_a_size_that_changes_on_the_way(tmp_path: Path) -> None:
    path = resized(tmp_path)
    with served(tmp_path) as url:
        found, drops = frames(f"{url}/{path.name}")
    assert [read_number(image) for image in found] == list(range(12))
    assert [image.shape[0] for image in found] == [120] * 6 + [240] * 6
    assert not drops
