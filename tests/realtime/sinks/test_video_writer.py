"""The video of the overlay: its times and pictures, and what a crash or a full disk leaves."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from microspot.engines.errors import DataError, UsageError
from microspot.realtime.overlay import draw
from microspot.realtime.records import Frame
from microspot.realtime.sinks.open import open_sink
from microspot.realtime.sinks.video_writer import VideoWriter


def frames(count: int, size: tuple[int, int] = (48, 64)) -> list[Frame]:
    """Frames at uneven times, brighter one by one."""
    times = np.cumsum([0, *np.resize([33_333_333, 50_000_000, 16_666_667], count - 1)])
    return [
        Frame("cam", i, int(t), np.full((*size, 3), 20 + 6 * i, np.uint8))
        for i, t in enumerate(times)
    ]


def decode(path: Path) -> tuple[list[float], list[np.ndarray]]:
    with av.open(str(path)) as file:
        pictures = list(file.decode(video=0))
    return [p.time for p in pictures], [p.to_ndarray(format="bgr24") for p in pictures]


def test_mp4_keeps_count_times_and_brightness(tmp_path: Path) -> None:
    given = frames(30, (47, 63))
    with VideoWriter(tmp_path / "v.mp4") as writer:
        for frame in given:
            writer.write(frame.image, frame.captured_ns + 5_000_000_000)
    times, images = decode(tmp_path / "v.mp4")
    assert len(times) == 30
    assert times == pytest.approx([f.captured_ns / 1e9 for f in given], abs=1e-4)
    assert images[0].shape == (48, 64, 3)
    for frame, image in zip(given, images, strict=True):
        assert abs(float(image[:46, :62].mean()) - frame.image[0, 0, 0]) < 3


@pytest.mark.parametrize("asked", [False, True])
def test_arrows_are_drawn_where_they_are_asked_for(
    asked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[bool] = []

    def picture(image: np.ndarray, _: object, *, arrows: bool, **__: object) -> np.ndarray:
        drawn.append(arrows)
        return image

    monkeypatch.setattr(draw, "draw", picture)
    with open_sink(str(tmp_path / "v.mp4"), arrows=asked) as sink:
        sink.draw(frames(1)[0], [])
    assert drawn == [asked]


def test_mp4_is_h264_that_browsers_play(tmp_path: Path) -> None:
    with open_sink(str(tmp_path / "v.mp4")) as sink:
        for frame in frames(3):
            sink.draw(frame, [])
    with av.open(str(tmp_path / "v.mp4")) as file:
        stream = file.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width % 2, stream.height % 2) == (0, 0)
    data = (tmp_path / "v.mp4").read_bytes()
    # An ordinary file, not fragments.
    assert data.rfind(b"moov") > data.rfind(b"mdat") > 0


def test_mp4_skips_times_that_do_not_rise_and_fits_other_sizes(tmp_path: Path) -> None:
    wide = np.full((48, 64, 3), 200, np.uint8)
    high = np.full((100, 30, 3), 200, np.uint8)
    with VideoWriter(tmp_path / "v.mp4") as writer:
        writer.write(wide, 0)
        writer.write(wide, 0)
        writer.write(high, 40_000_000)
        writer.write(wide, 20_000_000)
        assert writer.frames == 2
    _, images = decode(tmp_path / "v.mp4")
    # 14 columns of picture, then black.
    assert images[1][:, :12].mean() > 150
    assert images[1][:, 20:].mean() < 50


def test_mp4_without_frames_leaves_no_file(tmp_path: Path) -> None:
    open_sink(str(tmp_path / "v.mp4")).close()
    assert not list(tmp_path.iterdir())


CRASH = """
import os, signal, sys, numpy as np
from pathlib import Path
from microspot.realtime.sinks.video_writer import VideoWriter
writer = VideoWriter(Path(sys.argv[1]))
for i in range(145):
    writer.write(np.full((48, 64, 3), i, np.uint8), i * 33_333_333)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_mp4_survives_a_crash(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", CRASH, str(tmp_path / "v.mp4")], check=False)
    assert done.returncode == -signal.SIGKILL
    times, _ = decode(tmp_path / "v.mp4")
    assert len(times) >= 145 - 30
    assert times == pytest.approx(np.arange(len(times)) / 30, abs=1e-4)


def moving(count: int) -> Iterator[np.ndarray]:
    """A picture that drifts over noise and cuts to another every 40 frames.

    The cuts make key frames come at uneven times.
    """
    rng = np.random.default_rng(3)
    for i in range(count):
        if i % 40 == 0:
            wall = rng.integers(0, 255, (120, 400, 3), np.uint8)
        yield wall[:, i : i + 160]


@pytest.mark.parametrize(("hz", "most"), [(30, 29), (10, 10), (5, 5)])
def test_what_is_on_disk_is_at_most_a_second_behind(tmp_path: Path, hz: int, most: int) -> None:
    """What another program finds in the file at any moment is what signal 9 would leave."""
    path = tmp_path / "v.mp4"
    behind = []
    with VideoWriter(path) as writer:
        for count, image in enumerate(moving(100), 1):
            writer.write(image, round(count * 1e9 / hz))
            if count > most and count % 4 == 0:
                behind.append(count - len(decode(path)[0]))
    assert 0 < max(behind) <= most, behind
    assert len(decode(path)[0]) == 100  # and nothing is missing in the end


def write_noise(writer: VideoWriter) -> None:
    rng = np.random.default_rng(0)
    with writer:
        for i in range(200):
            writer.write(rng.integers(0, 255, (96, 128, 3), np.uint8), i * 33_333_333)


def test_mp4_on_a_full_disk_is_one_data_error(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    writer = VideoWriter(tmp_path / "v.mp4")
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(DataError, match=r"cannot write .*v\.mp4: File too large"):
            write_noise(writer)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert writer.frames < 200
    writer.close()  # a second time, which raises nothing


def test_mp4_shows_one_source(tmp_path: Path) -> None:
    with (
        open_sink(str(tmp_path / "v.mp4")) as sink,
        pytest.raises(UsageError, match="one source, not 2"),
    ):
        sink.write({"type": "start", "sources": [{"source": "a"}, {"source": "b"}]})
