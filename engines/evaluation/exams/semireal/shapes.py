"""What moves in real video: MEs of the usual family or of the other, and slow courses under them.

An ME can be asked for by part of the face, and given another's times and size, so that a mouth and
a brow are compared at the same person, time and size. Not from the papers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from ....data.generator.behaviour import draw_micro
from ....data.generator.drawing import Peak
from ....data.generator.families import USUAL
from ....data.generator.sites import REGION_OF, REGIONS
from ....data.generator.timeline import Action, Movement, Recipe, Strengths
from ..stays_out import STAYS_OUT
from ..stays_out.family import StaysOutFamily

# Parts of the face that a row asks for: all of an ME lies in one of these regions.
PARTS = {
    "brow": ("brow",),
    "mouth": ("mouth corner", "lips", "chin"),
    "upper": ("brow", "eye"),
}
OTHER = "other"  # all MEs that are neither brow nor mouth alone
TRIES = 400  # draws of an ME of a part of the face

COURSE_S = 2.0  # a slow course takes, the ME in its middle
LAG_S = 0.8  # the longest lag, over which a course is measured
SLOW_UNITS = {
    "brow": ("AU1", "AU2"),
    "eye": ("AU7",),
    "nose-cheek": ("AU6",),
    "mouth corner": ("AU12",),
    "lips": ("AU24",),
    "chin": ("AU17",),
}
BESIDE = {  # a neighbouring region, and one far away
    "brow": ("eye", "mouth corner"),
    "eye": ("brow", "chin"),
    "nose-cheek": ("mouth corner", "brow"),
    "mouth corner": ("nose-cheek", "brow"),
    "lips": ("mouth corner", "brow"),
    "chin": ("lips", "eye"),
}
SITES = ("same", "neighbour", "far")


class Family(Protocol):
    """A family of MEs, drawn by part of the face."""

    @property
    def name(self) -> str:
        """Its name in reports."""

    def draw(
        self, rng: np.random.Generator, start: float, recipe: Recipe, peak: Peak, part: str
    ) -> Action:
        """One ME that begins at `start` (s), of a part of PARTS, or OTHER."""


def part_of(regions: tuple[str, ...]) -> str:
    """brow, mouth or OTHER: where an ME of these regions lies."""
    for part in ("brow", "mouth"):
        if regions and all(region in PARTS[part] for region in regions):
            return part
    return OTHER


@dataclass(frozen=True)
class UsualFamily:
    """The generator's units with a full return."""

    name: str = USUAL

    def draw(
        self, rng: np.random.Generator, start: float, recipe: Recipe, peak: Peak, part: str
    ) -> Action:
        """Drawn until it is of the part."""
        for _ in range(TRIES):
            action = draw_micro(rng, start, recipe, peak)
            units = action.movement.units
            regions = tuple(REGION_OF[unit.rstrip("LR")] for unit in units)
            if part == "upper":
                fits = all(region in PARTS["upper"] for region in regions)
            else:
                fits = part_of(regions) == part
            if fits:
                return action
        raise AssertionError(f"no usual ME of the part {part!r} in {TRIES} draws")


@dataclass(frozen=True, eq=False)
class StaysOut:
    """The family that stays out, which no training sees."""

    family: StaysOutFamily
    name: str = STAYS_OUT

    def draw(
        self, rng: np.random.Generator, start: float, recipe: Recipe, peak: Peak, part: str
    ) -> Action:
        """Drawn among the regions of the part."""
        there = {field.region for field in self.family.fields}
        wanted = PARTS.get(part) or tuple(r for r in REGIONS if part_of((r,)) == OTHER)
        regions = tuple(region for region in wanted if region in there)
        return self.family.draw_micro(rng, start, recipe, peak, regions)


def like(other: Action, one: Action, peak: Peak) -> Action:
    """The shape of `other` with the course and the size of `one`."""
    size = one.movement.peak_px / max(peak(other.strengths), 1e-6)
    strengths = {unit: strength * size for unit, strength in other.strengths.items()}
    times = one.movement
    movement = replace(
        other.movement,
        onset_ns=times.onset_ns,
        apex_ns=times.apex_ns,
        offset_ns=times.offset_ns,
        peak_px=times.peak_px,
        levels=times.levels,
        unit_px=(),
        second="",
    )
    return Action(movement, strengths, one.curve)


def moved_to(action: Action, later_s: float) -> Action:
    """The action `later_s` later."""
    later_ns = round(later_s * 1e9)
    movement = replace(
        action.movement,
        onset_ns=action.movement.onset_ns + later_ns,
        apex_ns=action.movement.apex_ns + later_ns,
        offset_ns=action.movement.offset_ns + later_ns,
    )
    curve = action.curve
    return Action(movement, action.strengths, lambda t: curve(t - later_s))


def slow_course(
    rng: np.random.Generator, micro: Movement, site: str, px: float, peak: Peak
) -> Action:
    """A slow local movement under an ME: `px` of the crop over LAG_S in the ME's middle.

    site: of SITES. It grows or fades, either way of its units' direction, and stays before and
    after.
    """
    middle = (micro.onset_ns + micro.offset_ns) / 2e9
    first = middle - COURSE_S / 2
    share = LAG_S / COURSE_S
    over_lag = math.sin(math.pi * share / 2)  # of the whole course
    neighbour, far = BESIDE[micro.region]
    region = {"same": micro.region, "neighbour": neighbour, "far": far}[site]
    shape: Strengths = {(unit, side): 1.0 for unit in SLOW_UNITS[region] for side in ("L", "R")}
    size = float(rng.choice([-1.0, 1.0])) * px / over_lag / max(peak(shape), 1e-6)
    strengths = {unit: strength * size for unit, strength in shape.items()}
    grows = bool(rng.random() < 0.5)
    movement = Movement(
        "slow",
        round(first * 1e9),
        round(middle * 1e9),
        round((first + COURSE_S) * 1e9),
        SLOW_UNITS[region],
        peak_px=px,
        region=region,
    )
    return Action(movement, strengths, _course(first, grows))


def _course(first: float, grows: bool) -> Callable[[float], float]:
    """0 to 1 within COURSE_S from `first` (s) on; or 1 to 0."""

    def curve(t: float) -> float:
        share = min(max((t - first) / COURSE_S, 0.0), 1.0)
        level = 0.5 - 0.5 * math.cos(math.pi * share)
        return level if grows else 1 - level

    return curve
