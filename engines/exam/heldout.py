"""Held-out synthetic faces: a minute of each test face, with every distractor, rendered while it is examined.

Networks and baseline see the same clips. Each clip is spotted once per spotter; every set that shares a spotter then
names the hits with its own recogniser, on the intervals as the spotter gave them, not on the true ones.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..align import AlignOptions
from ..calibrate import calibrate
from ..clips import SECOND_NS, nearest_frames, thin
from ..data.faces import find_faces, load_face
from ..data.synthetic import Clip, Renderer
from ..data.timeline import Movement, Recipe
from ..errors import DataError, UsageError
from ..intervals import rounded
from ..metrics import spearman, uf1_uar
from ..runtime.engine import EngineSet
from .takes import Take, Verdict, examine, report

# 0.42 to 2.1 px at 112 px are 0.5 to 2.5 px (within a bin of rounding 0.6 to 3.0) at the 160 px of takes.REFERENCE_SIDE
EXAM_RECIPE = replace(Recipe(), micro_per_min=5.0, micro_px=(0.42, 2.1))
SEED = 2026
EPS = 0.1  # prototype at onset and offset; ranks, and so Spearman, are the same for any value below 1
LABEL_FIELDS = {3: "label3", 5: "label5"}

Task = tuple[Path, NDArray[np.float64], str, int, float, int, Recipe]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Reading:
    """What a recogniser said of one hit: true and predicted class (None: the set has no such label), and its curve.

    follows: Spearman with the prototype; misses: |peak - apex| as a share of the found interval's length.
    """

    truth: int | None
    predicted: int
    sure: bool
    follows: float
    misses: float


@dataclass(eq=False)
class Column:
    """Engine sets that share a spotter, and what they made of the clips so far."""

    sets: list[EngineSet]
    verdicts: list[Verdict] = field(default_factory=list)
    readings: list[list[Reading]] = field(init=False)

    def __post_init__(self) -> None:
        self.readings = [[] for _ in self.sets]

    def see(self, take: Take) -> None:
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
    sides = {e.spotter.side for e in engines} | {e.recognizer_spec.side for e in engines if e.recognizer_spec}
    if len(sides) != 1:
        raise UsageError(f"crop sides {sorted(sides)}: expected engine sets of one side; examine others apart")
    side = sides.pop()
    tasks = exam_tasks(faces, clips, seconds, seed, split, side, recipe)
    columns = _columns(engines)
    for done, clip in enumerate(rendered(tasks, workers), 1):
        for take in stretches(Take(clip.face, clip.times_ns, clip.crops, clip.movements)):
            for column in columns:
                column.see(take)
        progress(f"clip {done}/{clips}: {_so_far(columns)}")
    return {
        "clips": clips, "faces": len({task[0] for task in tasks}), "seconds": seconds, "seed": seed, "split": split,
        "columns": [_summary(column, side) for column in columns],
    }  # fmt: skip


def calibrated(engines: EngineSet, data: Path) -> EngineSet:
    """The set with the thresholds that `calibrate` finds best on a clip set's validation clips: one rule for all."""
    best = calibrate(engines, data)
    return replace(engines, spotter=replace(engines.spotter, t_cpn=best["t_cpn"], t_crn=best["t_crn"]))


# ---- clips -------------------------------------------------------------------------------------------------------


def exam_tasks(faces: Path, clips: int, seconds: float, seed: int, split: str, side: int, recipe: Recipe) -> list[Task]:
    """What is to be rendered; a face returns only after all others of the split. Raises DataError without any."""
    pool = [face for face in find_faces(faces) if face[2] == split]
    if not pool:
        raise DataError(f"{faces}: no usable {split} face; give more portraits")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(pool))
    chosen = [pool[order[i % len(pool)]] for i in range(clips)]
    return [(*face, int(rng.integers(2**31)), seconds, side, recipe) for face in chosen]


def rendered(tasks: Sequence[Task], workers: int) -> Iterator[Clip]:
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


def render(task: Task) -> Clip:
    """One clip."""
    path, mesh, split, seed, seconds, side, recipe = task
    return Renderer(load_face(path, mesh, split), side, recipe).clip(seed, seconds)


def _one_thread() -> None:
    cv2.setNumThreads(1)


def stretches(take: Take) -> list[Take]:
    """The take cut where the stream would see a Gap; each movement belongs to the stretch that it overlaps most.

    Stretches of one frame are left out. None where no two frames are left.
    """
    cuts = np.flatnonzero(np.diff(take.times_ns) > AlignOptions().bridge_ns) + 1
    edges = [0, *cuts.tolist(), len(take.times_ns)]
    rows = [slice(a, b) for a, b in zip(edges[:-1], edges[1:], strict=True) if b - a > 1]
    if len(rows) == 1 and not len(cuts):
        return [take]
    spans = [(int(take.times_ns[r.start]), int(take.times_ns[r.stop - 1])) for r in rows]
    owner = [_owner(movement, spans) for movement in take.movements]
    return [
        Take(f"{take.name} {i}", take.times_ns[r], take.crops[r],
             tuple(m for m, own in zip(take.movements, owner, strict=True) if own == i))
        for i, r in enumerate(rows)
    ]  # fmt: skip


