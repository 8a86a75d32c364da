"""Recordings as what a training reads: pieces of their segments, with and without MEs in balance.

Crops are opened for the recordings that are given, and for no other. Not from the papers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...clips import SECOND_NS
from ...data.aligned.recordings import CROPS, AlignedRecording
from ...errors import DataError
from ..crops import Crops, Pixels, read_sets
from ..spotter.data import ClipSet, TrainingClip, training_clip
from .config import FineTuning

LEAST_FRAMES = 2  # of a piece


def crops_of(recording: AlignedRecording, side: int) -> Pixels:
    """The crops (N, 3, S, S) of a recording, mapped. Raises DataError where they do not fit."""
    path = recording.folder / CROPS
    try:
        crops: Pixels = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}): remove its folder") from error
    if crops.dtype != np.uint8 or crops.shape[1:] != (3, side, side):
        raise DataError(f"{path}: expected uint8 (N, 3, {side}, {side}), got {crops.shape}")
    needed = max((each.start + len(each.times_ns) for each in recording.segments), default=0)
    if len(crops) < needed:
        raise DataError(f"{path}: {len(crops)} crops, but segments of {needed}: remove its folder")
    return crops


def training_set(
    recordings: Sequence[AlignedRecording], synthetic: Sequence[Path], config: FineTuning
) -> ClipSet:
    """The set of some recordings and of the training clips of synthetic sets.

    Raises DataError where the recordings show no face.
    """
    side = config.training.spec.side
    parts: list[Pixels] = []
    clips: list[TrainingClip] = []
    total = 0
    for recording in recordings:
        if recording.segments:
            parts.append(crops_of(recording, side))
            clips += [
                replace(clip, start=clip.start + total) for clip in _pieces(recording, config)
            ]
            total += len(parts[-1])
    if not clips:
        raise DataError("the training recordings of a fold show no face")
    clips = _repeated(*_parted(clips), config.me_share)
    drawn: list[TrainingClip] = []
    for folder in synthetic:
        crops, entries = read_sets(folder, side)
        parts += crops.parts
        found = [training_clip(entry) for entry in entries]
        drawn += [
            replace(clip, start=clip.start + total) for clip in found if clip.split == "train"
        ]
        total += sum(map(len, crops.parts))
    if drawn:
        clips = _repeated(clips, drawn, config.recorded_share)
    starts = np.cumsum([0, *map(len, parts)])[:-1]
    return ClipSet(Crops(tuple(parts), starts), tuple(clips), _digest(clips))


def _pieces(recording: AlignedRecording, config: FineTuning) -> list[TrainingClip]:
    """The segments in pieces of `piece_s` at most, each as long as the others of its segment."""
    pieces = []
    for entry in recording.clips():
        clip = training_clip(entry | {"split": "train"})
        times = clip.times_ns
        seconds = (times[-1] - times[0]) / SECOND_NS
        count = max(1, int(np.ceil(seconds / config.piece_s)))
        for rows in np.array_split(np.arange(len(times)), count):
            if len(rows) >= LEAST_FRAMES:
                first = int(rows[0])
                pieces.append(replace(clip, start=clip.start + first, times_ns=times[rows]))
    return pieces


def _parted(clips: Sequence[TrainingClip]) -> tuple[list[TrainingClip], list[TrainingClip]]:
    """The clips in which an ME lies whole, and the others."""
    has = [_holds_an_me(clip) for clip in clips]
    return (
        [clip for clip, held in zip(clips, has, strict=True) if held],
        [clip for clip, held in zip(clips, has, strict=True) if not held],
    )


def _holds_an_me(clip: TrainingClip) -> bool:
    first, last = clip.times_ns[[0, -1]]
    return bool(((clip.micro_ns[:, 0] >= first) & (clip.micro_ns[:, 1] <= last)).any())


def _repeated(
    some: Sequence[TrainingClip], others: Sequence[TrainingClip], share: float
) -> list[TrainingClip]:
    """Both, those of which there are too few listed so often that `share` are of the first."""
    if not some or not others:
        return [*some, *others]
    odds = share / (1 - share) * len(others) / len(some)
    return [*(list(some) * max(1, round(odds))), *(list(others) * max(1, round(1 / odds)))]


def _digest(clips: Sequence[TrainingClip]) -> str:
    listed = [[clip.face, clip.start, len(clip.times_ns), clip.micro_ns.tolist()] for clip in clips]
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()
