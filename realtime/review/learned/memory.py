"""The memory of what a coder rejected, for `watch --memory` and `analyze --memory`.

It is made of the vectors that `analyze` keeps of its events: no recording is read again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from microspot.engines.rejected_memory import Memory, Vector, Vectors, load_vectors, to_bytes

from ...analyze.one_video import VECTORS
from ...errors import DataError, UsageError
from ...sinks.atomic_file import replace_file
from ..decisions import ACCEPTED, REJECTED, Decision
from ..results import EventKey, VideoResults


class Remembered(NamedTuple):
    """How many events a memory holds; left_out: that coders added, of which nothing is kept."""

    rejected: int
    accepted: int
    left_out: int


def remember(
    results: Path,
    videos: Sequence[VideoResults],
    decisions: Mapping[EventKey, Decision],
    file: Path,
) -> Remembered:
    """Write the memory of the rejected and accepted events of all videos.

    Raises UsageError where none is rejected; DataError where the videos were analysed with
    different weights or by an earlier version, and where the file cannot be written.
    """
    found: dict[str, list[Vector]] = {REJECTED: [], ACCEPTED: []}
    made_with = ""
    left_out = 0
    for video in videos:
        judged = {
            key.event: decision
            for key, decision in decisions.items()
            if key.video == video.folder and decision.verdict in found
        }
        spotted = {event: d for event, d in judged.items() if d.added is None}
        left_out += len(judged) - len(spotted)
        if not spotted.keys() & {key.event for key in video.events}:
            continue
        vectors, digest = _vectors(results / video.folder / VECTORS)
        if made_with and digest != made_with:
            raise DataError(f"{video.folder}: analysed with other weights; analyse all videos anew")
        made_with = digest
        for event, decision in spotted.items():
            if event in vectors:
                found[decision.verdict].append(vectors[event])
    if not found[REJECTED]:
        raise UsageError("--memory: no event is rejected here; review first, or name the --coder")
    memory = Memory(
        _stacked(found[REJECTED]), _stacked(found[ACCEPTED], found[REJECTED]), made_with
    )
    replace_file(file, to_bytes(memory))
    return Remembered(len(memory.rejected), len(memory.accepted), left_out)


def _vectors(path: Path) -> tuple[dict[str, Vector], str]:
    """By id of an event its vector, and the digest of the weights."""
    if not path.exists():
        raise DataError(f"{path.parent}: analysed by an earlier version; analyse the video again")
    return load_vectors(path)


def _stacked(vectors: Sequence[Vector], like: Sequence[Vector] = ()) -> Vectors:
    """(N, E) of vectors; like: others of that length, for where there are none."""
    if vectors:
        return np.stack(vectors)
    return np.empty((0, len(like[0])), np.float32)
