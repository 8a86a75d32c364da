"""Aligned crops around the events that a coder decided, as recordings that training reads.

The recordings are read again through the live aligner. What lies near a decided event is
kept: accepted events, as they were left, are the micro-expressions there, and all else, rejected
events among it, is none. Nobody has looked at the rest, nor at undecided events: it is left out.
A video is a subject of its own, so that leave-one-subject-out leaves a video out. Not from the
papers.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np

from microspot.engines.data.aligned.recordings import (
    CROPS,
    REVIEWED,
    AlignedRecording,
    AlignedSegment,
    write_recording,
)
from microspot.engines.data.aligned.reviewed import LEAST_FRAMES, Span, is_kept
from microspot.engines.data.annotations import Interval
from microspot.engines.manifest import PACKAGED, Weights

from ...config import Settings
from ...crop_cache.stored import CropWriter
from ...errors import DataError, UsageError
from ...feed import End, Feed, Sighting
from ...meter import Meter
from ...pipeline import MakeAligner, mediapipe_aligner
from ...records import Crop, DropCause, Gap
from ...sinks.base import JsonRecord, reason
from ...sources.open import open_source
from ..added import with_added
from ..decisions import ACCEPTED, UNDECIDED, UNTOUCHED, Decision, decided
from ..results import EventKey, VideoResults

FACE = 0  # whose crops are kept

Decisions = Mapping[EventKey, Decision]


class Written(NamedTuple):
    """How many recordings, and of their decided events how many were accepted or rejected.

    left_out: decided events of other faces.
    """

    recordings: int
    accepted: int
    rejected: int
    left_out: int


class Reviewed(NamedTuple):
    """The decided events of a video as the coder left them, and its undecided ones."""

    accepted: list[JsonRecord]
    rejected: list[JsonRecord]
    undecided: list[JsonRecord]

    def keeps(self, at_s: float) -> bool:
        """Whether a frame is near a decided event and in no undecided one."""
        decided = map(_span, [*self.accepted, *self.rejected])
        return is_kept(at_s, decided, map(_span, self.undecided))


def write_crops(
    videos: Sequence[VideoResults],
    decisions: Decisions,
    addresses: Mapping[str, str],
    folder: Path,
    make_aligner: MakeAligner = mediapipe_aligner,
) -> Written:
    """Write the crops of every video in which something was decided; a folder in `folder` each.

    addresses: where the videos lie, by folder. Raises UsageError where nothing was decided,
    SourceError for a video that cannot be read, DataError where the crops cannot be written or a
    folder is there already.
    """
    found = [(video, *review_of(video, decisions)) for video in videos]
    found = [each for each in found if each[1].accepted or each[1].rejected]
    if not found:
        raise UsageError("--crops: nothing is decided here; review first, or name the --coder")
    homes = [folder / video.folder for video, *_ in found]
    for home in homes:  # before any is written
        if home.exists():
            raise DataError(f"{home} is there already: remove it")
    for (video, reviewed, _), home in zip(found, homes, strict=True):
        try:
            _write(video, reviewed, addresses[video.folder], home, make_aligner)
        except OSError as error:
            raise DataError(f"cannot write {home}: {reason(error)}") from error
    return Written(
        len(found),
        sum(len(reviewed.accepted) for _, reviewed, _ in found),
        sum(len(reviewed.rejected) for _, reviewed, _ in found),
        sum(others for *_, others in found),
    )


def review_of(video: VideoResults, decisions: Decisions) -> tuple[Reviewed, int]:
    """What was decided of the events of FACE, and how many decided events are of other faces."""
    found = Reviewed([], [], [])
    others = 0
    for key, event in with_added([video], decisions).items():
        decision = decisions.get(key, UNTOUCHED)
        if event["face"] != FACE:
            others += decision.verdict != UNDECIDED
            continue
        left = decided(event, decision, "")
        if decision.verdict == UNDECIDED:
            found.undecided.append(left)
        elif decision.verdict == ACCEPTED:
            found.accepted.append(left)
        else:
            found.rejected.append(left)
    return found, others


def _span(event: JsonRecord) -> Span:
    onset: float = event["onset_s"]
    offset: float | None = event["offset_s"]
    return onset, onset if offset is None else offset


def _write(
    video: VideoResults, reviewed: Reviewed, address: str, folder: Path, make_aligner: MakeAligner
) -> None:
    """Write one recording. Raises OSError."""
    folder.mkdir(parents=True, mode=0o700)
    try:
        frames, pieces = _write_pixels(video, reviewed, address, folder / CROPS, make_aligner)
        write_recording(_recording(video, reviewed, folder, frames, pieces))
    except BaseException:
        shutil.rmtree(folder)  # half a recording would be taken for a whole one
        raise


def _write_pixels(
    video: VideoResults, reviewed: Reviewed, address: str, path: Path, make_aligner: MakeAligner
) -> tuple[list[tuple[int, int]], list[list[int]]]:
    """Write the crops; index and time of every frame, and the times of the crops by piece."""
    frames: list[tuple[int, int]] = []
    pieces: list[list[int]] = []
    going_on = False
    spec = Weights.open(PACKAGED).spotter
    with closing(CropWriter(path, spec.side)) as writer:
        for item in _sightings(video, address, make_aligner):
            crop = None
            if isinstance(item, Sighting):
                frames.append((item.frame.index, item.frame.captured_ns))
                crop = _kept(item, reviewed)
            if crop is None:
                going_on = going_on and isinstance(item, Sighting) and _is_between(item, reviewed)
                continue
            if not going_on:
                pieces.append([])
            going_on = True
            pieces[-1].append(crop.captured_ns)
            writer.add(crop.pixels)
    return frames, pieces


def _kept(item: Sighting, reviewed: Reviewed) -> Crop | None:
    """The crop of FACE, where it is kept."""
    crop = next((crop for crop in item.crops if crop.face == FACE), None)
    return crop if crop is not None and reviewed.keeps(crop.captured_ns / 1e9) else None


def _is_between(item: Sighting, reviewed: Reviewed) -> bool:
    """Whether a frame without a crop ends no piece: a Gap would follow if the face were gone."""
    return reviewed.keeps(item.frame.captured_ns / 1e9)


def _sightings(
    video: VideoResults, address: str, make_aligner: MakeAligner
) -> Iterator[Sighting | Gap]:
    """What the live feed gives of a recording. Raises SourceError where it cannot be read."""
    faces = 1 + max((e["face"] for e in video.events.values()), default=0)
    settings = video.settings or Settings(faces=faces)  # the same faces get the same numbers
    spec = Weights.open(PACKAGED).spotter
    source = open_source(address, fps=video.fps)
    feed = Feed(source, make_aligner(spec, settings), spec.grid_hz, settings, Meter())
    feed.start(threading.Event())
    try:
        while not isinstance(item := feed.get(block=True), End):
            if isinstance(item, Sighting):
                if item.dropped != DropCause.NOT_RISING:  # its time is on no clock
                    yield item
            elif isinstance(item, Gap) and item.face in (None, FACE):
                yield item
        if item.error is not None:
            raise item.error
    finally:
        feed.close()


def _recording(
    video: VideoResults,
    reviewed: Reviewed,
    folder: Path,
    frames: Sequence[tuple[int, int]],
    pieces: Sequence[Sequence[int]],
) -> AlignedRecording:
    starts = np.cumsum([0, *map(len, pieces)]).tolist()
    segments = [
        AlignedSegment(start, np.array(times, np.int64))
        for start, times in zip(starts, pieces, strict=False)
        if len(times) >= LEAST_FRAMES
    ]
    listed = np.array(frames, np.int64).reshape(-1, 2)
    return AlignedRecording(
        folder,
        REVIEWED,
        video.folder,
        video.folder,
        video.rate_hz,
        sum(float(each.times_ns[-1] - each.times_ns[0]) for each in segments) / 1e9,
        tuple(_interval(video, event) for event in reviewed.accepted),
        listed[:, 0],
        listed[:, 1],
        tuple(segments),
    )


def _interval(video: VideoResults, event: JsonRecord) -> Interval:
    return Interval(
        video.folder,
        video.folder,
        event["onset_frame"],
        event["apex_frame"],
        event["offset_frame"],
        "micro",
    )
