"""What moved in the hits: units, sides, regions and displacements, on intervals as they were found.

Beside each figure stands the best answer that is the same for every hit. Intervals are those of
`clusters`: by face, or by piece of footage. Not from the papers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...alignment.displacement import block_flow
from ...specs import SIDES, RecognizerSpec
from ...units.flow_region import FlowRegion, region_of_flow
from ...units.places import PLACES
from ...units.reading import unit_scores
from ...units.truth import Moved, moved_in
from ..unit_metrics import (
    Flags,
    balanced_accuracy,
    constant_f1,
    displacement_fit,
    mean_f1,
    sure,
    unit_f1,
)
from .clusters import Samples, Span, interval_of
from .recordings import SpottingResult

DIGITS = 4


@dataclass(frozen=True, eq=False)
class MovementResult:
    """What a recogniser says moved in one hit, and what did.

    outputs: as of `movement_tensors`. cluster: what figures are resampled by, as of a `Recording`.
    by_flow: what the optical flow says, from the clip's first crop to that of the most intensity.
    """

    outputs: Mapping[str, NDArray[Any]]
    truth: Moved
    by_flow: FlowRegion
    cluster: str = ""


def movement_of_hit(
    result: SpottingResult,
    truth: int,
    clip: NDArray[np.uint8],
    outputs: Mapping[str, NDArray[Any]],
    spec: RecognizerSpec,
) -> MovementResult:
    """The result of the hit on ME `truth`; outputs: of its clip (N, 3, S, S), in a batch of one."""
    movement = result.recording.micros()[truth]
    kept = {one.name: outputs[one.name][0].copy() for one in spec.movement_tensors()}
    moved = moved_in(dataclasses.asdict(movement))
    apex = int(outputs["intensity"][0].argmax())
    by_flow = region_of_flow(block_flow(clip[0], clip[apex]))
    return MovementResult(kept, moved, by_flow, result.recording.cluster)


def known_units(
    results: Sequence[MovementResult], spec: RecognizerSpec
) -> tuple[list[MovementResult], NDArray[np.floating[Any]], Flags]:
    """The hits whose units are known, the network's probabilities and the truth of units (S, U)."""
    known = [one for one in results if one.truth.units is not None]
    shape = (len(known), len(spec.units))
    probabilities = np.array([one.outputs["units"] for one in known]).reshape(shape)
    there = np.array([_present(one.truth, spec) for one in known], bool).reshape(shape)
    return known, probabilities, there


class _Figure(NamedTuple):
    """A figure of samples by their indices, and the samples' clusters."""

    of: Callable[[Samples], float]
    clusters: list[str]

    @property
    def value(self) -> float | None:
        return _rounded(self.of(np.arange(len(self.clusters))))

    @property
    def interval(self) -> Span:
        return interval_of(self.clusters, self.of)


def movement_figures(results: Sequence[MovementResult], spec: RecognizerSpec) -> dict[str, Any]:
    """Figures over all hits whose truth is known; None where there are none.

    `f1` is the mean over the units, each in `units` with the number of its hits; `constant` the
    mean F1 of telling every unit always. `side`, `unit_side` and `region` are balanced accuracies,
    of which a constant answer has one over the number of classes. `px`: of whole movements.
    `sure`: how many scores of units lie in `unit_metrics.SURE`, and the share that moved. Scores
    are those that are told (`units.reading`). `intervals` has those of the figures by name.
    `by_flow` has what the optical flow alone says of regions and sides (`units.flow_region`), and
    is all that there is of weights that do not say what moved.
    """
    found = {"hits": len(results), "by_flow": _by_flow(results)}
    if not spec.units:
        return found
    known, probabilities, there = known_units(results, spec)
    clusters = [one.cluster for one in known]
    scores = unit_scores(probabilities, spec)
    told = scores >= spec.unit_floor
    figures = {
        "f1": _Figure(lambda rows: mean_f1(told[rows], there[rows]), clusters),
        "unit_side": _unit_sides(known, spec),
        "side": _sides([_best(one, "side", SIDES) for one in results], results),
        "region": _regions(
            [_best(one, "regions", spec.regions) for one in results], results, spec.regions
        ),
        "px_spearman": _displacements(results, 0),
        "px_median_error": _displacements(results, 1),
        "sure": _Figure(lambda rows: sure(scores[rows], there[rows])[1], clusters),
    }
    values = {name: figure.value for name, figure in figures.items()}
    return found | {
        "known": len(known),
        "f1": values["f1"],
        "constant": _rounded(constant_f1(there)),
        "units": {
            name: _unit(told[:, [i]], there[:, [i]], clusters) for i, name in enumerate(spec.units)
        },
        "unit_side": values["unit_side"],
        "side": values["side"],
        "region": values["region"],
        "px": {"spearman": values["px_spearman"], "median_error": values["px_median_error"]},
        "sure": {"count": sure(scores, there)[0], "right": values["sure"]},
        "intervals": {name: figure.interval for name, figure in figures.items()},
    }


