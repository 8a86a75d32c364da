"""How a face behaves: MEs and longer expressions, and all else that it does, drawn at random.

Shares of units by emotion follow published tables of spontaneous MEs. Nothing here is from the
papers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from .actions import SIDES
from .courses import draw_course
from .drawing import Peak, between, ns, number, random_strengths, sized, spaced
from .families import USUAL, MeasuredField, Shape, draw_local, draw_shape, region_of
from .nuisances import draw_nuisances
from .slow_expressions import draw_settling, draw_slow, draw_under
from .timeline import Action, Curve, Movement, Recipe, Strengths, rise_and_fall, rise_and_stay
from .truth import MICRO, RISE_S, truth_of


class Combination(NamedTuple):
    """Units that show an emotion, its share of the emotion's MEs, and how many are one-sided."""

    units: tuple[str, ...]
    share: float
    one_sided: float


class Emotion(NamedTuple):
    """An emotion in 5 and in 3 classes (None: in none of them), its share of MEs, and its units."""

    label5: str
    label3: str | None
    share: float
    combinations: tuple[Combination, ...]


HAPPINESS = (
    Combination(("AU12",), 0.55, 0.41),
    Combination(("AU6", "AU12"), 0.3, 0.2),
    Combination(("AU12", "AU14"), 0.15, 0.4),
)
SURPRISE = (
    Combination(("AU1", "AU2"), 0.5, 0.35),
    Combination(("AU1",), 0.15, 0.4),
    Combination(("AU2",), 0.2, 0.56),
    Combination(("AU1", "AU2", "AU5", "AU25"), 0.15, 0.0),
)
DISGUST = (
    Combination(("AU4", "AU7"), 0.45, 0.1),
    Combination(("AU4", "AU9"), 0.15, 0.0),
    Combination(("AU4", "AU10"), 0.2, 0.1),
    Combination(("AU9",), 0.1, 0.1),
    Combination(("AU10",), 0.1, 0.3),
)
REPRESSION = (
    Combination(("AU17",), 0.45, 0.0),
    Combination(("AU15",), 0.2, 0.2),
    Combination(("AU15", "AU17"), 0.2, 0.0),
    Combination(("AU14",), 0.15, 0.5),
)
OTHERS = (
    Combination(("AU4",), 0.6, 0.1),
    Combination(("AU14",), 0.12, 0.8),
    Combination(("AU24",), 0.14, 0.0),
    Combination(("AU20",), 0.14, 0.2),
)
EMOTIONS = (
    Emotion("happiness", "positive", 0.24, HAPPINESS),
    Emotion("surprise", "surprise", 0.22, SURPRISE),
    Emotion("disgust", "negative", 0.22, DISGUST),
    Emotion("repression", "negative", 0.20, REPRESSION),
    Emotion("others", None, 0.12, OTHERS),
)
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
SECOND_SITE = (0.2, 0.6)  # its peak, of the first site's
SECOND_DELAY_S = (0.02, 0.10)
SECOND_AT_ONCE = 0.5  # share of second sites without delay
SECOND_ME_S = 0.3  # between the onsets of two MEs that overlap, at most
CALM = 1.0  # times an ME's px: an expression that overlaps it changes by no more meanwhile

Labels = tuple[str | None, str | None]  # in 3 and in 5 classes


def draw_actions(
    rng: np.random.Generator,
    seconds: float,
    recipe: Recipe,
    peak: Peak,
    measured: Sequence[MeasuredField] = (),
) -> list[Action]:
    """Everything a face does in `seconds`, in order of onset; measured: fields to draw from."""
    micros = draw_micros(rng, seconds, recipe, peak, measured)
    actions = micros + draw_macros(rng, seconds, recipe, peak, micros, measured)
    actions += draw_nuisances(rng, seconds, recipe)
    actions += draw_sustained(rng, seconds, recipe, peak, micros, measured)
    actions += draw_grimaces(rng, seconds, recipe, peak, micros)
    actions += draw_under(rng, seconds, recipe, peak, micros)
    actions += draw_slow(rng, seconds, recipe, peak)
    actions += draw_settling(rng, seconds, recipe, peak, actions)
    return sorted(actions, key=lambda action: action.movement.onset_ns)


def draw_micros(
    rng: np.random.Generator,
    seconds: float,
    recipe: Recipe,
    peak: Peak,
    measured: Sequence[MeasuredField] = (),
) -> list[Action]:
    """MEs that overlap each other only by the recipe's share of second MEs.

    With the recipe's courses some of them are doubtful or held.
    """

    def draw(start: float) -> Action:
        return draw_micro(rng, start, recipe, peak, measured)

    latest = seconds - 0.2 - recipe.micro_s[3]
    count = number(rng, recipe.micro_per_min, seconds)
    micros = spaced(rng, recipe, count, latest, [], draw, apart=True)
    if recipe.courses.second_me:
        for first in list(micros):
            start = first.movement.onset_ns / 1e9 + rng.uniform(-SECOND_ME_S, SECOND_ME_S)
            second = draw(min(max(start, 0.2), latest))
            elsewhere = second.movement.region != first.movement.region
            if elsewhere and rng.random() < recipe.courses.second_me:
                micros.append(second)
    return micros


