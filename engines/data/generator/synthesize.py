"""A set of synthetic clips on disk, made by all cores: what training reads.

    OUT/crops.npy    uint8 (total, 3, S, S) RGB
    OUT/index.json   {"clips": [{face, split, seed, start, count, times_ns, movements,
                                 reversible, labelled}],
                      "recipe", "seed", "seconds"}

A tenth of the clips is of validation faces, half are moved by the external basis where one is
given, and a share of the training clips is real video with MEs warped in where some is given. In a
share of the validation clips the MEs and most held expressions are of the kept family: fields of a
person whom no training clip shows, neither by other fields nor in real video. A movement's `family`
says which it is; clips with `reversible` false must not be played backward.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, UsageError
from ..faces import find_faces, load_face
from .backgrounds import Background, background_clip, folder_backgrounds
from .basis import Basis
from .expressions.library import packaged, read_fields
from .expressions.measuring import measure_folder
from .families import KEPT, MeasuredField
from .set_files import demand_room, finish, store
from .synthetic import Clip, Renderer
from .timeline import Courses, Families, Looks, Recipe, Slow

VALIDATION_CLIPS = 0.1  # share of the clips
BASIS_CLIPS = 0.5  # share of the clips that an external basis moves
BACKGROUND_CLIPS = 0.2  # share of the training clips that are real video, unless told otherwise
KEPT_CLIPS = 0.25  # share of the validation clips whose MEs are of the kept family
# Examinations have recipes of their own.
TRAINING_RECIPE = dataclasses.replace(
    Recipe(),
    sustained_per_min=12.0,
    blink_pull=2.0,
    families=Families(usual=0.3, local=0.4, measured=0.3),
    courses=Courses(
        plain=0.42,
        returning=0.25,
        two_phase=0.10,
        held_apex=0.08,
        brief=0.12,
        trembling=0.03,
        second_site=0.15,
        second_me=0.05,
    ),
    slow=Slow(under=0.45, per_min=6.0, after_speech=0.4),
    looks=Looks(
        wrinkles=0.5, glasses=0.12, stubble=0.12, dark_skin=0.15, dark_room=0.08, small=0.15
    ),
    overlapping=0.15,
    nod_per_min=2.0,
    shift_per_min=3.0,
    tongue_per_min=1.0,
    grimace_per_min=1.0,
    tremor_per_min=1.0,
    head_px_per_rad=60.0,
    pure_backgrounds=0.4,
)


@dataclass(frozen=True)
class SetOptions:
    """What a set holds: `clips` clips of `seconds` each, reproducible from `seed`.

    basis: a file with an external motion basis. expressions: a file of measured fields, or a video
    or a folder of videos to measure, beside those of the package. backgrounds: a folder of videos
    without spontaneous MEs; person: who is in those videos that `people.csv` does not list;
    background_share: of the training clips. Raises UsageError for a share that is none.
    """

    clips: int
    seconds: float
    seed: int
    side: int = 112
    recipe: Recipe = TRAINING_RECIPE
    basis: Path | None = None
    backgrounds: Path | None = None
    background_share: float = BACKGROUND_CLIPS
    person: str | None = None
    expressions: Path | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.background_share <= 1:
            raise UsageError(f"--carrier-share {self.background_share}: expected 0 to 1")


@dataclass(frozen=True, eq=False)
class ClipJob:
    """One clip to render: of a face, or of a background where there is none.

    kept: MEs and most held expressions are of the kept family; second sites, slow expressions,
    grimaces and open mouths are as in other clips.
    """

    seed: int
    split: str
    face: tuple[Path, NDArray[np.float64]] | None
    basis: bool
    kept: bool = False


@dataclass(frozen=True, eq=False)
class Material:
    """What every worker renders clips from; kept: fields that only validation clips show."""

    options: SetOptions
    basis: Basis | None
    backgrounds: tuple[Background, ...]
    measured: tuple[MeasuredField, ...] = ()
    kept: tuple[MeasuredField, ...] = ()


def synthesize(
    faces: Path,
    out: Path,
    options: SetOptions,
    workers: int = 2,
    progress: Callable[[int, int], None] = lambda done, total: None,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Render the set of `options` from a folder of portraits, and report (done, total) clips.

    `say` is told whose video is left out. Raises DataError where faces, basis or videos are
    missing, a video is not for training, or `out` cannot be written.
    """
    material = _gathered(options, say)
    jobs = _jobs(faces, material)
    partial = out / "crops.partial.npy"
    try:
        out.mkdir(parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)  # what a killed run left
        frames = options.clips * options.seconds * float(np.mean(options.recipe.hz))
        demand_room(out, frames * 3 * options.side**2)
        with multiprocessing.get_context("spawn").Pool(workers, _start, (material,)) as pool:
            clips = pool.imap(_render, jobs, chunksize=2)
            rendered = zip((job.seed for job in jobs), clips, strict=True)
            longest = int(options.seconds * max(options.recipe.hz)) + 2
            shape = (options.clips * longest, 3, options.side, options.side)
            index = store(partial, rendered, shape, options.clips, progress)
        finish(partial, out / "crops.npy", sum(entry["count"] for entry in index), options.side)
        about = {
            "recipe": dataclasses.asdict(options.recipe),
            "seed": options.seed,
            "seconds": options.seconds,
            "clips": index,
        }
        (out / "index.json").write_text(json.dumps(about))
    except OSError as error:
        raise DataError(f"{out} cannot be written: {error}") from error


