"""Sinks: what reaches the disk, what stays after a failure, and which error a person gets."""

from __future__ import annotations

import csv
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from microspot.engines.errors import DataError, UsageError
from microspot.realtime.records import Frame
from microspot.realtime.sinks import window
from microspot.realtime.sinks.base import Sink, announce
from microspot.realtime.sinks.open import open_sink
from microspot.realtime.sinks.text_files import CSV_COLUMNS
from microspot.realtime.sinks.video_writer import VideoWriter

START = {
    "type": "start",
    "sources": [{"source": "cam", "started_utc": None}],
    "backend": "fake",
    "grid_hz": 30,
}


def event(name: str = "a", status: str = "final", **other: Any) -> dict[str, Any]:
    record = {
        "type": "event", "id": name, "source": "cam", "face": 0, "status": status,
        "onset_s": 1.0, "apex_s": 1.1, "offset_s": 1.3, "onset_frame": 30, "apex_frame": 33, "offset_frame": 39,
        "score": 0.91, "label": "surprise", "label_scores": {"surprise": 0.8, "negative": 0.2},
        "intensity": [0.1, 1.0, 0.2], "emitted_s": 2.0,
    }  # fmt: skip
    return record | other


RECORDS = [
    START,
    event("a", "provisional", label=None, label_scores=None, intensity=None),
    event("a"),
    {
        "type": "gap",
        "source": "cam",
        "face": None,
        "reason": "no face",
        "start_s": 2.0,
        "stop_s": 3.0,
    },
    event("b", "withdrawn", label=None),
    {"type": "end", "source": "cam", "frames": 90, "events": 1, "drops": {}},
]


def fill(sink: Sink, records: list[dict[str, Any]] = RECORDS) -> None:
    with sink:
        for record in records:
            sink.take(record)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    ("provisional", "expected"), [(True, RECORDS), (False, [RECORDS[i] for i in (0, 2, 3, 5)])]
)
def test_jsonl_holds_the_wanted_records(
    tmp_path: Path, provisional: bool, expected: list[dict[str, Any]]
) -> None:
    sink = open_sink(str(tmp_path / "e.jsonl"), provisional=provisional)
    assert sink.wants_provisional == provisional
    fill(sink)
    assert lines(tmp_path / "e.jsonl") == expected


def test_jsonl_is_on_disk_before_close_and_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_text("what an earlier run left\n")
    with open_sink(str(path)) as sink:
        sink.write(START)
        assert lines(path) == [START]


def test_callback_and_stdout_take_the_same_records(capsys: pytest.CaptureFixture[str]) -> None:
    taken: list[dict[str, Any]] = []
    fill(open_sink(taken.append))
    fill(open_sink("stdout"))
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == taken
    assert [record["type"] for record in taken] == ["start", "event", "gap", "end"]


def test_csv_holds_final_events_as_text_and_numbers(tmp_path: Path) -> None:
    path = tmp_path / "e.csv"
    start = START | {"sources": [{"source": "007", "fps": 29.97}]}
    fill(
        open_sink(str(path), provisional=True),
        [start, *RECORDS[1:], event("c", source="007", face=1, label=None)],
    )
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == CSV_COLUMNS
    first, second = (tuple(row.values()) for row in rows)
    assert first == ("", "cam", "30", "33", "39", "micro", "surprise", "0.91", "")
    assert second == ("1", "007", "30", "33", "39", "micro", "", "0.91", "29.97")


def test_csv_quotes_and_keeps_undecodable_names(tmp_path: Path) -> None:
    name = os.fsdecode(b'clip "1", \xff.mp4')
    fill(open_sink(str(tmp_path / "e.csv")), [event(source=name)])
    with (tmp_path / "e.csv").open(newline="", errors="surrogateescape") as file:
        assert [row["video"] for row in csv.DictReader(file)] == [name]


@pytest.mark.parametrize(
    "uri", ["events.txt", "events", "mqtt://host/a.csv", "https://host/e.jsonl", ""]
)
def test_unknown_kinds_are_refused_with_the_known_ones(uri: str) -> None:
    with pytest.raises(
        UsageError, match=r"'window' or a path ending in \.jsonl, \.csv, \.mp4, \.eaf or \.html"
    ):
        open_sink(uri)


@pytest.mark.parametrize("name", ["e.jsonl", "e.csv", "e.mp4", "e.eaf", "e.html"])
def test_unwritable_paths_are_refused_at_once(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="its directory does not exist; create it first"):
        open_sink(str(tmp_path / "missing" / name))
    (tmp_path / name).mkdir()
    with pytest.raises(DataError, match="Is a directory"):
        open_sink(str(tmp_path / name))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_full_disk_is_one_data_error(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"e.{ending}"
    path.symlink_to("/dev/full")
    with pytest.raises(DataError, match=r"cannot write .*No space left on device") as caught:
        fill(open_sink(str(path)))
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 5


LIMITED = """
import resource, sys
from microspot.realtime.sinks.open import open_sink
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
with open_sink(sys.argv[1]) as sink:
    for i in range(100):
        sink.write({"type": "state", "source": "cam", "state": "live", "detail": str(i)})
"""


def test_a_line_that_fails_half_way_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, check=False
    )
    assert "DataError" in done.stderr
    assert "what was written before is kept" in done.stderr
    kept = lines(path)  # every line parses
    assert [record["detail"] for record in kept] == [str(i) for i in range(len(kept))]
    assert 900 < path.stat().st_size <= 1000


