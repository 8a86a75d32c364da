"""Held-out synthetic faces: a minute of each test face, with every distractor, rendered while it is examined.

Networks and baseline see the same clips. Each clip is spotted once per spotter; every set that shares a spotter then
names the hits with its own recogniser, on the intervals as the spotter gave them, not on the true ones.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...alignment.bridge import BridgeOptions, breaks
from ...data.faces import find_faces, load_face
from ...data.synthetic import Clip, Renderer
from ...data.timeline import Movement, Recipe
from ...errors import DataError, UsageError
from ...runtime.engine import EngineSet
from ...specs import OPERATING_POINT, SpotterSpec
from ..calibration import T_CRN_GRID, Scored, best_thresholds, curve, score_clip
from .recognition import RecognitionResult, read_hit, recognition
from .recordings import Recording, SpottingResult, crop_px, examine, report, without_pixels
from .tuning import quiet_trials, score_composites, tallies

# 0.5 to 2.5 reference px (takes.py), in px of a crop of 112
EXAM_RECIPE = replace(
    Recipe(), micro_per_min=5.0, speech_per_min=2.5, micro_px=(crop_px(0.5, 112), crop_px(2.5, 112))
)
SEED = 2026
SPLITS = ("test", "validation", "train")
COMPOSITE_MIN = 10.0  # of tuning footage, in all

RenderJob = tuple[Path, NDArray[np.float64], str, int, float, int, Recipe]
Say = Callable[[str], None]


@dataclass(eq=False)
class Column:
    """Engine sets that share a spotter, and what they made of the clips so far."""

    sets: list[EngineSet]
    verdicts: list[SpottingResult] = field(default_factory=list)
    readings: list[list[RecognitionResult]] = field(init=False)

    def __post_init__(self) -> None:
        self.readings = [[] for _ in self.sets]

    def see(self, take: Recording) -> None:
        """Spot once, name each hit with every recogniser; what is kept holds no pixels."""
        verdict = examine(take, self.sets[0])
        for engines, said in zip(self.sets, self.readings, strict=True):
            if engines.recognizer is not None:
                said += [read_hit(verdict, found, truth, engines) for found, truth in verdict.hits]
        self.verdicts.append(without_pixels(verdict))


def examine_heldout(
    engines: Sequence[EngineSet],
    faces: Path,
    *,
    clips: int = 60,
    seconds: float = 60.0,
    seed: int = SEED,
    split: str = "test",
    recipe: Recipe = EXAM_RECIPE,
    workers: int = 1,
    progress: Say = lambda line: None,
) -> dict[str, Any]:
    """Examine engine sets on `clips` clips of `seconds`, each of another face of `split` while there are any left.

    faces: a folder of portraits. Sets with the same weights and thresholds share a spotter and a column. Returns
    clips, faces, seconds, seed, split and `columns`, each with the fields of `takes.report` and, by number of labels,
    `recognition` of the hits. With `workers` > 1 as many processes render. Raises DataError where the folder has no
    face of the split, UsageError for no engine set or sets of different crop sides. Not from the papers.
    """
    sides = {e.spotter.side for e in engines} | {
        e.recognizer_spec.side for e in engines if e.recognizer_spec
    }
    if len(sides) != 1:
        raise UsageError(
            f"crop sides {sorted(sides)}: expected engine sets of one side; examine others apart"
        )
    side = sides.pop()
    tasks = exam_tasks(faces, clips, seconds, seed, split, side, recipe)
    columns = _columns(engines)
    for done, clip in enumerate(rendered(tasks, workers), 1):
        for take in segments(Recording(clip.face, clip.times_ns, clip.crops, clip.movements)):
            for column in columns:
                column.see(take)
        progress(f"clip {done}/{clips}: {_so_far(columns)}")
    return {
        "clips": clips, "faces": len({task[0] for task in tasks}), "seconds": seconds, "seed": seed, "split": split,
        "columns": [_summary(column, side) for column in columns],
    }  # fmt: skip


def calibrate_on_faces(
    engines: EngineSet, faces: Path, *, clips: int = 30, seconds: float = 60.0, alarms: float = OPERATING_POINT,
    t_crn: float = 0.0, footage: Sequence[Path] = (), workers: int = 1, progress: Say = lambda line: None,
) -> dict[str, Any]:  # fmt: skip
    """`calibrate.best_thresholds` on clips like those of the examination, but of validation faces; with its `curve`.

    t_crn: the lowest T_CRN to choose. footage: real videos; on COMPOSITE_MIN minutes of composites of what the
    examinations leave of them the thresholds must be quiet too (`tuning.quiet_trials`). What they give there is
    returned as `footage`. Raises UsageError for a T_CRN that is none.
    """
    if not 0 <= t_crn <= max(T_CRN_GRID):
        raise UsageError(f"lowest T_CRN {t_crn}: expected 0 to {max(T_CRN_GRID)}")
    tasks = exam_tasks(faces, clips, seconds, SEED, "validation", engines.spotter.side, EXAM_RECIPE)
    scored = []
    for done, clip in enumerate(rendered(tasks, workers), 1):
        for take in segments(Recording(clip.face, clip.times_ns, clip.crops, clip.movements)):
            scored.append(_scored(engines, take))
        progress(f"clip {done}/{clips}")
    composites = score_composites(engines, footage, SEED, COMPOSITE_MIN, progress)

    def allowed(trials: Sequence[SpotterSpec]) -> Sequence[SpotterSpec]:
        return quiet_trials(composites, [trial for trial in trials if trial.t_crn >= t_crn])

    best = best_thresholds(scored, engines.spotter, alarms, allowed)
    spec = replace(engines.spotter, t_cpn=best["t_cpn"], t_crn=best["t_crn"])
    real = {
        name: tally.report() for name, tally in tallies(composites, spec).items() if tally.seconds
    }
    return best | {
        "alarms_limit": alarms,
        "least_t_crn": t_crn,
        "curve": curve(scored, spec),
        "footage": real,
    }


def _scored(engines: EngineSet, take: Recording) -> Scored:
    spans = np.asarray([(m.onset_ns, m.offset_ns) for m in take.micros()], np.int64).reshape(-1, 2)
    return score_clip(engines, take.crops, take.times_ns, spans)


# ---- clips -------------------------------------------------------------------------------------------------------


def exam_tasks(
    faces: Path, clips: int, seconds: float, seed: int, split: str, side: int, recipe: Recipe
) -> list[RenderJob]:
    """What is to be rendered; a face returns only after all others of the split. Raises DataError without any."""
    pool = [face for face in find_faces(faces) if face[2] == split]
    if not pool:
        raise DataError(f"{faces}: no usable {split} face; give more portraits")
    rng = np.random.default_rng(
        seed + SPLITS.index(split)
    )  # thresholds are not set on the scripts of the test
    order = rng.permutation(len(pool))
    chosen = [pool[order[i % len(pool)]] for i in range(clips)]
    return [(*face, int(rng.integers(2**31)), seconds, side, recipe) for face in chosen]


def rendered(tasks: Sequence[RenderJob], workers: int) -> Iterator[Clip]:
    """The clips in order, at most `workers` of them ahead: a minute at 60 Hz is 135 MB."""
    if workers <= 1:
        yield from map(render, tasks)
        return
    with multiprocessing.get_context("spawn").Pool(workers, initializer=_one_thread) as pool:
        pending = deque(pool.apply_async(render, (task,)) for task in tasks[:workers])
        for task in [*tasks[workers:], *[None] * len(pending)]:
            clip = pending.popleft().get()
            if task is not None:
                pending.append(pool.apply_async(render, (task,)))
            yield clip


def render(task: RenderJob) -> Clip:
    """One clip."""
    path, mesh, split, seed, seconds, side, recipe = task
    return Renderer(load_face(path, mesh, split), side, recipe).clip(seed, seconds)


def _one_thread() -> None:
    cv2.setNumThreads(1)


def segments(take: Recording, options: BridgeOptions | None = None) -> list[Recording]:
    """The take cut where the stream would see a Gap; each movement belongs to the segment that it overlaps most.

    SegmentTracker of one frame are left out. None where no two frames are left.
    """
    cuts = breaks(take.times_ns.tolist(), options)
    edges = [0, *cuts, len(take.times_ns)]
    rows = [slice(a, b) for a, b in pairwise(edges) if b - a > 1]
    if len(rows) == 1 and not cuts:
        return [take]
    spans = [(int(take.times_ns[r.start]), int(take.times_ns[r.stop - 1])) for r in rows]
    owner = [_owner(movement, spans) for movement in take.movements]
    return [
        Recording(f"{take.name} {i}", take.times_ns[r], take.crops[r],
             tuple(m for m, own in zip(take.movements, owner, strict=True) if own == i))
        for i, r in enumerate(rows)
    ]  # fmt: skip


def _owner(movement: Movement, spans: list[tuple[int, int]]) -> int:
    overlaps = [
        min(movement.offset_ns, last) - max(movement.onset_ns, first) for first, last in spans
    ]
    return max(range(len(spans)), key=overlaps.__getitem__, default=-1)


# ---- report ------------------------------------------------------------------------------------------------------


def _columns(engines: Sequence[EngineSet]) -> list[Column]:
    groups: dict[Any, list[EngineSet]] = {}
    for one in engines:
        groups.setdefault((one.name, one.digest, one.spotter), []).append(one)
    return [Column(sets) for sets in groups.values()]


def _so_far(columns: Sequence[Column]) -> str:
    def counts(column: Column) -> str:
        hits, found = (
            sum(len(v.hits) for v in column.verdicts),
            sum(len(v.found) for v in column.verdicts),
        )
        return f"{column.sets[0].name} {hits} hits of {found} found"

    truths = sum(len(v.take.micros()) for v in columns[0].verdicts)
    return f"{truths} MEs, {'; '.join(counts(column) for column in columns)}"


def _summary(column: Column, side: int) -> dict[str, Any]:
    engines = column.sets[0]
    summary = {"engines": engines.name, "digest": engines.digest, "t_cpn": engines.spotter.t_cpn,
               "t_crn": engines.spotter.t_crn, **report(column.verdicts, side)}  # fmt: skip
    summary["recognition"] = {
        str(len(one.recognizer_spec.labels)): recognition(said, one.recognizer_spec.labels)
        for one, said in zip(column.sets, column.readings, strict=True)
        if one.recognizer_spec is not None
    }
    return summary
