"""MEs whose units are drawn evenly, alone and in combinations, instead of by a table of emotions.

From the emotions' MEs a network learns which combinations people show, and then tells those rather
than the units. Here every unit is as frequent as any other, and so is every pair. Not from the
papers.
"""

from __future__ import annotations

import numpy as np

from ..actions import MIDLINE, SIDES
from ..families import EVEN, Shape
from ..sites import region_of
from ..timeline import Strengths

# Units of the basis that an ME may show.
UNITS = (
    "AU1", "AU2", "AU4", "AU5", "AU6", "AU7", "AU9", "AU10", "AU12", "AU14", "AU15", "AU17", "AU20",
    "AU23", "AU24", "AU25", "AU26",
)  # fmt: skip
# No face shows both: lips are pressed or parted.
AGAINST = (
    {"AU24", "AU25"}, {"AU24", "AU26"}, {"AU23", "AU25"}, {"AU23", "AU26"}, {"AU23", "AU24"},
)  # fmt: skip
BOTH = (*MIDLINE, "AU23")  # never on one side
COUNTS = (0.4, 0.4, 0.2)  # shares of one, two and three units
ONE_SIDED = 0.5  # share of MEs on one side; units of the middle are on both all the same
LEAN = (0.75, 1.0)  # of the weaker side
SHARE = (0.6, 1.0)  # of a unit against the others


def draw_even(rng: np.random.Generator) -> Shape:
    """An ME of one to three units."""
    count = 1 + int(rng.choice(len(COUNTS), p=COUNTS))
    names = _together(rng, count)
    side = SIDES[rng.integers(2)] if rng.random() < ONE_SIDED else ""
    lean = float(rng.uniform(*LEAN))
    weak = SIDES[rng.integers(2)]
    strengths: Strengths = {}
    units = []
    for name in names:
        share = float(rng.uniform(*SHARE))
        own = "" if name in BOTH else side
        units.append(name + own)
        for each in (own,) if own else SIDES:
            paired = not own and name not in BOTH
            strengths[name, each] = share * lean if paired and each == weak else share
    sides = {unit[-1] if unit[-1] in SIDES else "" for unit in units}
    return Shape(strengths, tuple(units), EVEN, region_of(tuple(units)), _common(sides))


def _common(sides: set[str]) -> str:
    """The side of a movement: that of its units where they have one in common, else both."""
    return sides.pop() if len(sides) == 1 else ""


def _together(rng: np.random.Generator, count: int) -> list[str]:
    """So many units that a face can show together, in their order."""
    while True:
        chosen = sorted(rng.choice(len(UNITS), count, replace=False).tolist())
        names = {UNITS[i] for i in chosen}
        if not any(pair <= names for pair in AGAINST):
            return [UNITS[i] for i in chosen]
