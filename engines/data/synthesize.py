"""A set of synthetic clips on disk, made by all cores: what training reads.

OUT/crops.npy    uint8 (total, 3, S, S) RGB
OUT/index.json   {"clips": [{face, split, seed, start, count, times_ns, movements}], "recipe", "seed", "seconds"}
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from ..errors import DataError
from .faces import find_faces, load_face
from .synthetic import Clip, Renderer
from .timeline import Recipe

VALIDATION_CLIPS = 0.1  # share of the clips

Task = tuple[Path, NDArray[np.float64], str, int, float, int, Recipe]


def synthesize(
    faces: Path,
    out: Path,
    *,
    clips: int,
    seconds: float,
    seed: int,
    side: int = 112,
    recipe: Recipe | None = None,
    workers: int = 2,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Render `clips` clips of `seconds` each, a tenth of them of validation faces; reproducible from `seed`.

    Raises DataError where the faces are missing or OUT cannot be written.
    """
    chosen = recipe or Recipe()
    tasks = _tasks(faces, clips, seconds, seed, side, chosen)
    highest = int(seconds * max(chosen.hz)) + 2
    partial = out / "crops.partial.npy"
    index: list[dict[str, Any]] = []
    total = 0
    try:
        out.mkdir(parents=True, exist_ok=True)
        with multiprocessing.get_context("spawn").Pool(workers, initializer=_one_thread) as pool:
            store = open_memmap(partial, mode="w+", dtype=np.uint8, shape=(clips * highest, 3, side, side))
            for done, (task, clip) in enumerate(zip(tasks, pool.imap(_render, tasks, chunksize=2), strict=True), 1):
                count = len(clip.crops)
                store[total : total + count] = clip.crops
                index.append(_entry(clip, task[3], total))
                total += count
                progress(done, len(tasks))
            store.flush()
        _finish(partial, out / "crops.npy", total, side)
        about = {"recipe": dataclasses.asdict(chosen), "seed": seed, "seconds": seconds, "clips": index}
        (out / "index.json").write_text(json.dumps(about))
    except OSError as error:
        raise DataError(f"{out} cannot be written: {error}") from error


def _tasks(faces: Path, clips: int, seconds: float, seed: int, side: int, recipe: Recipe) -> list[Task]:
    found = find_faces(faces)
    rng = np.random.default_rng(seed)
    tasks: list[Task] = []
    held_out = round(clips * VALIDATION_CLIPS)
    for split, count in (("validation", held_out), ("train", clips - held_out)):
        pool = [face for face in found if face[2] == split]
        if not pool:
            raise DataError(f"{faces}: no {split} face among {len(found)} usable ones; give more portraits")
        order = [pool[i] for i in rng.permutation(len(pool))]
        for i in range(count):
            path, mesh, _ = order[i % len(order)]
            tasks.append((path, mesh, split, int(rng.integers(2**31)), seconds, side, recipe))
    return tasks


def _one_thread() -> None:
    cv2.setNumThreads(1)


def _render(task: Task) -> Clip:
    path, mesh, split, seed, seconds, side, recipe = task
    return Renderer(load_face(path, mesh, split), side, recipe).clip(seed, seconds)


def _entry(clip: Clip, seed: int, start: int) -> dict[str, Any]:
    return {
        "face": clip.face,
        "split": clip.split,
        "seed": seed,
        "start": start,
        "count": len(clip.crops),
        "times_ns": clip.times_ns.tolist(),
        "movements": [dataclasses.asdict(m) for m in clip.movements],
    }


def _finish(partial: Path, final: Path, total: int, side: int) -> None:
    """Cut the file to the frames that were made: same header length, so rewriting the header is enough."""
    shape = (total, 3, side, side)
    header = np.lib.format.header_data_from_array_1_0(np.empty((0, 3, side, side), np.uint8)) | {"shape": shape}
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
