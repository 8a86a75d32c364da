"""A recording as a set: what lies on a disk, and which micro-expression is whose segment's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from microspot.engines.data.aligned.recordings import (
    INDEX,
    AlignedRecording,
    AlignedSegment,
    read_recordings,
    write_recording,
)
from microspot.engines.data.annotations import Interval
from microspot.engines.errors import DataError

MS = 1_000_000


def times(first: int, last: int) -> np.ndarray:
    """Of frames at 100 Hz."""
    return np.arange(first, last, dtype=np.int64) * 10 * MS


def micro(onset: int, offset: int, kind: str = "micro") -> Interval:
    return Interval("s1", "v", onset, None, offset, kind, "positive", units=(("AU4", 1.0),))


def recording(folder: Path) -> AlignedRecording:
    """Two segments, frames 0-49 and 60-99, of 120 frames of which one in two was aligned."""
    folder.mkdir(exist_ok=True)
    truth = (micro(10, 20), micro(40, 66), micro(52, 58), micro(62, 90, "macro"))
    segments = (AlignedSegment(0, times(0, 50)[::2]), AlignedSegment(25, times(60, 100)[::2]))
    index = np.arange(120, dtype=np.int64)
    return AlignedRecording(
        folder, "cas-me-2", "s1", "v", 100.0, 1.2, truth, index, index * 10 * MS, segments
    )


def test_a_movement_belongs_to_the_segment_that_shares_most_time_with_it(tmp_path: Path) -> None:
    first, second = recording(tmp_path).clips()
    told = [
        [(move["kind"], move["onset_ns"] // MS, move["offset_ns"] // MS) for move in clip]
        for clip in (first["movements"], second["movements"])
    ]
    assert told == [
        [("micro", 100, 200), ("micro", 400, 660)],
        [("doubtful", 400, 660), ("macro", 620, 900)],
    ], "one that no segment shows is in none"
    assert (second["start"], second["count"], second["times_ns"][0]) == (25, 20, 600 * MS)
    assert first["face"] == "cas-me-2/s1"
    assert not first["labelled"], "nobody wrote down what else moves"


def test_what_was_written_is_read(tmp_path: Path) -> None:
    own = recording(tmp_path / "v")
    write_recording(own)
    (read,) = read_recordings([tmp_path])
    assert read.truth == own.truth
    assert read.clips() == own.clips()
    assert (read.subject, read.seconds, read.fps, read.split) == ("s1", 1.2, 100.0, "train")
    assert (read.frame_ns == own.frame_ns).all()


def test_a_recording_without_a_face_is_no_set(tmp_path: Path) -> None:
    own = recording(tmp_path / "v")
    write_recording(own)
    write_recording(replace(own, segments=()))
    assert not (tmp_path / "v" / INDEX).exists()
    (read,) = read_recordings([tmp_path])
    assert read.segments == ()
    assert len(read.truth) == 4


def test_wrong_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no aligned recordings; make them with microspot evaluate"):
        read_recordings([tmp_path])
    for name in ("a", "b"):
        write_recording(recording(tmp_path / name))
        if name == "a":
            assert len(read_recordings([tmp_path, tmp_path / "." / "a" / ".."])) == 1
    with pytest.raises(DataError, match="are of one video"):
        read_recordings([tmp_path])
    (tmp_path / "a" / "recording.json").write_text("{}")
    with pytest.raises(DataError, match="remove its folder"):
        read_recordings([tmp_path])
