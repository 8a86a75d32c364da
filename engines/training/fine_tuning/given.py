"""What the folders given to `train folds` hold: recordings of people, or synthetic sets.

Every fold trains on synthetic sets, so nothing of a person may pass for one. Not from the papers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...data.aligned.recordings import (
    FAMILY,
    INDEX,
    RECORDING,
    AlignedRecording,
    read_recordings,
)
from ...errors import DataError, UsageError


def read_given(data: Sequence[Path]) -> tuple[list[AlignedRecording], tuple[Path, ...]]:
    """The recordings of all folders, and the folders of synthetic sets; a folder counts once.

    Raises UsageError where one is no folder, DataError where one holds neither or both, is itself
    one recording, or where recordings cannot be read.
    """
    folders = list({folder.resolve(): folder for folder in data}.values())
    recorded = [folder for folder in folders if _is_recorded(folder)]
    synthetic = tuple(folder for folder in folders if folder not in recorded)
    return read_recordings(recorded), synthetic


def indices_of(folder: Path) -> list[Path]:
    """The indices of the sets in a folder: its own, and those right below it."""
    return [*folder.glob(INDEX), *sorted(folder.glob(f"*/{INDEX}"))]


def _is_recorded(folder: Path) -> bool:
    """Whether a folder holds recordings of people; it holds synthetic sets otherwise."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: no folder; give one of evaluate --cache, or a synthetic set")
    if (folder / RECORDING).exists():
        raise DataError(f"{folder} is one recording: give the folder that it lies in")
    recordings = {path.parent for path in folder.glob(f"*/{RECORDING}")}
    sets = [path for path in indices_of(folder) if path.parent not in recordings]
    if recordings and sets:
        raise DataError(
            f"{folder} holds recordings and the set {sets[0].parent.name}: move the set to a "
            "folder of its own, and give both folders"
        )
    if not recordings and not sets:
        raise DataError(
            f"{folder}: no aligned recordings and no synthetic set; make recordings with microspot "
            "evaluate --data DIR --dataset NAME --cache FOLDER"
        )
    for path in sets:
        if FAMILY in _families(path):
            raise DataError(
                f"{path} is of recorded people, not synthetic: give the folder of evaluate --cache"
            )
    return bool(recordings)


def _families(index: Path) -> set[Any]:
    """Of all movements of a set. Raises DataError where it cannot be read."""
    try:
        clips = json.loads(index.read_text(encoding="utf-8"))["clips"]
        return {move.get("family") for clip in clips for move in clip["movements"]}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{index} cannot be read ({error!r}): make the set again") from error
