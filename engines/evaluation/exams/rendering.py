"""Synthetic clips of unseen faces, rendered during an examination.

Not from the papers.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ...data.faces import FaceAsset, find_faces, load_face
from ...data.generator.drawing import number, spaced
from ...data.generator.expressions.library import packaged
from ...data.generator.movements.long_expressions import draw_macros, draw_sustained
from ...data.generator.movements.nuisances import draw_nuisances
from ...data.generator.synthetic import Clip, Renderer
from ...data.generator.timeline import Action, Recipe
from ...errors import DataError
from ...units.displacement import crop_px
from . import SEED
from .recordings import Recording
from .stays_out.family import StaysOutFamily

# The recipe of the usual family: blinks, speech, gaze, turns, swallowing and macro-expressions, all
# rates of cameras and codecs. Not in it: what the training recipe alone has (slow local
# expressions, nods, quick shifts of the head, tongue, grimace, tremor, looks, small faces).
EXAM_RECIPE = replace(
    Recipe(),
    micro_per_min=5.0,
    speech_per_min=2.5,
    micro_px=(crop_px(0.5, 112), crop_px(2.5, 112)),  # 0.5 to 2.5 px of the reference crop
)
SPLITS = ("test", "validation", "train")
EDGE_S = 0.2  # between MEs and the ends of a clip


@dataclass(frozen=True, eq=False)
class ClipPlan:
    """The clips that are rendered: their number and length, a seed, the faces' split, a recipe.

    family: whose MEs are drawn in place of the recipe's.
    """

    clips: int = 60
    seconds: float = 60.0
    seed: int = SEED
    split: str = "test"
    recipe: Recipe = EXAM_RECIPE
    family: StaysOutFamily | None = None


class RenderJob(NamedTuple):
    """One clip to render: of a portrait with its landmarks, `side` px."""

    path: Path
    landmarks: NDArray[np.float64]
    split: str
    seed: int
    seconds: float
    side: int
    recipe: Recipe
    family: StaysOutFamily | None


class _StaysOutRenderer(Renderer):
    """Clips whose MEs are of the family that stays out."""

    def __init__(self, face: FaceAsset, side: int, recipe: Recipe, family: StaysOutFamily) -> None:
        super().__init__(face, side, recipe)
        self._family = family

    def behaviour(self, rng: np.random.Generator, seconds: float, recipe: Recipe) -> list[Action]:
        """Everything that the face does in a clip, distractors as the recipe says."""
        peak = self._motion.peak

        def draw(start: float) -> Action:
            return self._family.draw_micro(rng, start, recipe, peak)

        count = number(rng, recipe.micro_per_min, seconds)
        latest = seconds - EDGE_S - recipe.micro_s[3]
        micros = spaced(rng, recipe, count, latest, [], draw, apart=True)
        actions = micros + draw_macros(rng, seconds, recipe, peak, micros)
        actions += draw_nuisances(rng, seconds, recipe)
        actions += draw_sustained(rng, seconds, recipe, peak, micros)
        return sorted(actions, key=lambda action: action.movement.onset_ns)


def render_jobs(faces: Path, plan: ClipPlan, side: int) -> list[RenderJob]:
    """The clips to render; a face is used again only after all others of the split.

    Raises DataError where the split has no face.
    """
    pool = [face for face in find_faces(faces) if face[2] == plan.split]
    if not pool:
        raise DataError(f"{faces}: no usable {plan.split} face; give more portraits")
    # another seed for each split: thresholds are not set on the movements of the test
    rng = np.random.default_rng(plan.seed + SPLITS.index(plan.split))
    order = rng.permutation(len(pool))
    jobs = []
    for i in range(plan.clips):
        path, landmarks, split = pool[order[i % len(pool)]]
        seed = int(rng.integers(2**31))
        how = (seed, plan.seconds, side, plan.recipe, plan.family)
        jobs.append(RenderJob(path, landmarks, split, *how))
    return jobs


def rendered(jobs: Sequence[RenderJob], workers: int) -> Iterator[Clip]:
    """Render the clips in order, at most `workers` of them ahead: a minute at 60 Hz is 135 MB."""
    if workers <= 1:
        yield from map(render, jobs)
        return
    with multiprocessing.get_context("spawn").Pool(workers, initializer=_one_thread) as pool:
        pending = deque(pool.apply_async(render, (job,)) for job in jobs[:workers])
        for job in [*jobs[workers:], *[None] * len(pending)]:
            clip = pending.popleft().get()
            if job is not None:
                pending.append(pool.apply_async(render, (job,)))
            yield clip


def render(job: RenderJob) -> Clip:
    """Render one clip."""
    face = load_face(job.path, job.landmarks, job.split)
    if job.family is None:
        measured = packaged() if job.recipe.families.measured else ()
        return Renderer(face, job.side, job.recipe, measured=measured).clip(job.seed, job.seconds)
    return _StaysOutRenderer(face, job.side, job.recipe, job.family).clip(job.seed, job.seconds)


def recording_of(clip: Clip) -> Recording:
    """A clip as a recording, one cluster for each face."""
    return Recording(clip.face, clip.times_ns, clip.crops, clip.movements)


def _one_thread() -> None:
    cv2.setNumThreads(1)
