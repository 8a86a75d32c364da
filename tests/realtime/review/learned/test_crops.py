"""Crops around decided events: which frames, what is true of them, and what training reads."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from microspot.engines.alignment.aligner import Alignment, Face
from microspot.engines.data.aligned.recordings import read_recordings
from microspot.engines.errors import DataError, SourceError, UsageError
from microspot.engines.training.crops import read_sets
from microspot.realtime.analyze.one_video import SUMMARY
from microspot.realtime.config import Settings
from microspot.realtime.records import Frame
from microspot.realtime.review.decisions import Decision, Point
from microspot.realtime.review.learned import crops
from microspot.realtime.review.learned.crops import Reviewed, review_of, write_crops
from microspot.realtime.review.results import EventKey
from microspot.realtime.sources.open import Source, open_source
from tests.realtime.review.made import HZ, add_video, number_of, read
from tests.realtime.test_feed import Faces

SIDE = 112
ADDED = "added-0000000000000001"


class Numbered(Faces):
    """An aligner whose crops have the number of their frame; `hidden` ones show no face."""

    def __init__(self, hidden: range = range(0)) -> None:
        super().__init__(lambda _: {0})
        self.hidden = hidden

    def __call__(self, image: np.ndarray, captured_ns: int) -> Alignment:
        number = number_of(image)
        if number in self.hidden:
            return Alignment((), "no face")
        pixels = np.full((3, SIDE, SIDE), number, np.uint8)
        outline = np.empty((0, 2), np.float32)
        return Alignment((Face(0, pixels, np.eye(2, 3), 1.0, outline),), None)


def key(event: str, video: str = "a.mp4") -> EventKey:
    return EventKey(video, event)


def point(frame: int) -> Point:
    return Point(frame, round(frame / HZ, 6))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two videos of 240 frames, events at frames 20, 24 and 28."""
    folder = tmp_path / "out"
    for name in ("a.mp4", "b.mp4"):
        add_video(folder, name, frames=240, address=tmp_path / "clip.mp4")
    return folder


def written(results: Path, decisions: dict[EventKey, Decision], hidden: range = range(0)) -> Path:
    videos, addresses = read(results)
    folder = results.parent / "set"
    write_crops(videos, decisions, addresses, folder, lambda *_: Numbered(hidden))
    return folder


def test_frames_around_decided_events_are_kept_with_what_was_decided(results: Path) -> None:
    moved = Decision("accepted", onset=point(22), offset=point(35))
    decisions = {
        key("e000"): Decision("rejected"),
        key("e001"): moved,
        key("e002"): Decision("rejected"),
        key(ADDED): Decision("accepted", offset=point(58), added=point(50)),
    }
    folder = written(results, decisions)
    (recording,) = read_recordings([folder])  # of the other video nothing was decided
    assert (recording.dataset, recording.subject) == ("reviewed", "a.mp4")
    assert [(row.onset, row.offset, row.type) for row in recording.truth] == [
        (22, 35, "micro"),
        (50, 58, "micro"),
    ]
    pixels, (clip,) = read_sets(folder, SIDE)
    kept = pixels[clip["start"] : clip["start"] + clip["count"]][:, 0, 0, 0]
    assert kept.tolist() == list(range(58 + 5 * HZ))  # until 5 s after the last one
    assert [move["kind"] for move in clip["movements"]] == ["micro", "micro"]
    assert clip["movements"][0]["onset_ns"] == clip["times_ns"][22]
    assert clip["labelled"] is False
    assert recording.seconds == pytest.approx((57 + 5 * HZ) / HZ, abs=1e-3)


def test_what_nobody_decided_is_left_out(results: Path) -> None:
    decisions = {key("e002"): Decision("accepted")}  # frames 28 to 37; those before are undecided
    pixels, (clip,) = read_sets(written(results, decisions), SIDE)
    kept = pixels[clip["start"] : clip["start"] + clip["count"]][:, 0, 0, 0]
    last = 33 + HZ // 2  # of the undecided event at frame 24, half a second on
    assert kept.tolist() == list(range(last + 1, 37 + 5 * HZ))


def test_a_gap_ends_a_piece(results: Path) -> None:
    decisions = {key(f"e{n:03}"): Decision("accepted") for n in range(3)}
    folder = written(results, decisions, hidden=range(60, 80))
    _, clips = read_sets(folder, SIDE)
    pixels, _ = read_sets(folder, SIDE)
    rows = [pixels[c["start"] : c["start"] + c["count"]][:, 0, 0, 0].tolist() for c in clips]
    assert rows == [list(range(60)), list(range(80, 37 + 5 * HZ))]


def test_events_of_other_faces_are_left_out(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    videos, _ = read(results)
    monkeypatch.setattr(crops, "FACE", 1)
    decisions = {key("e000"): Decision("accepted"), key("e001"): Decision("undecided")}
    assert review_of(videos[0], decisions) == (Reviewed([], [], []), 1)


def test_what_cannot_be_written_is_said(results: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing is decided here"):
        written(results, {key("e000"): Decision("undecided")})
    decisions = {key("e000"): Decision("accepted")}
    written(results, decisions)
    with pytest.raises(DataError, match="is there already"):
        written(results, decisions)
    shutil.rmtree(results.parent / "set" / "a.mp4")
    (results.parent / "set" / "b.mp4").mkdir()
    with pytest.raises(DataError, match=r"b\.mp4 is there already"):
        written(results, decisions | {key("e000", "b.mp4"): Decision("accepted")})
    assert not (results.parent / "set" / "a.mp4").exists(), "all folders are looked at first"
    videos, addresses = read(results)
    gone = addresses | {"a.mp4": str(tmp_path / "gone.mp4")}
    with pytest.raises(SourceError):
        write_crops(videos, decisions, gone, tmp_path / "other", lambda *_: Numbered())


def test_the_settings_of_the_analysis_are_followed(results: Path) -> None:
    path = results / "a.mp4" / SUMMARY
    summary = json.loads(path.read_text())
    asked: list[Settings] = []

    def aligner(spec: object, settings: Settings) -> Numbered:
        asked.append(settings)
        return Numbered()

    kept = Settings(faces=3, min_face_px=70.0)
    for number, told in enumerate((kept.model_dump(mode="json"), {"of": "another version"})):
        path.write_text(json.dumps(summary | {"made_from": {"fps": None, "settings": told}}))
        videos, addresses = read(results)
        decisions = {key("e000"): Decision("accepted")}
        write_crops(videos, decisions, addresses, results.parent / str(number), aligner)
    assert asked == [kept, Settings()]


def test_frames_whose_time_does_not_rise_are_left_out(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Twice:
        """A source that gives every tenth frame again, with its time and another number."""

        def __init__(self, source: Source) -> None:
            self.source = source

        def __getattr__(self, name: str) -> Any:
            return getattr(self.source, name)

        def __enter__(self) -> Twice:
            self.source.__enter__()
            return self

        def __exit__(self, *raised: Any) -> None:
            self.source.__exit__(*raised)

        def __iter__(self) -> Iterator[object]:
            for record in self.source:
                yield record
                if isinstance(record, Frame) and record.index % 10 == 0:
                    yield record

    monkeypatch.setattr(crops, "open_source", lambda *a, **k: Twice(open_source(*a, **k)))
    (recording,) = read_recordings([written(results, {key("e000"): Decision("rejected")})])
    assert (np.diff(recording.frame_ns) > 0).all()
    assert len(recording.frame_ns) == 240
