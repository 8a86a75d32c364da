"""The files of a set: crops one after another, and the index entry of each clip.

Not from the papers.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap

from ...errors import DataError
from .synthetic import Clip


def store(
    path: Path,
    rendered: Iterable[tuple[int, Clip]],
    shape: tuple[int, ...],
    clips: int,
    progress: Callable[[int, int], None],
) -> list[dict[str, Any]]:
    """Write the crops of `clips` pairs (seed, clip) into one file; the clips' entries.

    shape: of a file (N, 3, S, S) with room for the longest clips.
    """
    crops = open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    index: list[dict[str, Any]] = []
    total = 0
    for seed, clip in rendered:
        count = len(clip.crops)
        crops[total : total + count] = clip.crops
        index.append(_entry(clip, seed, total))
        total += count
        progress(len(index), clips)
    crops.flush()
    return index


def demand_room(folder: Path, size: float) -> None:
    """Raise DataError where the disk has no room for a set of `size` bytes.

    A disk that fills while a file is mapped would kill the process.
    """
    free = shutil.disk_usage(folder).free
    if free < size:
        raise DataError(
            f"{folder}: the set takes about {size / 1e9:.1f} GB, {free / 1e9:.1f} are free; "
            "fewer --clips"
        )


def finish(partial: Path, final: Path, total: int, side: int) -> None:
    """Cut the file to the frames that were made: the new header is as long as the old one."""
    shape = (total, 3, side, side)
    header = np.lib.format.header_data_from_array_1_0(np.empty((0, 3, side, side), np.uint8))
    with partial.open("r+b") as file:
        major, _ = np.lib.format.read_magic(file)
        if major != 1:
            raise DataError(f"{partial}: unexpected .npy version {major}")
        size = int.from_bytes(file.read(2), "little")
        body = 10 + size
        text = repr({"descr": header["descr"], "fortran_order": False, "shape": shape})
        file.seek(10)
        file.write(text.ljust(size - 1).encode("latin1") + b"\n")
        file.truncate(body + total * 3 * side * side)
    partial.replace(final)


def _entry(clip: Clip, seed: int, start: int) -> dict[str, Any]:
    return {
        "face": clip.face,
        "split": clip.split,
        "seed": seed,
        "start": start,
        "count": len(clip.crops),
        "times_ns": clip.times_ns.tolist(),
        "movements": [dataclasses.asdict(m) for m in clip.movements],
        "reversible": clip.reversible,
        "labelled": clip.labelled,
    }
