"""Held-out synthetic faces: a minute of each test face with distractors.

Clips are rendered during the examination. Networks and baseline see the same ones. Each clip is
spotted once per spotter; every set that shares a spotter then labels the hits with its own
recogniser, on the intervals as the spotter gave them, not on the true ones. MEs are those of the
generator, or of the family that stays out, which no training sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...data.generator.families import USUAL
from ...errors import UsageError
from ...runtime.engine import EngineSet
from .movement import movement_figures
from .recognition import RecognitionResult, recognition_figures, recognize_hit
from .recordings import Recording, Say, SpottingResult, examine, silent, without_pixels
from .rendering import ClipPlan, recording_of, render_jobs, rendered
from .report import report
from .segments import segments
from .stays_out import STAYS_OUT


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

    Returns clips, faces, seconds, seed, split, family, `stays_out` (what the family that stays
    out is, where it is drawn) and `columns`, each with the fields of
    `report.report` and, by number of labels, `recognition` of the hits. Raises DataError where
    the folder has no face of the split, UsageError for no engine set or sets of different crop
    sides. Not from the papers.
    """
    side = _side_of(engines)
    jobs = render_jobs(faces, plan, side)
    columns = _columns(engines)
    for done, clip in enumerate(rendered(jobs, workers), 1):
        for recording in segments(recording_of(clip)):
            for column in columns:
                column.add(recording)
        progress(f"clip {done}/{plan.clips}: {_so_far(columns)}")
    return {
        "clips": plan.clips,
        "faces": len({job[0] for job in jobs}),
        "seconds": plan.seconds,
        "seed": plan.seed,
        "split": plan.split,
        "family": STAYS_OUT if plan.family else USUAL,
        "stays_out": plan.family.about() if plan.family else None,
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
            figures = recognition_figures(recognized, labels)
            moved = [hit.movement for hit in recognized if hit.movement is not None]
            figures["movement"] = movement_figures(moved, one.recognizer_spec)
            summary["recognition"][str(len(labels))] = figures
    return summary