def _gathered(options: SetOptions, say: Callable[[str], None] = lambda line: None) -> Material:
    """Everything that the options name, read; persons with kept fields are in no training clip."""
    basis = Basis.open(options.basis) if options.basis else None
    fields = _expressions(options)
    kept = tuple(field for field in fields if field.family == KEPT)
    apart = _persons(kept)
    measured = tuple(field for field in fields if field.person not in apart)
    backgrounds: tuple[Background, ...] = ()
    if options.backgrounds:
        backgrounds = folder_backgrounds(
            options.backgrounds, options.side, options.person, apart, say
        )
    return Material(options, basis, backgrounds, measured, kept)


def _persons(fields: Sequence[MeasuredField]) -> set[str]:
    """Whose fields these are."""
    return {field.person for field in fields}


def _expressions(options: SetOptions) -> tuple[MeasuredField, ...]:
    """The measured fields of the package and those that the options name.

    Those of a person whose fields the package keeps from training are kept too.
    """
    given = options.expressions
    if given is None:
        return packaged()
    if given.suffix == ".npz":
        return packaged() + read_fields(given)
    apart = _persons([field for field in packaged() if field.family == KEPT])
    return packaged() + tuple(measure_folder(given, options.person, tuple(apart)))


def _jobs(faces: Path, material: Material) -> list[ClipJob]:
    options = material.options
    found = find_faces(faces)
    rng = np.random.default_rng(options.seed)
    jobs: list[ClipJob] = []
    validation = round(options.clips * VALIDATION_CLIPS)
    for split, count in (("validation", validation), ("train", options.clips - validation)):
        pool = [face for face in found if face[2] == split]
        if not pool:
            raise DataError(
                f"{faces}: no {split} face among {len(found)} usable ones; give more portraits"
            )
        order = [pool[i] for i in rng.permutation(len(pool))]
        for i in range(count):
            face: tuple[Path, NDArray[np.float64]] | None = order[i % len(order)][:2]
            may_be_background = bool(material.backgrounds) and split == "train"
            if may_be_background and rng.random() < options.background_share:
                face = None
            by_basis = material.basis is not None and rng.random() < BASIS_CLIPS
            kept = bool(material.kept) and split == "validation" and rng.random() < KEPT_CLIPS
            jobs.append(ClipJob(int(rng.integers(2**31)), split, face, by_basis, kept))
    return jobs


_material: Material  # of a worker process


def _start(material: Material) -> None:
    global _material
    _material = material
    cv2.setNumThreads(1)


def _render(job: ClipJob) -> Clip:
    options = _material.options
    basis = _material.basis if job.basis else None
    recipe = options.recipe
    measured = _material.measured
    if job.kept:
        measured = _material.kept
        only = dataclasses.replace(recipe.families, usual=0.0, local=0.0, measured=1.0, even=0.0)
        recipe = dataclasses.replace(recipe, families=only)
    if job.face is None:
        return background_clip(
            _material.backgrounds, job.seed, options.seconds, recipe, basis, measured
        )
    face = load_face(*job.face, job.split)
    renderer = Renderer(face, options.side, recipe, basis, measured)
    return renderer.clip(job.seed, options.seconds)
