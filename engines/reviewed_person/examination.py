"""Does fine-tuning on some reviewed events of a person help with that person? F1 before and after.

Each synthetic person of `exam memory` is seen in two recordings. The first is reviewed by its truth
and trained on by what `train folds` trains with; the other is spotted before and after, and with a
memory of the same events. Thresholds are the weights' own, and those that are best on the other
people's other recordings: nothing of the recording that is measured chooses them. Not from the
papers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ..errors import DataError, UsageError
from ..evaluation.exams.clusters import Counts, interval
from ..evaluation.exams.memory.examination import MemoryPlan, rendered_people
from ..evaluation.exams.memory.seen import (
    FALSE,
    HITS,
    TRUTHS,
    Seen,
    counts_of,
    figures,
    see,
)
from ..evaluation.exams.recordings import Recording
from ..evaluation.exams.segments import segments
from ..rejected_memory import Memory
from ..running_neutral import HIGHEST_SHIFT
from ..runtime.engine import EngineSet
from ..specs import SpotterSpec
from ..training.fine_tuning.networks import Tuner
from .review import REVIEW_SHIFTS, Review, reviewed, write_reviewed

STEP = 0.25  # between two thresholds that are tried, logits
# First the weights' own, then from the strictest on: of equal ones the first is taken.
TRIED = (0.0, *np.arange(min(REVIEW_SHIFTS), HIGHEST_SHIFT, STEP)[::-1].tolist())
BEFORE, MEMORY = "before", "memory"
WEIGHTS, OTHERS = "of the weights", "of the other people"

Tables = dict[str, Counts]  # by what was done, (..., S, 5): counts at each of TRIED


@dataclass(frozen=True)
class PersonPlan:
    """Who is rendered, and how many events are decided of each."""

    people: MemoryPlan
    events: int

    def __post_init__(self) -> None:
        if self.people.people < 2:
            raise UsageError("one person: give two or more, since the others choose the thresholds")


def examine_fine_tuning(tuner: Tuner, faces: Path, plan: PersonPlan) -> dict[str, Any]:
    """The report: for both thresholds the figures of all that was done, and gains over BEFORE.

    Raises DataError where the folder has no face of the split, and for a person of whom nothing is
    spotted.
    """
    side = tuner.start.spec.side
    people = []
    reviews = []
    wrongly_none = []
    for number, recordings in enumerate(rendered_people(faces, plan.people, side)):
        rng = np.random.default_rng([plan.people.seed, number])
        review, tables = examine_person(tuner, recordings, plan.events, rng)
        reviews.append(review)
        wrongly_none.append(review.wrongly_none(recordings[0]))
        people.append(tables)
        tuner.say(f"{number + 1}/{plan.people.people} {_said(tables)}")
    tables = {name: np.array([person[name] for person in people]) for name in people[0]}
    return {
        "people": plan.people.people,
        "seconds": plan.people.seconds,
        "split": plan.people.split,
        "skip": plan.people.skip,
        "seed": plan.people.seed,
        "steps": list(tuner.config.steps),
        "frozen_encoder": tuner.config.training.frozen_encoder,
        "accepted": [len(review.accepted) for review in reviews],
        "rejected": [len(review.rejected) for review in reviews],
        "wrongly_none": wrongly_none,
        "review_shifts": [review.shift for review in reviews],
        "thresholds": compare(tables),
    }


def examine_person(
    tuner: Tuner, recordings: Sequence[Recording], events: int, rng: np.random.Generator
) -> tuple[Review, Tables]:
    """The review of the first recording, and the counts (S, 5) of the second of all that is done.

    Raises DataError where nothing is spotted in the first one.
    """
    first, second = map(segments, recordings)
    given = tuner.as_given()
    spec = given.spotter
    review = reviewed(first, _seen(first, given), spec, events, rng)
    if not (review.accepted or review.rejected):
        raise DataError(f"{recordings[0].name}: no event to review; give longer --seconds")
    seeing = _seen(second, given)
    tables = {
        BEFORE: _counted(seeing, spec),
        MEMORY: _counted(seeing, spec, review.memory(spec.feature)),
    }
    with TemporaryDirectory(prefix="microspot-") as folder:
        kept = write_reviewed(recordings[0], first, review, Path(folder))
        for steps in filter(None, tuner.config.steps):
            tuned = tuner.tuned([kept], steps)
            tables[f"{steps} steps"] = _counted(_seen(second, tuned), spec)
    return review, tables


def compare(tables: Tables) -> dict[str, Any]:
    """What was found at the weights' thresholds, and at those that the other people choose.

    tables: (C, S, 5) of C people. The number of steps is chosen by the other people as well.
    """
    tuned = [name for name in tables if name not in (BEFORE, MEMORY)]
    own = {name: counts[:, 0] for name, counts in tables.items()}
    chosen = {name: chosen_by_others([counts]) for name, counts in tables.items()}
    chosen["steps that the other people choose"] = chosen_by_others(
        [tables[name] for name in (BEFORE, *tuned)]
    )
    return {WEIGHTS: _rows(own), OTHERS: _rows(chosen)}


def chosen_by_others(tables: Sequence[Counts]) -> Counts:
    """(C, 5) counts of each person at what gives the others the best F1; of equal ones the first.

    tables: each (C, S, 5).
    """
    trials = np.concatenate(tables, axis=1)
    found = []
    for person in range(len(trials)):
        others = np.delete(trials, person, axis=0).sum(0)
        found.append(trials[person, int(f1_of(others).argmax())])
    return np.array(found)


def f1_of(sums: Counts) -> Counts:
    """F1 (R,) of sums of counts (R, 5); 0 where there is nothing."""
    both = sums[:, TRUTHS] + sums[:, HITS] + sums[:, FALSE]
    return np.asarray(2 * sums[:, HITS] / np.maximum(both, 1))


def _rows(done: Tables) -> dict[str, Any]:
    """The figures of all that was done, each (C, 5); the gain is in F1, paired by person."""
    before = done[BEFORE]
    width = before.shape[1]
    rows = {}
    for name, counts in done.items():
        row = {
            "f1": _rounded(f1_of(counts.sum(0)[None])),
            "f1_interval": interval(counts, f1_of),
            **figures(counts),
            "f1_by_person": [_rounded(f1_of(one[None])) for one in counts],
        }
        if name != BEFORE:
            row["gain"] = _rounded(_gain(width)(np.hstack([before, counts]).sum(0)[None]))
            row["gain_interval"] = interval(np.hstack([before, counts]), _gain(width))
        rows[name] = row
    return rows


def _gain(width: int) -> Callable[[Counts], Counts]:
    """F1 of the counts from column `width` on, less that of those before."""
    return lambda sums: f1_of(sums[:, width:]) - f1_of(sums[:, :width])


def _rounded(figure: Counts) -> float:
    return round(float(figure[0]), 3)


def _seen(parts: Sequence[Recording], engines: EngineSet) -> list[Seen]:
    return [see(part, engines, min(TRIED)) for part in parts]


def _counted(seeing: Sequence[Seen], spec: SpotterSpec, memory: Memory | None = None) -> Counts:
    """The counts of a recording at each of TRIED, (S, 5)."""
    return np.array(
        [sum(counts_of(seen, spec, shift, memory) for seen in seeing) for shift in TRIED]
    )


def _said(tables: Tables) -> str:
    """F1 of a person at the weights' thresholds, for the log."""
    return ", ".join(f"{name}: F1 {_rounded(f1_of(counts[:1]))}" for name, counts in tables.items())
