"""What an aligner answered comes back as it was, for the same recording and settings alone."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import astuple, replace
from itertools import chain
from pathlib import Path
from typing import Self

import numpy as np
import pytest

from microspot.engines.alignment.aligner import Alignment, Face, Refused, Rejection
from microspot.engines.specs import SpotterSpec
from microspot.realtime.config import Settings
from microspot.realtime.crop_cache import aligner as module
from microspot.realtime.crop_cache.aligner import CachedAlignment
from microspot.realtime.crop_cache.entry import CropCache, Entry
from microspot.realtime.crop_cache.stored import CROPS, crop_times
from microspot.realtime.errors import DataError

SPEC = SpotterSpec(side=16)
SETTINGS = Settings()
RANDOM = np.random.default_rng(0)


def face(number: int, *, meshed: bool) -> Face:
    return Face(
        face=number,
        pixels=RANDOM.integers(0, 256, (3, 16, 16), np.uint8),
        affine=RANDOM.random((2, 3)),
        quality=float(RANDOM.random()),
        outline=RANDOM.random((number + 3, 2)).astype(np.float32),
        placed=RANDOM.random((2, 3)),
        width_px=float(RANDOM.random()),
        mesh=RANDOM.random((5, 3)) if meshed else None,
        landmarks_ns=0 if meshed else None,
    )


ANSWERS = [
    (0, Alignment((face(0, meshed=True),), None)),
    (40, Alignment((), "no face", (Refused(0, Rejection.TOO_SMALL, np.ones((2, 2), "f"), 9.5),))),
    (80, Alignment((face(1, meshed=False),), None)),
    (120, Alignment((face(1, meshed=True),), None)),
]
IMAGE = np.zeros((4, 4, 3), np.uint8)


class Scripted:
    """An aligner that gives ANSWERS."""

    asked = 0

    def __call__(self, image_bgr: np.ndarray, captured_ns: int) -> Alignment:
        answer = ANSWERS[self.asked]
        self.asked += 1
        assert answer[0] == captured_ns
        return answer[1]

    def reset(self, face: int | None = None) -> None: ...

    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture
def video(tmp_path: Path) -> Path:
    (tmp_path / "v.mp4").write_bytes(b"frames")
    return tmp_path / "v.mp4"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CropCache:
    monkeypatch.setattr(module, "mediapipe_aligner", lambda spec, settings: Scripted())
    made = CropCache(tmp_path / "cache", "cas-me-2")
    made.make()
    return made


def entry_of(cache: CropCache, video: Path, **changes: object) -> Entry:
    fps = changes.pop("fps", None)
    settings = Settings(**changes)
    return cache.entry("v", video, fps, SPEC, settings)  # type: ignore[arg-type]


def see_all(entry: Entry) -> list[Alignment]:
    cached = CachedAlignment(entry)
    with cached(SPEC, SETTINGS) as aligner:
        found = [aligner(IMAGE, at_ns) for at_ns, _ in ANSWERS]
    cached.commit()
    return found


def values(answer: Alignment) -> list[object]:
    """Everything in an answer, arrays as their types, shapes and bytes."""
    every = [*map(list, map(astuple, (*answer.faces, *answer.refused))), [answer.rejected]]
    return [
        (each.dtype.str, each.shape, each.tobytes()) if isinstance(each, np.ndarray) else each
        for each in chain.from_iterable(every)
    ]


def test_answers_come_back_as_they_were(
    cache: CropCache, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = entry_of(cache, video)
    assert see_all(entry) == [answer for _, answer in ANSWERS], "nothing is changed while kept"
    monkeypatch.delattr(module, "mediapipe_aligner")  # nobody aligns now
    again = see_all(entry)
    assert [values(one) for one in again] == [values(one) for _, one in ANSWERS]
    assert crop_times(entry.folder).tolist() == [0, 80, 120]
    kept = np.load(entry.folder / CROPS, mmap_mode="r")
    assert (kept.dtype, kept.shape) == (np.uint8, (3, 3, 16, 16))
    assert (entry.cache.stat().st_mode & 0o077) == 0, "for its owner alone"


def test_other_frames_are_refused(cache: CropCache, video: Path) -> None:
    entry = entry_of(cache, video)
    see_all(entry)
    aligner = CachedAlignment(entry)(SPEC, SETTINGS)
    with pytest.raises(DataError, match="is of other frames: remove the folder"):
        aligner(IMAGE, 1)
    (entry.folder / CROPS).write_bytes(b"")
    with pytest.raises(DataError, match="crops cannot be read"):
        CachedAlignment(entry)(SPEC, SETTINGS)(IMAGE, 0)


def test_what_decides_the_crops_decides_the_entry(cache: CropCache, video: Path) -> None:
    first = entry_of(cache, video)
    assert entry_of(cache, video, threshold=0.3, hop=2).digest == first.digest
    others = [
        entry_of(cache, video, min_face_px=60.0),
        entry_of(cache, video, bridge_ms=200),
        entry_of(cache, video, fps=25.0),
        cache.entry("v", video, None, replace(SPEC, grid_hz=60), SETTINGS),
    ]
    video.write_bytes(b"other frames")
    others.append(entry_of(cache, video))
    assert len({first.digest, *(each.digest for each in others)}) == 6


def test_the_images_of_a_folder_and_their_names_count(cache: CropCache, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "img1.jpg").write_bytes(b"one")
    first = entry_of(cache, folder).digest
    (folder / "img1.jpg").rename(folder / "img2.jpg")
    assert entry_of(cache, folder).digest != first


def test_a_newer_entry_takes_the_place_of_the_older_one(cache: CropCache, video: Path) -> None:
    older = entry_of(cache, video)
    see_all(older)
    see_all(cache.entry("v-2", video, None, SPEC, SETTINGS))  # another recording
    video.write_bytes(b"other frames")
    newer = entry_of(cache, video)
    see_all(newer)
    assert not older.is_there
    assert len(list(cache.folder.iterdir())) == 2


def test_a_recording_that_was_not_seen_to_its_end_leaves_nothing(
    cache: CropCache, video: Path
) -> None:
    entry = entry_of(cache, video)
    cached = CachedAlignment(entry)
    with cached(SPEC, SETTINGS) as aligner:
        aligner(IMAGE, 0)
    cached.discard()
    assert not entry.is_there
    assert list(cache.folder.iterdir()) == []


def test_what_killed_runs_left_is_removed(cache: CropCache, video: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass  # it has ended, and was waited for
    left = cache.folder / f".w.mp4.{process.pid}.part"
    going_on = cache.folder / f".x.mp4.{os.getppid()}.part"
    other = cache.folder / ".notes.part"
    for folder in (left, going_on, other):
        folder.mkdir()
        (folder / CROPS).write_bytes(b"a face")
    see_all(entry_of(cache, video))
    assert not left.exists()
    assert going_on.exists()
    assert other.exists()