STDOUT = """
from microspot.realtime.errors import DataError
from microspot.realtime.sinks.open import open_sink
try:
    open_sink("-").write({"type": "start", "sources": []})
except DataError as error:
    raise SystemExit(error.exit_code)
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_stdout_leaves_the_exit_code_alone() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", STDOUT], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (5, b"")


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


def test_mp4_is_h264_that_browsers_play(tmp_path: Path) -> None:
    with open_sink(str(tmp_path / "v.mp4")) as sink:
        for frame in frames(3):
            sink.draw(frame, [])
    with av.open(str(tmp_path / "v.mp4")) as file:
        stream = file.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width % 2, stream.height % 2) == (0, 0)
    data = (tmp_path / "v.mp4").read_bytes()
    assert (
        data.rfind(b"moov") > data.rfind(b"mdat") > 0
    )  # finished: an ordinary file, not fragments


def test_mp4_skips_times_that_do_not_rise_and_fits_other_sizes(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "v.mp4") as writer:
        for ns, size in (
            (0, (48, 64)),
            (0, (48, 64)),
            (40_000_000, (100, 30)),
            (20_000_000, (48, 64)),
        ):
            writer.write(np.full((*size, 3), 200, np.uint8), ns)
        assert writer.frames == 2
    _, images = decode(tmp_path / "v.mp4")
    assert (
        images[1][:, :12].mean() > 150 > 50 > images[1][:, 20:].mean()
    )  # 14 columns of picture, then black


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
    """A picture that drifts over noise, and cuts to another every 40 frames: key frames come at uneven times."""
    rng = np.random.default_rng(3)
    for i in range(count):
        if i % 40 == 0:
            wall = rng.integers(0, 255, (120, 400, 3), np.uint8)
        yield wall[:, i : i + 160]


@pytest.mark.parametrize(("hz", "most"), [(30, 29), (10, 10), (5, 5)])
def test_what_is_on_disk_is_at_most_a_second_behind(tmp_path: Path, hz: int, most: int) -> None:
    """What another program finds in the file at any moment is what signal 9 would leave."""
    path, behind = tmp_path / "v.mp4", []
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
    writer.close()  # again, and in silence


def test_mp4_shows_one_source(tmp_path: Path) -> None:
    with (
        open_sink(str(tmp_path / "v.mp4")) as sink,
        pytest.raises(UsageError, match="one source, not 2"),
    ):
        sink.write(START | {"sources": [{"source": "a"}, {"source": "b"}]})


def test_every_picture_tells_what_is_stored(tmp_path: Path) -> None:
    sinks = [open_sink(str(tmp_path / "v.mp4")), open_sink(str(tmp_path / "e.jsonl"))]
    announce(sinks)
    assert [sink.notes for sink in sinks] == [("recording to v.mp4",)] * 2
    for sink in sinks:
        sink.close()


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the display is a variable on Linux alone"
)
@pytest.mark.parametrize(
    ("display", "reason"),
    [
        (None, "neither DISPLAY nor WAYLAND_DISPLAY is set"),
        (":987", "OpenCV cannot reach the display"),
    ],
)
def test_window_without_display_is_a_usage_error(
    monkeypatch: pytest.MonkeyPatch, display: str | None, reason: str
) -> None:
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    if display:
        monkeypatch.setenv("DISPLAY", display)
    with pytest.raises(UsageError, match=reason):
        open_sink("window")


def test_pressing_q_in_the_window_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[str, tuple[int, ...]]] = []
    keys = [-1, ord("q")]
    monkeypatch.setattr(window, "_display_trouble", lambda: "")
    for name in ("namedWindow", "resizeWindow", "destroyAllWindows"):
        monkeypatch.setattr(window.cv2, name, lambda *_: None)
    monkeypatch.setattr(window.cv2, "getWindowProperty", lambda *_: 1.0)
    monkeypatch.setattr(window.cv2, "waitKey", lambda _: keys.pop(0))
    monkeypatch.setattr(
        window.cv2, "imshow", lambda title, image: shown.append((title, image.shape))
    )
    first, second = frames(2)
    with open_sink("window") as sink:
        sink.draw(first, [])
        with pytest.raises(KeyboardInterrupt):
            sink.draw(second, [])
    assert [title for title, _ in shown] == ["microspot: cam"] * 2
