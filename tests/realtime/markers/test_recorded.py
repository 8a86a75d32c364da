"""Markers of recordings: which rows of a table they are, where they lie among the frames."""

from __future__ import annotations

from pathlib import Path

import pytest

from microspot.realtime.errors import DataError
from microspot.realtime.markers.recorded import (
    RecordedMarkers,
    TimedMarker,
    read_markers,
)
from microspot.realtime.records import FrameTime, Marker
from tests.realtime.markers.test_markers import STEP, end, time_of


def table(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_gives_the_markers_of_each_video_by_time(tmp_path: Path) -> None:
    path = table(tmp_path / "m.csv", "video;at_s;value\nb.mp4;2,5;flash\na;1;tone\n;0;begin\n")
    found = read_markers(path)
    assert [(m.video, m.at_s, m.value) for m in found] == [
        ("", 0, "begin"),
        ("a", 1, "tone"),
        ("b.mp4", 2.5, "flash"),
    ]
    without = read_markers(table(tmp_path / "n.csv", "at_s,value\n1,tone\n"))
    assert [m.video for m in without] == [""]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("at_s,value\n1,a\nsoon,b\n", "line 3: at_s 'soon', expected seconds"),
        ("at_s,value\n-1,a\n", "line 2: at_s '-1'"),
        ("at_s,value\n1e300,a\n", "line 2: at_s"),
        ("video,onset\na,1\n", "column 'at_s' is missing"),
        ("at_s,value\n", "no marker in it"),
    ],
)
def test_a_wrong_table_is_refused_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_markers(table(tmp_path / "m.csv", text))


def placed(*at_s: float) -> list[tuple[str, float, int]]:
    """What stands among the records of five frames: frames, the markers at these times, the end."""
    given = [TimedMarker("", at, "flash") for at in at_s]
    records = [*(time_of(i) for i in range(5)), end()]
    found = []
    for record in RecordedMarkers(given, "stimuli").among(records):
        if isinstance(record, Marker):
            assert (record.source, record.name) == ("cam", "stimuli")
            found.append((record.value, round(record.at_ns / STEP, 2), record.frame))
        elif isinstance(record, FrameTime):
            found.append(("frame", record.index, record.index))
    return found


def test_a_marker_stands_before_the_first_later_frame_beside_the_nearest() -> None:
    step_s = STEP / 1e9
    found = placed(2.8 * step_s, 2.2 * step_s, 0.0, 90 * step_s)
    assert found == [
        ("frame", 0, 0),
        ("flash", 0, 0),
        ("frame", 1, 1),
        ("frame", 2, 2),
        ("flash", 2.2, 2),
        ("flash", 2.8, 3),
        ("frame", 3, 3),
        ("frame", 4, 4),
        ("flash", 90, 4),
    ]


def test_a_recording_without_a_frame_has_no_marker() -> None:
    given = RecordedMarkers([TimedMarker("", 1.0, "flash")], "stimuli")
    assert list(given.among([end()])) == [end()]