def draw_micro(
    rng: np.random.Generator,
    start: float,
    recipe: Recipe,
    peak: Peak,
    measured: Sequence[MeasuredField] = (),
) -> Action:
    """One ME at `start`; by the recipe's courses at times one that is doubtful or held."""
    duration = between(rng, *recipe.micro_s)
    rise = duration * between(rng, *recipe.apex)
    while rise > RISE_S:
        rise = duration * between(rng, *recipe.apex)
    labels, shape = _shape(rng, recipe, measured)
    target, strengths = sized(rng, shape.strengths, recipe.micro_px, peak)
    curve, stop, reversible = draw_course(rng, recipe.courses, start, rise, duration)
    truth = truth_of(curve, start, stop)
    also: tuple[tuple[Strengths, Curve], ...] = ()
    if recipe.courses.second_site and rng.random() < recipe.courses.second_site:
        also = (_second_site(rng, recipe, peak, target, curve),)
    if also or truth.kind != MICRO:
        labels = (None, None)
    times = (ns(truth.onset), ns(truth.apex), ns(truth.offset))
    movement = Movement(truth.kind, *times, shape.units, *labels, target, *shape[2:])
    return Action(movement, strengths, curve, also, reversible)


def _second_site(
    rng: np.random.Generator, recipe: Recipe, peak: Peak, px: float, curve: Curve
) -> tuple[Strengths, Curve]:
    """A weaker site that moves along with an ME of `px`, at once or a little later."""
    shape = draw_local(rng, recipe.families)
    weak = px * float(rng.uniform(*SECOND_SITE))
    _, strengths = sized(rng, shape.strengths, (weak, weak), peak)
    at_once = rng.random() < SECOND_AT_ONCE
    delay = 0.0 if at_once else float(rng.uniform(*SECOND_DELAY_S))
    return strengths, lambda t: curve(t - delay)


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

    count = number(rng, recipe.macro_per_min, seconds)
    macros = spaced(rng, recipe, count, seconds - 0.2, micros, draw)
    return macros + _overlapping(rng, recipe, recipe.macro_per_min, seconds, micros, draw)


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

    count = number(rng, recipe.sustained_per_min, seconds)
    held = spaced(rng, recipe, count, seconds - 0.2, micros, draw)
    return held + _overlapping(rng, recipe, recipe.sustained_per_min, seconds, micros, draw)


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
    _, shape = _shape(rng, recipe, measured)
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


def _overlapping(
    rng: np.random.Generator,
    recipe: Recipe,
    per_min: float,
    seconds: float,
    micros: list[Action],
    draw: Callable[[float], Action],
) -> list[Action]:
    """Expressions that may overlap MEs, at the recipe's share of `per_min`."""
    if not recipe.overlapping:
        return []
    count = number(rng, recipe.overlapping * per_min, seconds)
    drawn = spaced(rng, recipe, count, seconds - 0.2, [], draw)
    return [action for action in drawn if all(_is_calm(action, micro) for micro in micros)]


def _is_calm(action: Action, micro: Action) -> bool:
    """Whether an expression changes by no more than CALM times the ME's px while it lasts."""
    times = np.linspace(micro.movement.onset_ns, micro.movement.offset_ns, 9) / 1e9
    levels = [action.curve(float(t)) for t in times]
    change = (max(levels) - min(levels)) * action.movement.peak_px
    return change <= CALM * micro.movement.peak_px


def _macro(start: float, apex: float, stop: float, shape: Shape, px: float) -> Movement:
    times = (ns(start), ns(apex), ns(stop))
    return Movement("macro", *times, shape.units, None, None, px, *shape[2:])


def _shape(
    rng: np.random.Generator, recipe: Recipe, measured: Sequence[MeasuredField]
) -> tuple[Labels, Shape]:
    """What an ME moves, of any family, and its labels, which only known units have."""
    other = draw_shape(rng, recipe.families, measured)
    if other is not None:
        return _labels_of(other.units), other
    labels, names, strengths = _expression(rng)
    suffix = names[0][-1]
    side = suffix if suffix in SIDES else ""
    return labels, Shape(strengths, names, USUAL, region_of(names), side)


def _side_of(sides: tuple[str, ...]) -> str:
    """L or R for one side, "" for both."""
    return sides[0] if len(sides) == 1 else ""


def _labels_of(units: tuple[str, ...]) -> Labels:
    """The labels of units that make up a combination of one emotion only."""
    names = tuple(unit.rstrip("LR") for unit in units)
    emotions = [e for e in EMOTIONS if any(c.units == names for c in e.combinations)]
    return (emotions[0].label3, emotions[0].label5) if len(emotions) == 1 else (None, None)


def _expression(
    rng: np.random.Generator,
) -> tuple[tuple[str | None, str], tuple[str, ...], Strengths]:
    """What an ME shows: its labels in 3 and 5 classes, the names of its units, their strengths."""
    emotion = EMOTIONS[rng.choice(len(EMOTIONS), p=[e.share for e in EMOTIONS])]
    found = emotion.combinations
    units, _, one_sided = found[rng.choice(len(found), p=[c.share for c in found])]
    sides: tuple[str, ...] = SIDES
    suffix = ""
    if rng.random() < one_sided:
        suffix = SIDES[rng.integers(2)]
        sides = (suffix,)
    lean = rng.uniform(0.75, 1.0)  # of the left side
    shape: Strengths = {}
    for unit in units:
        share = rng.uniform(0.6, 1.0)
        for side in sides:
            shape[unit, side] = share * lean if side == "L" else share
    labels = (emotion.label3, emotion.label5)
    return labels, tuple(unit + suffix for unit in units), shape
