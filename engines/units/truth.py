"""What a set knows of what moved in an ME: units with side and displacement, region, side.

It knows the units of those that the basis moves, and of local fields that stay near a unit's own
direction; not of other fields, and not where there is a second site, whose unit nobody wrote down.
Not from the papers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..data.generator.sites import REGION_OF

MIRRORED = {"L": "R", "R": "L", "both": "both"}


@dataclass(frozen=True)
class Moved:
    """What moved in one ME, as far as the set knows it.

    units: side and displacement (px of the crop, 0 where it is not known) by unit; None where the
    units are not known. region, side: "" where they are not known. px: peak displacement, 0 where
    it is not known.
    """

    units: dict[str, tuple[str, float]] | None = None
    region: str = ""
    side: str = ""
    px: float = 0.0

    @property
    def combination(self) -> str:
        """Its units without sides, in order; its region where they are not known."""
        return self.region if self.units is None else "+".join(sorted(self.units))


NOTHING_KNOWN = Moved()


def moved_in(movement: Mapping[str, Any]) -> Moved:
    """What moved, from a movement of a set's index."""
    names = list(movement.get("units") or ())
    sizes = list(movement.get("unit_px") or ())
    if not sizes and len(names) == 1:
        sizes = [movement.get("peak_px", 0.0)]
    sizes = sizes or [0.0] * len(names)
    units = {}
    for name, px in zip(names, sizes, strict=True):
        units[name.rstrip("LR")] = (name[-1] if name[-1] in "LR" else "both", px)
    known = bool(units) and not movement.get("second")
    region = _main_region(units) if units else movement.get("region", "")
    side = movement.get("side", "") or "both"
    return Moved(
        units=units if known else None,
        region=region,
        side=side if movement.get("region") else "",
        px=movement.get("peak_px", 0.0),
    )


def _main_region(units: Mapping[str, tuple[str, float]]) -> str:
    """The region of the unit that moves farthest.

    "" where units of several regions move and nobody wrote down how far each does.
    """
    regions = {REGION_OF.get(unit, "") for unit in units}
    if len(regions) == 1:
        return regions.pop()
    farthest = max(units, key=lambda unit: units[unit][1])
    return REGION_OF.get(farthest, "") if units[farthest][1] else ""
