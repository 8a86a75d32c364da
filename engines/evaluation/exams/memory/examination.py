"""Does the memory of rejected events help? False alarms at equal recall, with it and without.

Each person is seen in two recordings, by other cameras. One is reviewed by the truth: what hits or
touches an ME is accepted, other alarms are rejected. The memory of that is then used on the other
recording, and the other way round. Without the memory the threshold is raised as far as as many
MEs are still found. Not from the papers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....data.faces import find_faces, load_face
from ....data.generator.timeline import Recipe
from ....errors import DataError
from ....rejected_memory import Memory, event_vector, ticks_of
from ....running_neutral import HIGHEST_SHIFT
from ....runtime.engine import EngineSet
from ....specs import SpotterSpec
from ...calibration import judged
from .. import SEED
from ..clusters import Counts, interval, ratio
from ..recordings import Recording, Say, silent
from ..rendering import EXAM_RECIPE, SPLITS
from ..segments import segments
from .habits import HabitRenderer, draw_habit
from .seen import FALSE, HITS, Seen, counts_of, figures, found_at, see, touches

MES_PER_MIN = 5.0
SHIFTS = (0.0, -1.0, -2.0)  # logits from the weights' thresholds: a row of the report each
STEP = 0.1  # between two thresholds that are tried without a memory, in logits


@dataclass(frozen=True)
class MemoryPlan:
    """Whose people are rendered: how many, after `skip` others of the same seed and split."""

    people: int = 20
    skip: int = 10
    seconds: float = 90.0
    split: str = "validation"
    seed: int = SEED
    recipe: Recipe = EXAM_RECIPE


Seeing = list[Seen]  # one recording
People = Sequence[tuple[Seeing, Seeing]]


def examine_memory(
    engines: EngineSet, faces: Path, plan: MemoryPlan, progress: Say = silent
) -> dict[str, Any]:
    """The report of `compare` on people who are rendered for it.

    Raises DataError where the folder has no face of the split.
    """
    people = []
    for recordings in rendered_people(faces, plan, engines.spotter.side):
        first, second = ([see(one, engines) for one in segments(r)] for r in recordings)
        people.append((first, second))
        progress(f"{len(people)}/{plan.people}")
    about = {"people": plan.people, "seconds": plan.seconds, "split": plan.split, "seed": plan.seed}
    return {**about, "rows": compare(people, engines.spotter)}


def rendered_people(faces: Path, plan: MemoryPlan, side: int) -> Iterator[list[Recording]]:
    """Two recordings of each person; a face is one person, while there are faces."""
    pool = [face for face in find_faces(faces) if face[2] == plan.split]
    if not pool:
        raise DataError(f"{faces}: no usable {plan.split} face; give more portraits")
    rng = np.random.default_rng(plan.seed + SPLITS.index(plan.split))
    order = rng.permutation(len(pool))
    for i in range(plan.skip + plan.people):
        who, *clips = (int(rng.integers(2**31)) for _ in range(3))
        if i < plan.skip:
            continue
        person, habit = draw_habit(who)
        recipe = person.recipe(MES_PER_MIN, plan.recipe)
        face = load_face(*pool[order[i % len(pool)]])
        renderer = HabitRenderer(face, side, recipe, person, habit)
        made = [renderer.clip(seed, plan.seconds) for seed in clips]
        yield [Recording(clip.face, clip.times_ns, clip.crops, clip.movements) for clip in made]


def compare(people: People, spec: SpotterSpec) -> list[dict[str, Any]]:
    """A row for each of SHIFTS: without a memory, with it, and at equal recall without it."""
    rows = []
    for shift in SHIFTS:
        without = _counted(people, spec, shift)
        memory = _counted(people, spec, shift, use_memory=True)
        hits = memory[:, HITS].sum()
        raised = without
        for step in np.arange(shift, HIGHEST_SHIFT, STEP):
            tried = _counted(people, spec, float(step))
            if tried[:, HITS].sum() < hits:
                break
            raised = tried
        cut = np.column_stack([raised[:, FALSE] - memory[:, FALSE], raised[:, FALSE]])
        rows.append(
            {
                "shift": shift,
                "without": figures(without),
                "with_memory": figures(memory),
                "equal_recall": figures(raised),
                "cut": round(float(cut[:, 0].sum() / max(cut[:, 1].sum(), 1)), 3),
                "cut_interval": interval(cut, ratio(0, 1)),
            }
        )
    return rows


def _counted(people: People, spec: SpotterSpec, shift: float, use_memory: bool = False) -> Counts:
    """The counts of every person (C, 5), over both recordings."""
    rows = []
    for both in people:
        counts = np.zeros(5)
        for reviewed, seeing in (both, both[::-1]):
            memory = _reviewed(reviewed, spec, shift) if use_memory else None
            for seen in seeing:
                counts += counts_of(seen, spec, shift, memory)
        rows.append(counts)
    return np.array(rows)


def _reviewed(seeing: Seeing, spec: SpotterSpec, shift: float) -> Memory:
    """The memory of a recording, reviewed by its truth; doubtful movements are left undecided."""
    vectors: dict[bool, list[NDArray[np.float32]]] = {True: [], False: []}
    for seen in seeing:
        found = found_at(seen, spec, shift)
        found = found[judged(found, seen.micros, seen.doubtful)]
        touching = touches(found, seen.micros)
        ticks = seen.features.shape[1]
        for i in range(len(found.start)):
            first, last = ticks_of(found.start[i], found.stop[i], ticks)
            vectors[bool(touching[i])].append(event_vector(seen.features[:, first:last]))
    width = spec.feature
    rejected, accepted = (
        np.array(vectors[a], np.float32).reshape(-1, width) for a in (False, True)
    )
    return Memory(rejected, accepted, "")
