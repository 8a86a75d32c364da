"""What moved in the hits: units, sides, regions and displacements, on intervals as they were found.

Beside each figure stands the best answer that is the same for every hit. Not from the papers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...specs import SIDES, RecognizerSpec
from ...units.reading import unit_scores
from ...units.truth import Moved, moved_in
from ..unit_metrics import Flags, balanced_accuracy, constant_f1, displacement_fit, sure, unit_f1
from .recordings import SpottingResult

UNKNOWN = -1
DIGITS = 4


@dataclass(frozen=True, eq=False)
class MovementResult:
    """What a recogniser says moved in one hit, and what did.

    outputs: as of `movement_tensors`. cluster: what figures are resampled by, as of a `Recording`.
    """

    outputs: Mapping[str, NDArray[Any]]
    truth: Moved
    cluster: str = ""


def movement_of_hit(
    result: SpottingResult, truth: int, outputs: Mapping[str, NDArray[Any]], spec: RecognizerSpec
) -> MovementResult:
    """The result of the hit on ME `truth`; outputs: of its clip, in a batch of one."""
    movement = result.recording.micros()[truth]
    kept = {one.name: outputs[one.name][0].copy() for one in spec.movement_tensors()}
    moved = moved_in(dataclasses.asdict(movement))
    return MovementResult(kept, moved, result.recording.cluster)


def known_units(
    results: Sequence[MovementResult], spec: RecognizerSpec
) -> tuple[list[MovementResult], NDArray[np.floating[Any]], Flags]:
    """The hits whose units are known, the network's probabilities and the truth of units (S, U)."""
    known = [one for one in results if one.truth.units is not None]
    shape = (len(known), len(spec.units))
    probabilities = np.array([one.outputs["units"] for one in known]).reshape(shape)
    there = np.array([_present(one.truth, spec) for one in known], bool).reshape(shape)
    return known, probabilities, there


def movement_figures(results: Sequence[MovementResult], spec: RecognizerSpec) -> dict[str, Any]:
    """Figures over all hits whose truth is known; None where there are none.

    `f1` is the mean over the units, each in `units` with the number of its hits; `constant` the
    mean F1 of telling every unit always. `side`, `unit_side` and `region` are balanced accuracies,
    of which a constant answer has one over the number of classes. `px`: of whole movements.
    `sure`: how many scores of units lie in `unit_metrics.SURE`, and the share that moved. Scores
    are those that are told (`units.reading`).
    """
    known, probabilities, there = known_units(results, spec)
    scores = unit_scores(probabilities, spec)
    f1 = unit_f1(scores >= spec.unit_floor, there)
    count, right = sure(scores, there)
    sized = [one for one in results if one.truth.px > 0]
    regions = [one.truth.region for one in results]
    px = displacement_fit(
        np.array([float(one.outputs["px"]) for one in sized]),
        np.array([one.truth.px for one in sized]),
    )
    return {
        "hits": len(results),
        "known": len(known),
        "f1": _rounded(np.nanmean(f1) if there.any() else np.nan),
        "constant": _rounded(constant_f1(there)),
        "units": {
            name: {"hits": int(there[:, i].sum()), "f1": _rounded(f1[i])}
            for i, name in enumerate(spec.units)
        },
        "unit_side": _unit_sides(known, spec),
        "side": _accuracy(results, "side", [one.truth.side for one in results], SIDES),
        "region": _accuracy(results, "regions", regions, spec.regions),
        "px": {"spearman": _rounded(px[0]), "median_error": _rounded(px[1])},
        "sure": {"count": count, "right": _rounded(right)},
    }


def _present(truth: Moved, spec: RecognizerSpec) -> list[bool]:
    return [name in (truth.units or {}) for name in spec.units]


def _unit_sides(known: Sequence[MovementResult], spec: RecognizerSpec) -> float | None:
    """Balanced accuracy of the sides of the units that moved."""
    found = []
    truth = []
    for one in known:
        for name, (side, _) in (one.truth.units or {}).items():
            if name in spec.units:
                row = one.outputs["unit_sides"][spec.units.index(name)]
                found.append(int(row.argmax()))
                truth.append(SIDES.index(side))
    return _rounded(balanced_accuracy(np.array(found, int), np.array(truth, int)))


def _accuracy(
    results: Sequence[MovementResult], output: str, truths: Sequence[str], names: Sequence[str]
) -> float | None:
    """Balanced accuracy of one output over the hits whose truth is among `names`."""
    pairs = [
        (int(one.outputs[output].argmax()), names.index(truth))
        for one, truth in zip(results, truths, strict=True)
        if truth in names
    ]
    found, truth = np.array(pairs, int).reshape(-1, 2).T
    return _rounded(balanced_accuracy(found, truth))


def _rounded(value: float | np.floating[Any]) -> float | None:
    """The figure for a report; None for NaN."""
    return None if np.isnan(value) else round(float(value), DIGITS)