def _owner(movement: Movement, spans: list[tuple[int, int]]) -> int:
    overlaps = [min(movement.offset_ns, last) - max(movement.onset_ns, first) for first, last in spans]
    return max(range(len(spans)), key=overlaps.__getitem__, default=-1)


def without_pixels(verdict: Verdict) -> Verdict:
    """The same, its crops given back."""
    empty = np.empty((0, *verdict.take.crops.shape[1:]), np.uint8)
    return replace(verdict, take=replace(verdict.take, crops=empty))


# ---- recognition -------------------------------------------------------------------------------------------------


def read_hit(verdict: Verdict, found: int, truth: int, engines: EngineSet) -> Reading:
    """Run the recogniser on a found interval by the stream's rule (realtime/session.py) and compare with the truth.

    The interval is rounded to ticks, the offset's own tick inclusive; of the crops that the stream holds, the nearest
    to N even positions are taken. The prototype [S2 C16-C21] is linear through the true onset (EPS), apex (1) and
    offset (EPS), read at the times of the positions, EPS outside. Ranks and apex as in [S2 C31], reading ours.
    """
    spec, take, movement = engines.recognizer_spec, verdict.take, verdict.take.micros()[truth]
    assert spec is not None
    at = positions(verdict, found, spec.frames, engines.spotter.grid_hz)
    held = thin(take.times_ns, engines.spotter.grid_hz)
    clip = take.crops[held[nearest_frames(take.times_ns[held], at)]]
    out = engines.engine("recognizer")(clip=np.ascontiguousarray(clip)[None])
    probabilities, curve = out["classes"][0], out["intensity"][0]
    mu = np.interp(at, (movement.onset_ns, movement.apex_ns, movement.offset_ns), (EPS, 1.0, EPS))
    label = getattr(movement, LABEL_FIELDS[len(spec.labels)])
    return Reading(
        truth=spec.labels.index(label) if label in spec.labels else None,
        predicted=int(probabilities.argmax()),
        sure=bool(probabilities.max() >= spec.label_floor),
        follows=float(np.nan_to_num(spearman(curve, mu))),  # a constant curve follows nothing
        misses=float(abs(at[int(curve.argmax())] - movement.apex_ns) / max(at[-1] - at[0], 1.0)),
    )


def positions(verdict: Verdict, found: int, frames: int, grid_hz: int) -> NDArray[np.float64]:
    """(N,) even times (ns) from onset to offset of a found interval, as the event would have them."""
    onset = max(rounded(float(verdict.found.start[found])), 0)
    offset = max(rounded(float(verdict.found.stop[found])) - 1, onset)
    origin = int(verdict.take.times_ns[0])
    first, last = (origin + (2 * tick * SECOND_NS + grid_hz) // (2 * grid_hz) for tick in (onset, offset))
    return np.linspace(first, last, frames, dtype=np.float64)


def recognition(readings: Sequence[Reading], labels: Sequence[str]) -> dict[str, Any]:
    """UF1, UAR and confusion {true: {predicted: count}} over the labelled hits, curve figures over all hits.

    `uncertain` counts labelled hits under the label floor; they are judged by their best label all the same. Figures
    are None where there is nothing to judge.
    """
    matrix = np.zeros((len(labels), len(labels)), int)
    known = [r for r in readings if r.truth is not None]
    np.add.at(matrix, ([r.truth for r in known], [r.predicted for r in known]), 1)
    uf1, uar = (round(x, 4) for x in uf1_uar(matrix)) if known else (None, None)
    return {
        "hits": len(readings), "labelled": len(known), "uf1": uf1, "uar": uar,
        "uncertain": sum(not r.sure for r in known),
        "confusion": {t: dict(zip(labels, row, strict=True)) for t, row in zip(labels, matrix.tolist(), strict=True)},
        "spearman": round(float(np.mean([r.follows for r in readings])), 4) if readings else None,
        "apex_error": round(float(np.mean([r.misses for r in readings])), 4) if readings else None,
    }  # fmt: skip


# ---- report ------------------------------------------------------------------------------------------------------


def _columns(engines: Sequence[EngineSet]) -> list[Column]:
    groups: dict[Any, list[EngineSet]] = {}
    for one in engines:
        groups.setdefault((one.name, one.digest, one.spotter), []).append(one)
    return [Column(sets) for sets in groups.values()]


def _so_far(columns: Sequence[Column]) -> str:
    def counts(column: Column) -> str:
        hits, found = (sum(len(x) for x in every) for every in zip(*((v.hits, v.found) for v in column.verdicts)))
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
