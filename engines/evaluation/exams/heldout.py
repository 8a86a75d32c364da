"""Held-out synthetic faces: a minute of each test face with every distractor.

Clips are rendered during the examination. Networks and baseline see the same ones. Each clip is
spotted once per spotter; every set that shares a spotter then labels the hits with its own
recogniser, on the intervals as the spotter gave them, not on the true ones.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...alignment.bridge import BridgeOptions, breaks
from ...data.faces import find_faces, load_face
from ...data.generator.synthetic import Clip, Renderer
from ...data.generator.timeline import Movement, Recipe
from ...data.people import ClipPart
from ...errors import DataError, UsageError
from ...runtime.engine import EngineSet
from ...specs import OPERATING_POINT, SpotterSpec
from ..calibration import T_CRN_GRID, Scored, best_thresholds, curve, score_clip
from .recognition import RecognitionResult, recognition_figures, recognize_hit
from .recordings import (
    Recording,
    Say,
    SpottingResult,
    crop_px,
    examine,
    report,
    silent,
    without_pixels,
)
from .tuning import count_alarms, quiet_trials, score_composites

EXAM_RECIPE = replace(
    Recipe(),
    micro_per_min=5.0,
    speech_per_min=2.5,
    micro_px=(crop_px(0.5, 112), crop_px(2.5, 112)),  # 0.5 to 2.5 px of the reference crop
)
SEED = 2026
SPLITS = ("test", "validation", "train")
COMPOSITE_MIN = 10.0  # of tuning footage, in all

CALIBRATION_CLIP_S = 60.0

# portrait, landmarks, split, seed, seconds, crop side, recipe
RenderJob = tuple[Path, NDArray[np.float64], str, int, float, int, Recipe]


@dataclass(frozen=True)
class ClipPlan:
    """The clips that are rendered: their number and length, a seed, the faces' split, a recipe."""

    clips: int = 60
    seconds: float = 60.0
    seed: int = SEED
    split: str = "test"
    recipe: Recipe = EXAM_RECIPE


@dataclass(eq=False)
class Column:
    """A column of the report: engine sets that share a spotter, and their results so far."""

    sets: list[EngineSet]
    results: list[SpottingResult] = field(default_factory=list)
    recognitions: list[list[RecognitionResult]] = field(init=False)

    def __post_init__(self) -> None:
        self.recognitions = [[] for _ in self.sets]

    def add(self, recording: Recording) -> None:
        """Spot once and label each hit with every recogniser; results are kept without pixels."""
        result = examine(recording, self.sets[0])
        for engines, recognized in zip(self.sets, self.recognitions, strict=True):
            if engines.recognizer is not None:
                for found, truth in result.hits:
                    recognized.append(recognize_hit(result, found, truth, engines))
        self.results.append(without_pixels(result))


def examine_heldout(
    engines: Sequence[EngineSet],
    faces: Path,
    plan: ClipPlan,
    *,
    workers: int = 1,
    progress: Say = silent,
) -> dict[str, Any]:
    """Examine engine sets on the clips of `plan`.

    Each clip is of another face of the split while there are any left. faces: a folder of
    portraits. Sets with the same weights and thresholds share a spotter and a column. With
    `workers` > 1 as many processes render.

    Returns clips, faces, seconds, seed, split and `columns`, each with the fields of
    `recordings.report` and, by number of labels, `recognition` of the hits. Raises DataError where
    the folder has no face of the split, UsageError for no engine set or sets of different crop
    sides. Not from the papers.
    """
    side = _side_of(engines)
    jobs = render_jobs(faces, plan, side)
    columns = _columns(engines)
    for done, clip in enumerate(rendered(jobs, workers), 1):
        for recording in segments(_recording_of(clip)):
            for column in columns:
                column.add(recording)
        progress(f"clip {done}/{plan.clips}: {_so_far(columns)}")
    return {
        "clips": plan.clips,
        "faces": len({job[0] for job in jobs}),
        "seconds": plan.seconds,
        "seed": plan.seed,
        "split": plan.split,
        "columns": [_summary(column, side) for column in columns],
    }


def _side_of(engines: Sequence[EngineSet]) -> int:
    """The crop side of all engine sets; UsageError where they differ or there is none."""
    sides = {one.spotter.side for one in engines}
    sides |= {one.recognizer_spec.side for one in engines if one.recognizer_spec}
    if len(sides) != 1:
        raise UsageError(
            f"crop sides {sorted(sides)}: expected engine sets of one side; "
            "examine others separately"
        )
    return sides.pop()


