"""Expressions that are no MEs: macro-expressions, sustained ones and grimaces.

Durations follow published tables; the rest is our own. Nothing here is from the papers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from ..actions import SIDES
from ..drawing import Peak, between, ns, number, random_strengths, sized, spaced
from ..families import USUAL, MeasuredField, Shape, draw_local, draw_shape
from ..sites import region_of
from ..timeline import Action, Movement, Recipe, Strengths, rise_and_fall, rise_and_stay
from .emotions import draw_expression

MACRO = (
    ("AU6", "AU12"),
    ("AU12", "AU25"),
    ("AU1", "AU2"),
    ("AU1", "AU2", "AU5"),
    ("AU4", "AU7"),
    ("AU9", "AU10"),
    ("AU15", "AU17"),
    ("AU20", "AU25"),
    ("AU24",),
    ("AU4",),
    ("AU17", "AU24"),
    ("AU12",),
    ("AU14",),
)
OPEN_MOUTH = (
    ("AU1", "AU2", "AU5", "AU25", "AU26"),
    ("AU1", "AU2", "AU25", "AU26"),
    ("AU6", "AU12", "AU25", "AU26"),
)
GRIMACE_FIELDS = (2, 5)  # local fields of a grimace
GRIMACE_PX = (2.0, 9.0)  # log-uniform
CALM = 1.0  # times an ME's px: an expression that overlaps it changes by no more meanwhile


def draw_macros(
    rng: np.random.Generator,
    seconds: float,
    recipe: Recipe,
    peak: Peak,
    micros: list[Action],
    measured: Sequence[MeasuredField] = (),
) -> list[Action]:
    """Macro-expressions clear of every ME, whose onset and offset they would hide.

    By the recipe's share some overlap MEs, during which they change little.
    """

    def draw(start: float) -> Action:
        return draw_macro(rng, start, recipe, peak, measured)

    return _beside_micros(rng, recipe, recipe.macro_per_min, seconds, micros, draw)


def draw_macro(
    rng: np.random.Generator,
    start: float,
    recipe: Recipe,
    peak: Peak,
    measured: Sequence[MeasuredField] = (),
) -> Action:
    """A macro-expression: longer, stronger, often kept up; some begin as fast as an ME."""
    median, least, most = recipe.macro_s
    duration = float(np.clip(median * math.exp(rng.normal(0, 0.45)), least, most))
    fast = rng.random() < 0.5
    rise = rng.uniform(0.12, 0.25) if fast else duration * rng.uniform(0.2, 0.5)
    units = MACRO[rng.integers(len(MACRO))]
    sides = SIDES if rng.random() < 0.9 else (str(rng.choice(SIDES)),)
    shape = draw_shape(rng, recipe.families, measured) or Shape(
        random_strengths(rng, units, sides), units, USUAL, region_of(units), _side_of(sides)
    )
    target, strengths = sized(rng, shape.strengths, recipe.macro_px, peak)
    fall = rng.uniform(0.2, 0.6) * (duration - rise)
    apex = start + rise
    stop = start + duration
    curve = rise_and_fall(start, apex, stop, 1.0, 1.0, hold=duration - rise - fall)
    return Action(_macro(start, apex, stop, shape, target), strengths, curve)


def draw_sustained(
    rng: np.random.Generator,
    seconds: float,
    recipe: Recipe,
    peak: Peak,
    micros: list[Action],
    measured: Sequence[MeasuredField] = (),
) -> list[Action]:
    """Sustained expressions clear of every ME, and by the recipe's share some that overlap MEs."""

    def draw(start: float) -> Action:
        return draw_sustained_one(rng, start, recipe, peak, measured)

    return _beside_micros(rng, recipe, recipe.sustained_per_min, seconds, micros, draw)


def draw_sustained_one(
    rng: np.random.Generator,
    start: float,
    recipe: Recipe,
    peak: Peak,
    measured: Sequence[MeasuredField] = (),
) -> Action:
    """An expression that begins as an ME does, in units, speed and size, and then stays: no ME.

    Without many of these a spotter answers to every fast rise, whether or not the face comes back.
    """
    rise = between(rng, *recipe.micro_s) * between(rng, *recipe.apex)
    _, shape = draw_expression(rng, recipe, measured)
    if rng.random() < recipe.sustained_open_mouth:
        names = OPEN_MOUTH[rng.integers(len(OPEN_MOUTH))]
        opened = random_strengths(rng, names, SIDES)
        shape = Shape(opened, names, USUAL, region_of(names), "")
    target, strengths = sized(rng, shape.strengths, recipe.sustained_px, peak)
    hold = float(rng.uniform(*recipe.sustained_s))
    level = float(rng.uniform(*recipe.sustained_level))
    fast = rng.random() < 0.5
    fall = float(rng.uniform(0.08, 0.3) if fast else rng.uniform(0.4, 1.2))
    apex = start + rise
    stop = start + rise + hold + fall
    curve = rise_and_stay(start, apex, stop, rng.uniform(0.7, 1.3), fall, level)
    return Action(_macro(start, apex, stop, shape, target), strengths, curve)


def draw_grimaces(
    rng: np.random.Generator, seconds: float, recipe: Recipe, peak: Peak, micros: list[Action]
) -> list[Action]:
    """Strong movements of several sites at once, clear of every ME."""

    def draw(start: float) -> Action:
        strengths: Strengths = {}
        for _ in range(int(rng.integers(*GRIMACE_FIELDS))):
            strengths |= draw_local(rng, recipe.families).strengths
        rise = float(rng.uniform(0.12, 0.5))
        hold = float(rng.uniform(0.1, 1.5))
        stop = start + rise + hold + float(rng.uniform(0.2, 0.8))
        shape = Shape(strengths, (), "grimace", "", "")
        target, strengths = sized(rng, strengths, GRIMACE_PX, peak)
        curve = rise_and_fall(start, start + rise, stop, 1.0, 1.0, hold)
        return Action(_macro(start, start + rise, stop, shape, target), strengths, curve)

    count = number(rng, recipe.grimace_per_min, seconds)
    return spaced(rng, recipe, count, seconds - 0.2, micros, draw)


def _beside_micros(
    rng: np.random.Generator,
    recipe: Recipe,
    per_min: float,
    seconds: float,
    micros: list[Action],
    draw: Callable[[float], Action],
) -> list[Action]:
    """Expressions clear of every ME, at `per_min`, and by the recipe's share some that overlap."""
    clear = spaced(rng, recipe, number(rng, per_min, seconds), seconds - 0.2, micros, draw)
    if not recipe.overlapping:
        return clear
    count = number(rng, recipe.overlapping * per_min, seconds)
    drawn = spaced(rng, recipe, count, seconds - 0.2, [], draw)
    calm = [action for action in drawn if all(_is_calm(action, micro) for micro in micros)]
    return clear + calm


def _is_calm(action: Action, micro: Action) -> bool:
    """Whether an expression changes by no more than CALM times the ME's px while it lasts."""
    times = np.linspace(micro.movement.onset_ns, micro.movement.offset_ns, 9) / 1e9
    levels = [action.curve(float(t)) for t in times]
    change = (max(levels) - min(levels)) * action.movement.peak_px
    return change <= CALM * micro.movement.peak_px


def _macro(start: float, apex: float, stop: float, shape: Shape, px: float) -> Movement:
    times = (ns(start), ns(apex), ns(stop))
    return Movement("macro", *times, shape.units, None, None, px, *shape[2:])


def _side_of(sides: tuple[str, ...]) -> str:
    """L or R for one side, "" for both."""
    return sides[0] if len(sides) == 1 else ""
