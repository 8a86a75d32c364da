"""The figures of many results: precision, recall and alarms with intervals, recall by what matters.

Intervals are those of `clusters`: by face, or by piece of footage. Not from the papers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...units.displacement import reference_px
from .clusters import Counts, Span, by_cluster, interval, ratio
from .recordings import SpottingResult

BINS_PX = (0.5, 1.0, 2.0)  # edges of the reported displacements, reference px
SURROUNDINGS_PX = (0.35, 1.0, 2.0)  # edges of what the rest of the face moved, reference px

# columns of the counts
HITS, TRUTHS, FOUND, MINUTES = range(4)


class Outcome(NamedTuple):
    """What became of one micro-expression: its cluster, and what its recall is told apart by.

    px and surroundings in reference px; region "" where it is not known.
    """

    cluster: str
    hit: bool
    px: float
    region: str
    surroundings: float


def report(results: Sequence[SpottingResult], side: int) -> dict[str, Any]:
    """Precision, recall, F1 and false alarms per minute of all recordings, with `intervals`.

    `clusters` is how many clusters the intervals rest on. `mislocated` of the false alarms overlap
    a micro-expression, at too low an IoU or as a second interval on it. Recall is also told by
    displacement, by region and by what the rest of the face moved, each cell "hits/truths", and
    its interval where there are clusters for one. side: of the crops in whose px the movements'
    `peak_px` are.
    """
    counts = counts_of(results)
    hits, truths, found, minutes = counts.sum(0).tolist() if len(counts) else (0, 0, 0, 0.0)
    rate = (found - hits) / minutes if minutes else None
    seen = outcomes(results, side)
    return {
        "minutes": round(minutes, 2),
        "truths": int(truths),
        "found": int(found),
        **figures(int(hits), int(found), int(truths)),
        "false_alarms_per_min": None if rate is None else round(rate, 3),
        "clusters": len(counts),
        "intervals": intervals(counts),
        "mislocated": sum(result.mislocated for result in results),
        "recall_by_px": recall_by(seen, by_displacement),
        "recall_by_region": recall_by(seen, lambda outcome: outcome.region),
        "recall_by_surroundings": recall_by(seen, by_surroundings),
    }


def counts_of(results: Sequence[SpottingResult]) -> Counts:
    """(C, 4) hits, truths, found intervals and minutes of every cluster."""
    return by_cluster(
        (
            result.recording.cluster,
            (
                len(result.hits),
                len(result.recording.micros()),
                len(result.found),
                result.recording.minutes,
            ),
        )
        for result in results
    )


def intervals(counts: Counts) -> dict[str, Span]:
    """The intervals of precision, recall, F1 and false alarms per minute of counts (C, 4)."""
    return {
        "precision": interval(counts, ratio(HITS, FOUND)),
        "recall": interval(counts, ratio(HITS, TRUTHS)),
        "f1": interval(counts, _f1),
        "false_alarms_per_min": interval(counts, _alarms_per_min),
    }


def _f1(sums: Counts) -> NDArray[np.float64]:
    return np.asarray(2 * sums[:, HITS] / np.maximum(sums[:, FOUND] + sums[:, TRUTHS], 1))


def _alarms_per_min(sums: Counts) -> NDArray[np.float64]:
    return np.asarray((sums[:, FOUND] - sums[:, HITS]) / np.maximum(sums[:, MINUTES], 1e-9))


def outcomes(results: Sequence[SpottingResult], side: int) -> list[Outcome]:
    """What became of every micro-expression."""
    found = []
    for result in results:
        hit = {truth for _, truth in result.hits}
        for i, movement in enumerate(result.recording.micros()):
            around = result.surroundings[i] if result.surroundings else math.nan
            found.append(
                Outcome(
                    cluster=result.recording.cluster,
                    hit=i in hit,
                    px=reference_px(movement.peak_px, side),
                    region=movement.region,
                    surroundings=reference_px(around, side),
                )
            )
    return found


def recall_by(outcomes: Sequence[Outcome], group: Callable[[Outcome], str]) -> dict[str, str]:
    """Recall by group, such as {"0.5-1": "3/7 [0.12, 0.8]"}; outcomes of group "" are left out."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(group(outcome), []).append(outcome)
    return {name: _recall(groups[name]) for name in sorted(groups, key=_place) if name}


def _recall(outcomes: Sequence[Outcome]) -> str:
    hits = sum(outcome.hit for outcome in outcomes)
    counts = by_cluster((outcome.cluster, (outcome.hit, 1)) for outcome in outcomes)
    span = interval(counts, ratio(0, 1))
    return f"{hits}/{len(outcomes)}" + (f" {span}" if span else "")


def by_displacement(outcome: Outcome) -> str:
    """The bin of its displacement."""
    return _bin(outcome.px, BINS_PX)


def by_surroundings(outcome: Outcome) -> str:
    """The bin of what the rest of the face moved; "" where that is not known."""
    return "" if math.isnan(outcome.surroundings) else _bin(outcome.surroundings, SURROUNDINGS_PX)


def _bin(value: float, edges: Sequence[float]) -> str:
    between = [f"{a:g}-{b:g}" for a, b in pairwise(edges)]
    names = [f"< {edges[0]:g}", *between, f"> {edges[-1]:g}"]
    return names[int(np.searchsorted(edges, value, side="right"))]


def _place(name: str) -> tuple[str, str]:
    """Bins in order of their edges, other names by the alphabet."""
    return {"<": "", ">": "~"}.get(name[:1], "0"), name


def figures(hits: int, found: int, truths: int) -> dict[str, float]:
    """Precision, recall and F1; 0 where nothing was found or nothing is there."""
    precision = hits / found if found else 0.0
    recall = hits / truths if truths else 0.0
    f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
    return {"precision": round(precision, 4), "recall": round(recall, 4), "f1": round(f1, 4)}
