"""Action units and region of one ME, from the outputs of a recognizer that has such heads.

An action unit is told where its probability reaches `unit_floor`; several may be. The region is the
one that moves most. Sides are the subject's. Not from the papers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..specs import SIDES, RecognizerSpec
from .displacement import reference_px, size_of
from .findings import ActionUnit, Region


def read_units(
    outputs: Mapping[str, NDArray[Any]], spec: RecognizerSpec, row: int = 0
) -> tuple[ActionUnit, ...]:
    """The units of one clip of a batch, the most probable first; none below `unit_floor`."""
    scores = outputs["units"][row]
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
