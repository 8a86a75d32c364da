"""One recording of a data set as aligned crops with its truth, in a folder of its own.

    crops.npy       uint8 (N, 3, S, S) RGB, as `engines/training/crops.py` reads them
    index.json      {"clips": [...]}: its segments as clips of a set; not there without any face
    recording.json  whose recording it is, its frames, and its truth in frames counted from 0

So a folder of recordings is a folder of sets. A clip is a segment of the stream: a face that was
seen without a gap. Not from the papers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ..annotations import Interval

CROPS = "crops.npy"
INDEX = "index.json"
RECORDING = "recording.json"
MICRO, MACRO, DOUBTFUL = "micro", "macro", "doubtful"  # kinds of movements in an index
FAMILY = "recorded"  # of the movements of people
DIGEST_DIGITS = 16  # at the end of a folder's name, where it tells what its crops are
REVIEWED = "reviewed"  # the data set of what was kept around reviewed events

Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class AlignedSegment:
    """Crops of a face that was seen without a gap: the first one's row, and their times (N,)."""

    start: int
    times_ns: Indices


@dataclass(frozen=True, eq=False)
class AlignedRecording:
    """A recording. seconds: its length; frame_index, frame_ns (F,): its captured frames.

    truth: micro- and macro-expressions; fps: of the data set. split: of a training that chooses no
    folds.
    """

    folder: Path
    dataset: str
    subject: str
    video: str
    fps: float
    seconds: float
    truth: tuple[Interval, ...]
    frame_index: Indices
    frame_ns: Indices
    segments: tuple[AlignedSegment, ...]
    split: str = "train"

    def times_ns(self, row: Interval) -> tuple[int, int]:
        """When an interval begins and ends: at the captured frames nearest in number."""
        places = np.abs(self.frame_index[:, None] - np.array([row.onset, row.offset])).argmin(0)
        onset, offset = self.frame_ns[places].tolist()
        return onset, offset

    def clips(self) -> list[dict[str, Any]]:
        """The segments as clips of an index.

        A micro-expression is one in the segment that shares most time with it; in others that it
        reaches into it is doubtful: it teaches nothing there.
        """
        moves: list[list[dict[str, Any]]] = [[] for _ in self.segments]
        for row in self.truth:
            onset, offset = self.times_ns(row)
            shared = [_shared(segment, onset, offset) for segment in self.segments]
            for place, overlap in enumerate(shared):
                if overlap > 0:
                    kind = MACRO if row.type == MACRO else DOUBTFUL
                    if row.type == MICRO and place == shared.index(max(shared)):
                        kind = MICRO
                    moves[place].append(_move(kind, onset, offset))
        return [
            {
                "face": f"{self.dataset}/{self.subject}",
                "split": self.split,
                "start": segment.start,
                "count": len(segment.times_ns),
                "times_ns": segment.times_ns.tolist(),
                "movements": found,
                "reversible": False,
                "labelled": False,
            }
            for segment, found in zip(self.segments, moves, strict=True)
        ]


def _shared(segment: AlignedSegment, onset_ns: int, offset_ns: int) -> int:
    """Time in which both last, in ns; a frame in common counts."""
    first, last = segment.times_ns[[0, -1]].tolist()
    return int(min(offset_ns, last) - max(onset_ns, first) + 1)


def _move(kind: str, onset_ns: int, offset_ns: int) -> dict[str, Any]:
    return {
        "kind": kind,
        "onset_ns": onset_ns,
        "offset_ns": offset_ns,
        "units": [],
        "family": FAMILY,
    }


def write_recording(recording: AlignedRecording) -> None:
    """Write all but the crops, the same bytes for the same recording. Raises OSError."""
    content = {
        "dataset": recording.dataset,
        "subject": recording.subject,
        "video": recording.video,
        "fps": recording.fps,
        "seconds": recording.seconds,
        "split": recording.split,
        "truth": [asdict(row) for row in recording.truth],
        "frame_index": recording.frame_index.tolist(),
        "frame_ns": recording.frame_ns.tolist(),
    }
    index = recording.folder / INDEX
    index.unlink(missing_ok=True)
    if recording.segments:
        index.write_text(json.dumps({"clips": recording.clips()}) + "\n", encoding="utf-8")
    path = recording.folder / RECORDING
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")


def read_recordings(folders: Sequence[Path]) -> list[AlignedRecording]:
    """The recordings right below folders, by data set, subject and video; a folder counts once.

    Raises DataError where one cannot be read, where two are of one video, and without any.
    """
    once = {folder.resolve(): folder for folder in folders}.values()
    paths = [path for folder in once for path in sorted(folder.glob(f"*/{RECORDING}"))]
    if not paths:
        raise DataError(
            f"{', '.join(map(str, folders))}: no aligned recordings; make them with microspot "
            "evaluate --data DIR --dataset NAME --cache FOLDER"
        )
    found = sorted(map(_read, paths), key=_who)
    for one, other in pairwise(found):
        if _who(one) == _who(other):
            raise DataError(
                f"{one.folder} and {other.folder} are of one video: remove the older one"
            )
    return found


def _who(recording: AlignedRecording) -> tuple[str, str, str]:
    return recording.dataset, recording.subject, recording.video


def _read(path: Path) -> AlignedRecording:
    folder = path.parent
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        index = folder / INDEX
        clips = json.loads(index.read_text(encoding="utf-8"))["clips"] if index.exists() else []
        segments = [
            AlignedSegment(int(clip["start"]), np.array(clip["times_ns"], np.int64))
            for clip in clips
        ]
        return AlignedRecording(
            folder,
            content["dataset"],
            content["subject"],
            content["video"],
            content["fps"],
            content["seconds"],
            tuple(_interval(row) for row in content["truth"]),
            np.array(content["frame_index"], np.int64),
            np.array(content["frame_ns"], np.int64),
            tuple(segments),
            content["split"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} cannot be read ({error!r}): remove its folder") from error


def _interval(row: dict[str, Any]) -> Interval:
    units = row["units"]
    return Interval(**row | {"units": None if units is None else tuple(map(tuple, units))})
