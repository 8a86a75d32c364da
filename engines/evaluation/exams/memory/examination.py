"""Does the memory of rejected events help? False alarms at equal recall, with it and without.

Each person is seen in two recordings, by other cameras. One is reviewed by the truth: what hits or
touches an ME is accepted, other alarms are rejected. The memory of that is then used on the other
recording, and the other way round. Without the memory the threshold is raised as far as as many
MEs are still found. Not from the papers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....clips import to_ticks
from ....data.faces import find_faces, load_face
from ....data.generator.timeline import Recipe
from ....errors import DataError
from ....intervals import Candidate, Intervals, iou
from ....reference import propose, refine, suppress_clusters, window_margins
from ....rejected_memory import Memory, event_vector, ticks_of
from ....running_neutral import HIGHEST_SHIFT, lowered
from ....runtime.engine import EngineSet
from ....specs import SpotterSpec
from ...calibration import Spans, clip_features, judged, overlaps
from ...metrics import HIT_IOU, one_to_one
from .. import SEED
from ..clusters import Counts, interval, ratio
from ..recordings import Recording, Say, silent
from ..rendering import EXAM_RECIPE, SPLITS
from ..segments import segments
from .habits import KIND, HabitRenderer, draw_habit

MES_PER_MIN = 5.0
SHIFTS = (0.0, -1.0, -2.0)  # logits from the weights' thresholds: a row of the report each
STEP = 0.1  # between two thresholds that are tried without a memory, in logits
HITS, TRUTHS, FALSE, OF_HABIT, SECONDS = range(5)  # columns of the counts


@dataclass(frozen=True)
class MemoryPlan:
    """Whose people are rendered: how many, after `skip` others of the same seed and split."""

    people: int = 20
    skip: int = 10
    seconds: float = 90.0
    split: str = "validation"
    seed: int = SEED
    recipe: Recipe = EXAM_RECIPE


@dataclass(frozen=True, eq=False)
class Seen:
    """A segment of a person, scored once for all thresholds from the lowest of `lowered` on.

    features (L, T); windows and their margins above the weights' thresholds (P,); the MEs, doubtful
    movements and habits in ticks.
    """

    features: NDArray[np.float32]
    windows: list[Candidate]
    above: NDArray[np.float64]
    micros: Spans
    doubtful: Spans
    habits: Spans


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


def see(recording: Recording, engines: EngineSet) -> Seen:
    """Score a segment."""
    spec = engines.spotter
    features = clip_features(recording.crops, recording.times_ns, engines)
    scores = propose(features, engines)
    windows = refine(features, scores, replace(engines, spotter=lowered(spec)))
    habits = [(m.onset_ns, m.offset_ns) for m in recording.movements if m.kind == KIND]
    spans = (recording.micro_spans(), recording.doubtful_spans(), np.array(habits, np.int64))
    origin = int(recording.times_ns[0])
    ticks = []
    for span in spans:
        onset, offset = span.reshape(-1, 2).T
        ticks.append(to_ticks(onset, offset, origin, spec.grid_hz))
    return Seen(features, windows, window_margins(windows, scores, spec), *ticks)


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
                "without": _figures(without),
                "with_memory": _figures(memory),
                "equal_recall": _figures(raised),
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
                counts += _counts(seen, spec, shift, memory)
        rows.append(counts)
    return np.array(rows)


def _counts(seen: Seen, spec: SpotterSpec, shift: float, memory: Memory | None) -> Counts:
    found = _found(seen, spec, shift)
    if memory is not None:
        found = memory.without(found, seen.features)
    found = found[judged(found, seen.micros, seen.doubtful)]
    hits = {index for index, _ in one_to_one(overlaps(found, seen.micros), HIT_IOU)}
    false = [index for index in range(len(found.start)) if index not in hits]
    of_habit = _touches(found, seen.habits)[false]
    seconds = seen.features.shape[1] / spec.grid_hz
    return np.array([len(hits), len(seen.micros[0]), len(false), of_habit.sum(), seconds])


def _found(seen: Seen, spec: SpotterSpec, shift: float) -> Intervals:
    """What is spotted at thresholds `shift` logits above the weights'."""
    both = zip(seen.windows, seen.above.tolist(), strict=True)
    passing = [window for window, margin in both if margin >= shift]
    return suppress_clusters(passing, seen.features.shape[1], lowered(spec))


def _reviewed(seeing: Seeing, spec: SpotterSpec, shift: float) -> Memory:
    """The memory of a recording, reviewed by its truth; doubtful movements are left undecided."""
    vectors: dict[bool, list[NDArray[np.float32]]] = {True: [], False: []}
    for seen in seeing:
        found = _found(seen, spec, shift)
        found = found[judged(found, seen.micros, seen.doubtful)]
        touching = _touches(found, seen.micros)
        ticks = seen.features.shape[1]
        for i in range(len(found.start)):
            first, last = ticks_of(found.start[i], found.stop[i], ticks)
            vectors[bool(touching[i])].append(event_vector(seen.features[:, first:last]))
    width = spec.feature
    rejected, accepted = (
        np.array(vectors[a], np.float32).reshape(-1, width) for a in (False, True)
    )
    return Memory(rejected, accepted, "")


def _touches(found: Intervals, spans: Spans) -> NDArray[np.bool_]:
    """Which of the found intervals overlap one of the spans."""
    overlap = iou(found.start[:, None], found.stop[:, None], *spans)
    return np.asarray(overlap.max(1, initial=0) > 0)


def _figures(counts: Counts) -> dict[str, Any]:
    """Recall and false alarms, those that touch a habit among them."""
    minutes = counts[:, SECONDS].sum() / 60
    return {
        "recall": round(float(counts[:, HITS].sum() / max(counts[:, TRUTHS].sum(), 1)), 3),
        "recall_interval": interval(counts, ratio(HITS, TRUTHS)),
        "truths": int(counts[:, TRUTHS].sum()),
        "false_alarms": int(counts[:, FALSE].sum()),
        "of_habits": int(counts[:, OF_HABIT].sum()),
        "false_alarms_per_min": round(float(counts[:, FALSE].sum() / minutes), 2),
    }
