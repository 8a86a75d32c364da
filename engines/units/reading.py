"""Action units and region of one ME, from the outputs of a recognizer that has such heads.

An action unit is told where its probability reaches `unit_floor`; several may be. Probabilities are
those of `unit_scores`, which are as often right as they say where weights were calibrated. The
region is the one that moves most. Sides are the subject's. Not from the papers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..specs import SIDES, RecognizerSpec
from .displacement import reference_px, size_of
from .findings import ActionUnit, Region

LEAST = 1e-6  # of a probability and of its opposite: a network's may round to 0 or 1


def logits_of(probabilities: NDArray[Any]) -> NDArray[np.float64]:
    """The logits of probabilities of any shape."""
    inside = np.clip(np.asarray(probabilities, np.float64), LEAST, 1 - LEAST)
    return np.asarray(np.log(inside / (1 - inside)), np.float64)


def scaled(
    probabilities: NDArray[Any], temperatures: ArrayLike, biases: ArrayLike
) -> NDArray[np.float64]:
    """Probabilities whose logits are divided by temperatures and raised by biases."""
    logits = logits_of(probabilities) / np.asarray(temperatures) + np.asarray(biases)
    return np.asarray(1 / (1 + np.exp(-logits)), np.float64)


def unit_scores(probabilities: NDArray[Any], spec: RecognizerSpec) -> NDArray[Any]:
    """The units' probabilities (..., U) as they are told; as the network gives them by default."""
    if not spec.unit_temperatures:
        return probabilities
    return scaled(probabilities, spec.unit_temperatures, spec.unit_biases)


def read_units(
    outputs: Mapping[str, NDArray[Any]], spec: RecognizerSpec, row: int = 0
) -> tuple[ActionUnit, ...]:
    """The units of one clip of a batch, the most probable first; none below `unit_floor`."""
    scores = unit_scores(outputs["units"][row], spec)
    sides = outputs["unit_sides"][row].argmax(-1)
    found = []
    for i in np.argsort(-scores, kind="stable"):
        if scores[i] >= spec.unit_floor:
            px = reference_px(float(outputs["unit_px"][row][i]), spec.side)
            unit = ActionUnit(spec.units[i], SIDES[sides[i]], px, size_of(px), float(scores[i]))
            found.append(unit)
    return tuple(found)


def read_region(outputs: Mapping[str, NDArray[Any]], spec: RecognizerSpec, row: int = 0) -> Region:
    """The region of one clip of a batch."""
    scores = outputs["regions"][row]
    best = int(scores.argmax())
    px = reference_px(float(outputs["px"][row]), spec.side)
    side = SIDES[int(outputs["side"][row].argmax())]
    return Region(spec.regions[best], side, px, size_of(px), float(scores[best]))
