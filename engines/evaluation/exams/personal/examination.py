"""Does a threshold of each face's own help? Recall at the same alarms a minute, and their spread.

Every person is seen for some minutes at each rate of micro-expressions. Windows are scored once;
then one threshold for all faces is swept, and thresholds of their own aim at several rates of
alarms. Each of the latter is compared with the one threshold that gives as many alarms a minute on
average. Not from the papers.
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
from ....reference import (
    admitted,
    best_margins,
    propose,
    refine,
    suppress_clusters,
    window_margins,
)
from ....running_neutral import HIGHEST_SHIFT, LOWEST_SHIFT, Neutral, lowered
from ....runtime.engine import EngineSet
from ....specs import SpotterSpec
from ...calibration import clip_features
from ...metrics import HIT_IOU, one_to_one
from .. import SEED
from ..clusters import Counts, interval, ratio
from ..recordings import Recording, Say, silent
from ..rendering import EXAM_RECIPE, SPLITS
from ..segments import segments
from .people import PersonRenderer, draw_person

RATES_PER_MIN = (1.0, 5.0)  # of micro-expressions
ALARMS_PER_MIN = (0.2, 0.5, 1.0, 2.0)  # that are aimed at
WORST = 0.1  # share of the faces whose alarms are told apart
FIXED_SHIFTS = np.arange(LOWEST_SHIFT, HIGHEST_SHIFT + 0.05, 0.1)
HITS, TRUTHS, FOUND, MINUTES = range(4)  # columns of the counts

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PeoplePlan:
    """Whose people are rendered: their number, seconds at each rate, split of faces, seed."""

    people: int = 32
    seconds: float = 180.0
    split: str = "test"
    seed: int = SEED
    recipe: Recipe = EXAM_RECIPE


@dataclass(frozen=True, eq=False)
class Seen:
    """A segment of a person, scored once.

    windows: those that may matter to any threshold, and their margins (P,); start, stop (G,): the
    micro-expressions, in ticks.
    """

    ticks: int
    windows: list[Candidate]
    above: Floats
    start: Floats
    stop: Floats


def examine_personal(
    engines: EngineSet, faces: Path, plan: PeoplePlan, progress: Say = silent
) -> dict[str, Any]:
    """The report: by rate of micro-expressions, a row for each rate of alarms that is aimed at.

    Raises DataError where the folder has no face of the split.
    """
    spec = engines.spotter
    rates: dict[str, Any] = {}
    people: dict[float, list[list[Seen]]] = {rate: [] for rate in RATES_PER_MIN}
    for done, (rate, recordings) in enumerate(_recordings(faces, plan, spec.side), 1):
        people[rate].append([_score(one, engines) for one in recordings])
        progress(f"{done}/{plan.people * len(RATES_PER_MIN)}")
    for rate, seen in people.items():
        swept = [_counts(seen, spec, shift=float(shift)) for shift in FIXED_SHIFTS]
        rows = [{"asked": "weights' own", **_figures(_counts(seen, spec, shift=0.0))}]
        for asked in ALARMS_PER_MIN:
            own = _counts(seen, spec, per_min=asked)
            rows.append({"asked": asked, **_figures(own), **_compared(own, swept)})
        rates[f"{rate:g} a minute"] = rows
    return {
        "people": plan.people,
        "seconds": plan.seconds,
        "split": plan.split,
        "seed": plan.seed,
        **rates,
    }


def _recordings(
    faces: Path, plan: PeoplePlan, side: int
) -> Iterator[tuple[float, list[Recording]]]:
    """The segments of every person at every rate; a face is one person, while there are faces."""
    pool = [face for face in find_faces(faces) if face[2] == plan.split]
    if not pool:
        raise DataError(f"{faces}: no usable {plan.split} face; give more portraits")
    rng = np.random.default_rng(plan.seed + SPLITS.index(plan.split))
    order = rng.permutation(len(pool))
    for i in range(plan.people):
        face = load_face(*pool[order[i % len(pool)]])
        person = draw_person(int(rng.integers(2**31)))
        for rate in RATES_PER_MIN:
            renderer = PersonRenderer(face, side, person.recipe(rate, plan.recipe), person)
            clip = renderer.clip(int(rng.integers(2**31)), plan.seconds)
            recording = Recording(clip.face, clip.times_ns, clip.crops, clip.movements)
            yield rate, segments(recording)


def _score(recording: Recording, engines: EngineSet) -> Seen:
    spec = engines.spotter
    features = clip_features(recording.crops, recording.times_ns, engines)
    scores = propose(features, engines)
    windows = refine(features, scores, replace(engines, spotter=lowered(spec)))
    spans = recording.micro_spans()
    origin = int(recording.times_ns[0])
    start, stop = to_ticks(spans[:, 0], spans[:, 1], origin, spec.grid_hz)
    above = window_margins(windows, scores, spec)
    return Seen(scores.shape[1], windows, above, start, stop)


def _counts(
    people: Sequence[Sequence[Seen]],
    spec: SpotterSpec,
    shift: float = 0.0,
    per_min: float | None = None,
) -> Counts:
    """Hits, truths, found and minutes of every person (C, 4).

    With one shift for all, or with thresholds of their own for `per_min` alarms a minute.
    """
    rows = []
    for person in people:
        known = Neutral()
        counts = np.zeros(4)
        for seen in person:
            if per_min is None:
                both = zip(seen.windows, seen.above.tolist(), strict=True)
                passing = [window for window, margin in both if margin >= shift]
            else:
                best = best_margins(seen.windows, seen.above, seen.ticks)
                passing = admitted(seen.windows, seen.above, best, per_min, known, spec)
                known = known.after(best, spec)
            found = suppress_clusters(passing, seen.ticks, lowered(spec))
            minutes = seen.ticks / spec.grid_hz / 60
            counts += _hits(found, seen), len(seen.start), len(found), minutes
        rows.append(counts)
    return np.array(rows)


def _hits(found: Intervals, seen: Seen) -> int:
    overlap = iou(found.start[:, None], found.stop[:, None], seen.start, seen.stop)
    return len(one_to_one(overlap, HIT_IOU))


def _figures(counts: Counts) -> dict[str, Any]:
    """Recall with its interval, alarms a minute over people, false ones among them."""
    alarms = counts[:, FOUND] / counts[:, MINUTES]
    false = (counts[:, FOUND] - counts[:, HITS]) / counts[:, MINUTES]
    return {
        "recall": round(float(counts[:, HITS].sum() / max(counts[:, TRUTHS].sum(), 1)), 3),
        "recall_interval": interval(counts, ratio(HITS, TRUTHS)),
        "truths": int(counts[:, TRUTHS].sum()),
        "alarms_per_min": round(float(alarms.mean()), 2),
        "alarms_of_the_worst": round(_worst(alarms), 2),
        "alarms_sd": round(float(alarms.std()), 2),
        "false_alarms_per_min": round(float(false.mean()), 2),
        "false_alarms_of_the_worst": round(_worst(false), 2),
    }


def _worst(rates: Floats) -> float:
    """The mean of the WORST of the people with the highest rates."""
    count = max(1, round(WORST * len(rates)))
    return float(np.sort(rates)[-count:].mean())


def _compared(own: Counts, swept: Sequence[Counts]) -> dict[str, Any]:
    """The one threshold with the fewest alarms that are no fewer than those of `own`, and the gain.

    `gain` in recall has an interval by bootstrap over people.
    """
    alarms = own[:, FOUND].sum()
    fixed = min(
        (counts for counts in swept if counts[:, FOUND].sum() >= alarms),
        key=lambda counts: float(counts[:, FOUND].sum()),
        default=swept[0],
    )
    both = np.column_stack([own[:, HITS] - fixed[:, HITS], own[:, TRUTHS]])
    gain = both[:, 0].sum() / max(both[:, 1].sum(), 1)
    figures = _figures(fixed)
    names = ("recall", "alarms_per_min", "alarms_of_the_worst", "alarms_sd", "false_alarms_per_min")
    return {
        "gain": round(float(gain), 3),
        "gain_interval": interval(both, ratio(0, 1)),
        "one_for_all": {name: figures[name] for name in names},
    }