def calibrate_on_faces(
    engines: EngineSet,
    faces: Path,
    *,
    clips: int = 30,
    alarms: float = OPERATING_POINT,
    t_crn: float = 0.0,
    footage: Sequence[ClipPart] = (),
    workers: int = 1,
    progress: Say = silent,
) -> dict[str, Any]:
    """`calibration.best_thresholds` on clips like those of the examination, of validation faces.

    t_crn: the lowest T_CRN to choose. footage: real videos; on COMPOSITE_MIN minutes of composites
    of them the thresholds must be quiet too (`tuning.quiet_trials`).
    Returned are also the limits, the `curve` over T_CRN, and as `footage` the counts on the
    composites. Raises UsageError for a T_CRN outside of those that are tried.
    """
    if not 0 <= t_crn <= max(T_CRN_GRID):
        raise UsageError(f"lowest T_CRN {t_crn}: expected 0 to {max(T_CRN_GRID)}")
    plan = ClipPlan(clips, CALIBRATION_CLIP_S, SEED, "validation")
    jobs = render_jobs(faces, plan, engines.spotter.side)
    scored = _score_clips(engines, jobs, workers, progress)
    composites = score_composites(engines, footage, SEED, COMPOSITE_MIN, progress)

    def allowed(trials: Sequence[SpotterSpec]) -> Sequence[SpotterSpec]:
        return quiet_trials(composites, [trial for trial in trials if trial.t_crn >= t_crn])

    best = best_thresholds(scored, engines.spotter, alarms, allowed)
    spec = replace(engines.spotter, t_cpn=best["t_cpn"], t_crn=best["t_crn"])
    counted = count_alarms(composites, spec)
    return best | {
        "alarms_limit": alarms,
        "least_t_crn": t_crn,
        "curve": curve(scored, spec),
        "footage": {name: counts.report() for name, counts in counted.items() if counts.seconds},
    }


def _recording_of(clip: Clip) -> Recording:
    return Recording(clip.face, clip.times_ns, clip.crops, clip.movements)


def _score_clips(
    engines: EngineSet, jobs: Sequence[RenderJob], workers: int, progress: Say
) -> list[Scored]:
    """The scores of every segment of the clips, in order."""
    scored = []
    for done, clip in enumerate(rendered(jobs, workers), 1):
        for one in segments(_recording_of(clip)):
            scored.append(score_clip(engines, one.crops, one.times_ns, one.micro_spans()))
        progress(f"clip {done}/{len(jobs)}")
    return scored


# ---- clips


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
        seed = int(rng.integers(2**31))
        jobs.append((*pool[order[i % len(pool)]], seed, plan.seconds, side, plan.recipe))
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
    path, mesh, split, seed, seconds, side, recipe = job
    return Renderer(load_face(path, mesh, split), side, recipe).clip(seed, seconds)


def _one_thread() -> None:
    cv2.setNumThreads(1)


def segments(recording: Recording, options: BridgeOptions | None = None) -> list[Recording]:
    """Cut a recording where the stream would see a Gap.

    Each movement belongs to the segment that it overlaps most. Segments of one frame are left out,
    so that there may be none.
    """
    cuts = breaks(recording.times_ns.tolist(), options)
    edges = [0, *cuts, len(recording.times_ns)]
    rows = [slice(a, b) for a, b in pairwise(edges) if b - a > 1]
    if len(rows) == 1 and not cuts:
        return [recording]
    times = recording.times_ns
    spans = [(int(times[r.start]), int(times[r.stop - 1])) for r in rows]
    movements: list[list[Movement]] = [[] for _ in rows]
    if rows:
        for movement in recording.movements:
            movements[_most_overlapped(movement, spans)].append(movement)
    cut = []
    for i, r in enumerate(rows):
        name = f"{recording.name} {i}"
        cut.append(Recording(name, times[r], recording.crops[r], tuple(movements[i])))
    return cut


def _most_overlapped(movement: Movement, spans: list[tuple[int, int]]) -> int:
    """The index of the span (first, last) that a movement overlaps most."""
    overlaps = [
        min(movement.offset_ns, last) - max(movement.onset_ns, first) for first, last in spans
    ]
    return overlaps.index(max(overlaps))


# ---- report


def _columns(engines: Sequence[EngineSet]) -> list[Column]:
    """One column for each spotter: sets of the same weights and thresholds share it."""
    groups: dict[Any, list[EngineSet]] = {}
    for one in engines:
        groups.setdefault((one.name, one.digest, one.spotter), []).append(one)
    return [Column(sets) for sets in groups.values()]


def _so_far(columns: Sequence[Column]) -> str:
    """The counts so far in words."""

    def counts(column: Column) -> str:
        hits = sum(len(v.hits) for v in column.results)
        found = sum(len(v.found) for v in column.results)
        return f"{column.sets[0].name} {hits} hits of {found} found"

    truths = sum(len(v.recording.micros()) for v in columns[0].results)
    return f"{truths} MEs, {'; '.join(counts(column) for column in columns)}"


def _summary(column: Column, side: int) -> dict[str, Any]:
    engines = column.sets[0]
    summary = {
        "engines": engines.name,
        "digest": engines.digest,
        "t_cpn": engines.spotter.t_cpn,
        "t_crn": engines.spotter.t_crn,
        **report(column.results, side),
    }
    summary["recognition"] = {}
    for one, recognized in zip(column.sets, column.recognitions, strict=True):
        if one.recognizer_spec is not None:
            labels = one.recognizer_spec.labels
            summary["recognition"][str(len(labels))] = recognition_figures(recognized, labels)
    return summary