def _present(truth: Moved, spec: RecognizerSpec) -> list[bool]:
    return [name in (truth.units or {}) for name in spec.units]


def _unit(told: Flags, there: Flags, clusters: list[str]) -> dict[str, Any]:
    """Hits with one unit (S, 1), its F1 and the interval of that."""
    figure = _Figure(lambda rows: float(unit_f1(told[rows], there[rows])[0]), clusters)
    return {"hits": int(there.sum()), "f1": figure.value, "interval": figure.interval}


def _unit_sides(known: Sequence[MovementResult], spec: RecognizerSpec) -> _Figure:
    """Balanced accuracy of the sides of the units that moved."""
    found = []
    for one in known:
        for name, (side, _) in (one.truth.units or {}).items():
            if name in spec.units:
                row = one.outputs["unit_sides"][spec.units.index(name)]
                found.append((int(row.argmax()), SIDES.index(side), one.cluster))
    return _balanced(found)


def _by_flow(results: Sequence[MovementResult]) -> dict[str, Any]:
    """Balanced accuracies of region and side by the optical flow, and their intervals."""
    figures = {
        "region": _regions([one.by_flow.name for one in results], results, tuple(PLACES)),
        "side": _sides([one.by_flow.side for one in results], results),
    }
    values: dict[str, Any] = {name: figure.value for name, figure in figures.items()}
    return values | {"intervals": {name: figure.interval for name, figure in figures.items()}}


def _best(one: MovementResult, output: str, names: Sequence[str]) -> str:
    return names[int(one.outputs[output].argmax())]


def _regions(
    told: Sequence[str], results: Sequence[MovementResult], names: Sequence[str]
) -> _Figure:
    """Balanced accuracy of the regions told in the hits whose region is among `names`."""
    return _balanced(
        [
            (names.index(region), names.index(one.truth.region), one.cluster)
            for region, one in zip(told, results, strict=True)
            if one.truth.region in names
        ]
    )


def _sides(told: Sequence[str], results: Sequence[MovementResult]) -> _Figure:
    """Balanced accuracy of the sides told in the hits whose side is known."""
    return _balanced(
        [
            (SIDES.index(side), SIDES.index(one.truth.side), one.cluster)
            for side, one in zip(told, results, strict=True)
            if one.truth.side in SIDES
        ]
    )


def _balanced(answers: Sequence[tuple[int, int, str]]) -> _Figure:
    """Balanced accuracy of answers: what is found, what is true, and the cluster."""
    found = np.array([answer[0] for answer in answers], int)
    truth = np.array([answer[1] for answer in answers], int)
    clusters = [answer[2] for answer in answers]
    return _Figure(lambda rows: balanced_accuracy(found[rows], truth[rows]), clusters)


def _displacements(results: Sequence[MovementResult], which: int) -> _Figure:
    """Rank correlation (0) or median relative error (1) of whole movements' displacements."""
    sized = [one for one in results if one.truth.px > 0]
    found = np.array([float(one.outputs["px"]) for one in sized])
    truth = np.array([one.truth.px for one in sized])
    return _Figure(
        lambda rows: displacement_fit(found[rows], truth[rows])[which],
        [one.cluster for one in sized],
    )


def _rounded(value: float | np.floating[Any]) -> float | None:
    """The figure for a report; None for NaN."""
    return None if np.isnan(value) else round(float(value), DIGITS)
