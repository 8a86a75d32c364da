"""A set of synthetic clips on disk, made by all cores: what training reads.

OUT/crops.npy    uint8 (total, 3, S, S) RGB
OUT/index.json   {"clips": [{face, split, seed, start, count, times_ns, movements}], "recipe", "seed", "seconds"}

A tenth of the clips is of validation faces, half are moved by the external basis where one is given, and a share of the
training clips is real video with MEs warped in where some is given.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from ..errors import DataError, UsageError
from .backgrounds import Background, background_clip, read_backgrounds
from .basis import Basis
from .faces import find_faces, load_face
from .footage import VIDEOS, examined_from_s
from .synthetic import Clip, Renderer
from .timeline import Recipe

VALIDATION_CLIPS = 0.1  # share of the clips
BASIS_CLIPS = 0.5  # share of the clips that an external basis moves
TRAINING_RECIPE = dataclasses.replace(
    Recipe(), held_per_min=12.0, blink_pull=2.0
)  # examinations have their own
BACKGROUND_CLIPS = 0.2  # share of the training clips that are real video, unless told otherwise


@dataclass(frozen=True, eq=False)
class ClipJob:
    """One clip to render: of a face, or of the carriers where there is none."""

    seed: int
    split: str
    face: tuple[Path, NDArray[np.float64]] | None
    basis: bool


@dataclass(frozen=True, eq=False)
class Source:
    """What every worker holds."""

    recipe: Recipe
    seconds: float
    side: int
    basis: Basis | None
    carriers: tuple[Background, ...]
    share: float  # of the training clips that carriers are


def synthesize(
    faces: Path,
    out: Path,
    *,
    clips: int,
    seconds: float,
    seed: int,
    side: int = 112,
    recipe: Recipe | None = None,
    basis: Path | None = None,
    carriers: Path | None = None,
    carrier_share: float | None = None,
    workers: int = 2,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Render `clips` clips of `seconds` each; reproducible from `seed`.

    basis: an external motion basis (`Basis.open`). carriers: a folder of videos without spontaneous MEs;
    carrier_share: of the training clips, None for CARRIER_CLIPS. Raises UsageError for a share that is none, DataError
    where faces, basis or videos are missing, a video is one of the examinations', or OUT cannot be written.
    """
    share = BACKGROUND_CLIPS if carrier_share is None else carrier_share
    if not 0 <= share <= 1:
        raise UsageError(f"share of carriers {share}: expected 0 to 1")
    chosen = recipe or TRAINING_RECIPE
    motion = Basis.open(basis) if basis else None
    source = Source(chosen, seconds, side, motion, _carriers(carriers, side), share)
    tasks = _tasks(faces, clips, seed, source)
    highest = int(seconds * max(chosen.hz)) + 2
    partial = out / "crops.partial.npy"
    index: list[dict[str, Any]] = []
    total = 0
    try:
        out.mkdir(parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)  # what a killed run left
        _demand_room(out, round(clips * seconds * np.mean(chosen.hz)) * 3 * side * side)
        with multiprocessing.get_context("spawn").Pool(workers, _start, (source,)) as pool:
            store = open_memmap(
                partial, mode="w+", dtype=np.uint8, shape=(clips * highest, 3, side, side)
            )
            for done, (task, clip) in enumerate(
                zip(tasks, pool.imap(_render, tasks, chunksize=2), strict=True), 1
            ):
                count = len(clip.crops)
                store[total : total + count] = clip.crops
                index.append(_entry(clip, task.seed, total))
                total += count
                progress(done, len(tasks))
            store.flush()
        _finish(partial, out / "crops.npy", total, side)
        about = {
            "recipe": dataclasses.asdict(chosen),
            "seed": seed,
            "seconds": seconds,
            "clips": index,
        }
        (out / "index.json").write_text(json.dumps(about))
    except OSError as error:
        raise DataError(f"{out} cannot be written: {error}") from error


def _demand_room(folder: Path, size: int) -> None:
    """DataError where the disk has no room for a set; found full while mapped, it would kill the process."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise DataError(
            f"{folder}: the set takes about {size / 1e9:.1f} GB, {free / 1e9:.1f} are free; fewer --clips"
        )


def _carriers(folder: Path | None, side: int) -> tuple[Background, ...]:
    if folder is None:
        return ()
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in VIDEOS)
    if known := [path.name for path in paths if examined_from_s(path) is not None]:
        raise DataError(f"{', '.join(known)}: the examinations use this footage; train on other")
    found = tuple(carrier for path in paths for carrier in read_backgrounds(path, side=side))
    if not found:
        raise DataError(
            f"{folder}: no face held for a second in {len(paths)} videos; give more, or none"
        )
    return found


def _tasks(faces: Path, clips: int, seed: int, source: Source) -> list[ClipJob]:
    found = find_faces(faces)
    rng = np.random.default_rng(seed)
    tasks: list[ClipJob] = []
    held_out = round(clips * VALIDATION_CLIPS)
    for split, count in (("validation", held_out), ("train", clips - held_out)):
        pool = [face for face in found if face[2] == split]
        if not pool:
            raise DataError(
                f"{faces}: no {split} face among {len(found)} usable ones; give more portraits"
            )
        order = [pool[i] for i in rng.permutation(len(pool))]
        for i in range(count):
            carried = bool(source.carriers) and split == "train" and rng.random() < source.share
            moved = source.basis is not None and rng.random() < BASIS_CLIPS
            face = None if carried else order[i % len(order)][:2]
            tasks.append(ClipJob(int(rng.integers(2**31)), split, face, moved))
    return tasks


_source: Source  # of a worker process


def _start(source: Source) -> None:
    global _source
    _source = source
    cv2.setNumThreads(1)


def _render(task: ClipJob) -> Clip:
    basis = _source.basis if task.basis else None
    if task.face is None:
        return background_clip(_source.carriers, task.seed, _source.seconds, _source.recipe, basis)
    face = load_face(*task.face, task.split)
    return Renderer(face, _source.side, _source.recipe, basis).clip(task.seed, _source.seconds)


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
    header = np.lib.format.header_data_from_array_1_0(np.empty((0, 3, side, side), np.uint8)) | {
        "shape": shape
    }
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
