"""Sets of clips on disk, as `engines/data/generator/synthesize.py` writes them, for both trainers.

A set is `crops.npy`, uint8 (total, 3, S, S) RGB, and `index.json`, {"clips": [...]}, one object per
clip: face, split ("train" or "validation"), start, count, times_ns, movements. A folder of sets is
read as one set.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

INDEX = "index.json"
CROPS = "crops.npy"

Pixels = NDArray[np.uint8]
Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Crops:
    """The crops of all sets one after another, (total, 3, S, S) uint8.

    They are mapped, not read: ask for rows of one clip at a time.
    """

    parts: tuple[Pixels, ...]
    starts: Indices  # (parts,) row at which each begins

    def __getitem__(self, rows: slice | Indices) -> Pixels:
        if isinstance(rows, slice):
            part, (first,) = self.place(np.array([rows.start]))
            return np.asarray(self.parts[part][first : first + rows.stop - rows.start])
        part, inside = self.place(rows)
        return np.asarray(self.parts[part][inside])

    def place(self, rows: Indices) -> tuple[int, Indices]:
        """The part that rows (K,) of one clip lie in, and where they lie there."""
        part = int(np.searchsorted(self.starts, rows.min(), "right")) - 1
        return part, rows - self.starts[part]


def read_sets(folder: Path, side: int) -> tuple[Crops, list[dict[str, Any]]]:
    """Crops and clips of the set in `folder`, or of all sets right below it.

    A clip's `start` counts from the first crop of all. Raises DataError where a file is missing or
    malformed, or crops are not of `side` px.
    """
    folders = [folder]
    if not (folder / INDEX).exists():
        folders = sorted(path.parent for path in folder.glob(f"*/{INDEX}"))
    if not folders:
        raise DataError(
            f"{folder} is no clip set and holds none: make one with microspot-engines synthesize"
        )
    parts: list[Pixels] = []
    starts: list[int] = []
    clips: list[dict[str, Any]] = []
    total = 0
    for each in folders:
        crops, entries = _read_set(each, side)
        parts.append(crops)
        starts.append(total)
        clips += [entry | {"start": entry["start"] + total} for entry in entries]
        total += len(crops)
    return Crops(tuple(parts), np.asarray(starts)), clips


def _read_set(folder: Path, side: int) -> tuple[Pixels, list[dict[str, Any]]]:
    try:
        crops: Pixels = np.load(folder / CROPS, mmap_mode="r", allow_pickle=False)
        entries = json.loads((folder / INDEX).read_text(encoding="utf-8"))["clips"]
        needed = max((entry["start"] + len(entry["times_ns"]) for entry in entries), default=0)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{folder} is no clip set ({error!r}): make it with microspot-engines synthesize"
        ) from error
    if crops.dtype != np.uint8 or crops.shape[1:] != (3, side, side):
        raise DataError(
            f"{folder}: expected uint8 (total, 3, {side}, {side}), got {crops.dtype} {crops.shape}"
        )
    if needed > len(crops):
        raise DataError(
            f"{folder}: {INDEX} names frames beyond the {len(crops)} of {CROPS}: make the set again"
        )
    return crops, entries
