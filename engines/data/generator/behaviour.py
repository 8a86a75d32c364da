"""How a face behaves: its MEs, and all else that it does, drawn at random.

Nothing here is from the papers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .drawing import Peak, between, ns, number, sized, spaced
from .families import MeasuredField, draw_local
from .movements.courses import draw_course
from .movements.emotions import draw_expression
from .movements.long_expressions import draw_grimaces, draw_macros, draw_sustained
from .movements.nuisances import draw_nuisances
from .movements.slow_expressions import draw_settling, draw_slow, draw_under
from .timeline import Action, Curve, Movement, Recipe, Source, Strengths, Unit
from .truth import MICRO, RISE_S, levels_of

__all__ = ["draw_actions", "draw_macros", "draw_micro", "draw_micros", "draw_sustained"]

SECOND_SITE = (0.2, 0.6)  # its peak, of the first site's
SECOND_DELAY_S = (0.02, 0.10)
SECOND_AT_ONCE = 0.5  # share of second sites without delay
PX_DIGITS = 3
SECOND_ME_S = 0.3  # between the onsets of two MEs that overlap, at most


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
    labels, shape = draw_expression(rng, recipe, measured)
    target, strengths = sized(rng, shape.strengths, recipe.micro_px, peak)
    course = draw_course(rng, recipe.courses, start, rise, duration)
    truth = course.truth(start)
    also: tuple[tuple[Strengths, Curve], ...] = ()
    second = ""
    if recipe.courses.second_site and rng.random() < recipe.courses.second_site:
        second, weaker, later = _second_site(rng, recipe, peak, target, course.curve)
        also = ((weaker, later),)
    if also or truth.kind != MICRO:
        labels = (None, None)
    times = (ns(truth.onset), ns(truth.apex), ns(truth.offset))
    movement = Movement(
        truth.kind,
        *times,
        shape.units,
        *labels,
        target,
        *shape[2:],
        levels=levels_of(course.curve, start) if truth.kind == MICRO else (),
        unit_px=_unit_px(shape.units, target, strengths, peak),
        second=second,
    )
    return Action(movement, strengths, course.curve, also, course.reversible)


def _unit_px(
    units: tuple[str, ...], target: float, strengths: Strengths, peak: Peak
) -> tuple[float, ...]:
    """The peak displacement of each unit alone, in px; `target` is that of all together."""
    if len(units) == 1:
        return (target,)
    found = []
    for unit in units:
        name = unit.rstrip("LR")
        own = {key: value for key, value in strengths.items() if _is_unit(key, name)}
        found.append(round(peak(own), PX_DIGITS))
    return tuple(found)


def _is_unit(key: Unit | Source, name: str) -> bool:
    return isinstance(key, tuple) and key[0] == name


def _second_site(
    rng: np.random.Generator, recipe: Recipe, peak: Peak, px: float, curve: Curve
) -> tuple[str, Strengths, Curve]:
    """A weaker site that moves along with an ME of `px`, at once or a little later; its region."""
    shape = draw_local(rng, recipe.families)
    weak = px * float(rng.uniform(*SECOND_SITE))
    _, strengths = sized(rng, shape.strengths, (weak, weak), peak)
    at_once = rng.random() < SECOND_AT_ONCE
    delay = 0.0 if at_once else float(rng.uniform(*SECOND_DELAY_S))
    return shape.region, strengths, lambda t: curve(t - delay)
