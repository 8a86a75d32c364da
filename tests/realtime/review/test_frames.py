"""Frames by their index are those that the analysis counted, at its times."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import av.container
import cv2
import numpy as np
import pytest

from microspot.engines.data.decoding import VideoTrack
from microspot.realtime.errors import SourceError
from microspot.realtime.records import DropCause, Frame
from microspot.realtime.review import frames as review_frames
from microspot.realtime.review.frames import (
    FileReader,
    Frames,
    PlayedReader,
    TimedFrame,
    UnevenFileError,
)
from microspot.realtime.review.results import find_moved
from microspot.realtime.sources.open import open_source
from tests.clips import write_clip
from tests.realtime.review.made import FRAMES, HZ, add_video, number_of, numbered, read

RUNS = ((40, 45), (45, 50), (11, 13), (0, 3), (59, 61), (86, FRAMES + 5), (12, 12))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip with frames that refer to later ones, and a key frame every 12."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return write_clip(path, numbered(FRAMES), HZ, bf="2", g="12")


@pytest.mark.parametrize("kind", ["file", "played"])
def test_any_run_of_frames_is_that_of_the_source(clip: Path, kind: str) -> None:
    with open_source(str(clip)) as source:
        whole = [record for record in source if isinstance(record, Frame)]
    made = FileReader(clip, FRAMES) if kind == "file" else PlayedReader(str(clip), None)
    for first, stop in RUNS:
        found = list(made.read(first, stop))
        expected = whole[first:stop]
        assert [frame.index for frame in found] == [frame.index for frame in expected]
        assert [number_of(frame.image) for frame in found] == [f.index for f in expected]
        assert [frame.at_ns for frame in found] == [frame.captured_ns for frame in expected]
        for frame, same in zip(found, expected, strict=True):
            np.testing.assert_array_equal(frame.image, same.image)
    made.close()


def test_a_file_is_decoded_from_a_key_frame_and_on_from_where_a_run_ended(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = FileReader(clip, FRAMES)
    seeks = []
    begin = reader._from_key
    monkeypatch.setattr(reader, "_from_key", lambda first: seeks.append(first) or begin(first))
    for first, stop in ((40, 45), (45, 50), (50, 60), (30, 31)):
        assert len(list(reader.read(first, stop))) == stop - first
    assert seeks == [40, 30]
    reader.close()


def test_a_file_of_another_number_of_frames_is_read_from_its_start(clip: Path) -> None:
    with pytest.raises(UnevenFileError):
        FileReader(clip, FRAMES - 1)


def test_avi_is_read_from_its_start(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.avi", numbered(30), HZ)
    with pytest.raises(UnevenFileError):
        FileReader(path, 30)
    results = tmp_path / "out"
    add_video(results, "clip.avi", frames=30, address=path)
    with Frames(*read(results)) as frames:
        assert numbers(frames.pictures("clip.avi", 20, 23)) == [20, 21, 22]


def numbers(pictures: list[tuple[int, bytes]]) -> list[int]:
    """What the pictures say, which is what they are called."""
    said = [number_of(cv2.imdecode(np.frombuffer(jpeg, np.uint8), 1)) for _, jpeg in pictures]
    assert said == [index for index, _ in pictures]
    return said


def test_a_damaged_file_is_read_as_it_was_analysed(tmp_path: Path) -> None:
    """Where a packet cannot be decoded, the frames after it keep their numbers, to the last one."""
    results = tmp_path / "out"
    path = write_clip(tmp_path / "clip.mp4", numbered(FRAMES), HZ, bf="2", g="12")
    with av.open(str(path)) as container:
        positions = [(packet.pos, packet.size) for packet in container.demux(video=0)]
    data = bytearray(path.read_bytes())
    at, size = positions[30]
    data[at : at + size] = bytes(size)
    path.write_bytes(data)
    with open_source(str(path)) as source:
        there = {record.index for record in source if isinstance(record, Frame)}
    assert max(there) == FRAMES - 1
    add_video(results, "clip.mp4", address=path, damaged=source.drops[DropCause.DAMAGED])
    videos, addresses = read(results)
    assert (videos[0].frames, videos[0].damaged) == (FRAMES, FRAMES - len(there))
    assert videos[0].damaged
    with Frames(videos, addresses) as frames:
        for first, stop in ((20, 50), (FRAMES - 2, FRAMES)):
            found = frames.pictures("clip.mp4", first, stop)
            assert [index for index, _ in found] == sorted(there & set(range(first, stop)))


def test_a_file_whose_track_cannot_be_read_is_closed(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[av.container.InputContainer] = []

    def refuse(container: av.container.InputContainer) -> VideoTrack:
        opened.append(container)
        if len(opened) > 1:  # the first is that of the times
            raise UnevenFileError
        return track(container)

    track = review_frames._track
    monkeypatch.setattr(review_frames, "_track", refuse)
    with pytest.raises(UnevenFileError):
        FileReader(clip, FRAMES)
    with pytest.raises(AssertionError, match="Container is not open"):
        list(opened[1].demux())


def test_a_recording_that_went_away_is_read_again_once_it_is_back(tmp_path: Path) -> None:
    """Neither does a reader that was closed stay, nor is it closed twice."""
    results = tmp_path / "out"
    path = add_video(results, "clip.mp4")
    with Frames(*read(results)) as frames:
        assert numbers(frames.pictures("clip.mp4", 0, 1)) == [0]
        path.rename(tmp_path / "away.mp4")

        def uneven(*_: object) -> Iterator[TimedFrame]:
            raise UnevenFileError

        with pytest.MonkeyPatch.context() as broken:
            broken.setattr(FileReader, "read", uneven)
            with pytest.raises(SourceError, match="no such file"):
                frames.pictures("clip.mp4", 5, 6)
        (tmp_path / "away.mp4").rename(path)
        assert numbers(frames.pictures("clip.mp4", 5, 6)) == [5]


def test_a_recording_without_times_that_went_away_is_read_again_too(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.avi", numbered(30), HZ)
    add_video(tmp_path / "out", "clip.avi", frames=30, address=path)
    with Frames(*read(tmp_path / "out")) as frames:
        assert numbers(frames.pictures("clip.avi", 5, 6)) == [5]
        path.rename(tmp_path / "away.avi")
        with pytest.raises(SourceError, match="no such file"):
            frames.pictures("clip.avi", 0, 1)
        (tmp_path / "away.avi").rename(path)
        assert numbers(frames.pictures("clip.avi", 10, 11)) == [10]


def test_times_are_those_of_the_frames(tmp_path: Path) -> None:
    results = tmp_path / "out"
    add_video(results, "clip.mp4")
    with Frames(*read(results)) as frames:
        assert frames.time_s("clip.mp4", 50) == pytest.approx(50 / HZ, abs=1e-4)
        with pytest.raises(SourceError, match="frame 500 cannot be read"):
            frames.time_s("clip.mp4", 500)


def test_a_folder_of_images_is_read_too(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for index, image in enumerate(numbered(12)):
        cv2.imwrite(str(folder / f"{index}.png"), image)
    results = tmp_path / "out"
    add_video(results, "images", address=folder, frames=12)
    videos, addresses = read(results)
    with Frames([replace(videos[0], fps=100.0)], addresses) as frames:
        assert numbers(frames.pictures("images", 5, 8)) == [5, 6, 7]
        assert frames.time_s("images", 7) == 0.07


def test_a_video_that_was_moved_is_found_by_its_name(tmp_path: Path) -> None:
    results = tmp_path / "out"
    clip = add_video(results, "clip.mp4")
    moved = tmp_path / "elsewhere" / "deep"
    moved.mkdir(parents=True)
    shutil.move(clip, moved)
    videos, addresses = read(results)
    with Frames(videos, addresses) as frames, pytest.raises(SourceError, match="--videos FOLDER"):
        frames.pictures("clip.mp4", 0, 1)
    found = find_moved(videos, tmp_path / "elsewhere")
    with Frames(videos, found) as frames:
        assert numbers(frames.pictures("clip.mp4", 3, 5)) == [3, 4]
