"""Slow local expressions: smiles that fade or grow, lips that settle after speech, drifts.

MEs lie on them. They are no MEs, and an ME's truth counts from their level. Shares and spans are
our own; not from the papers.
"""

from __future__ import annotations

import numpy as np

from ..drawing import Peak, log_uniform, ns, number, sized
from ..families import Shape, draw_local
from ..sites import MOUTH, NEIGHBOURS, REGIONS
from ..timeline import Action, Curve, Movement, Recipe, Strengths
from .courses import through

SLOW = "slow"
SAME_SITE = 0.4  # share of slow expressions at the ME's own site
NEIGHBOUR = 0.3  # share at a neighbouring region; the rest lies anywhere else
OPPOSITE = 0.35  # share of those at the same site that move the other way
LEAST_STAY_S = 0.3  # before a slow expression goes again
STAY_S = (0.3, 3.0)
SETTLE_PX = (0.3, 2.0)  # log-uniform
SETTLE_S = (0.8, 2.5)
LONG_SPEECH_NS = 700_000_000  # a bout, not a syllable


def draw_under(
    rng: np.random.Generator, seconds: float, recipe: Recipe, peak: Peak, micros: list[Action]
) -> list[Action]:
    """Slow expressions under the recipe's share of `micros`, at their sites and elsewhere."""
    if not recipe.slow.under:
        return []
    actions = []
    for micro in micros:
        if rng.random() < recipe.slow.under:
            onset = micro.movement.onset_ns / 1e9
            offset = micro.movement.offset_ns / 1e9
            shape = _shape_beside(rng, recipe, micro)
            actions.append(_slow(rng, recipe, peak, shape, (onset, offset), seconds))
    return actions


def draw_slow(rng: np.random.Generator, seconds: float, recipe: Recipe, peak: Peak) -> list[Action]:
    """Slow expressions at any time, at the recipe's rate."""
    actions = []
    for _ in range(number(rng, recipe.slow.per_min, seconds)):
        at = float(rng.uniform(0, seconds))
        shape = draw_local(rng, recipe.families)
        actions.append(_slow(rng, recipe, peak, shape, (at, at), seconds))
    return actions


def draw_settling(
    rng: np.random.Generator, seconds: float, recipe: Recipe, peak: Peak, actions: list[Action]
) -> list[Action]:
    """What lips or chin do after the recipe's share of the bouts of speech among `actions`."""
    if not recipe.slow.after_speech:
        return []
    settling = []
    for action in actions:
        move = action.movement
        long = move.kind == "speech" and move.offset_ns - move.onset_ns > LONG_SPEECH_NS
        if long and rng.random() < recipe.slow.after_speech:
            region = MOUTH[rng.integers(len(MOUTH))]
            shape = draw_local(rng, recipe.families, region)
            px, strengths = sized(rng, shape.strengths, SETTLE_PX, peak)
            onset = move.offset_ns / 1e9 - 0.3
            stop = onset + 0.3 + float(rng.uniform(*SETTLE_S))
            curve = through((onset, 0), (onset + 0.3, 1), (stop, 0))
            settling.append(_action(shape, px, strengths, curve, (onset, stop, seconds)))
    return settling


def _shape_beside(rng: np.random.Generator, recipe: Recipe, micro: Action) -> Shape:
    """The field of a slow expression that an ME lies on: the same, a neighbour's, or another."""
    move = micro.movement
    place = rng.random()
    if place < SAME_SITE:
        sign = -1.0 if rng.random() < OPPOSITE else 1.0
        same = {unit: sign * strength for unit, strength in micro.strengths.items()}
        return Shape(same, move.units, move.family, move.region, move.side)
    near = NEIGHBOURS.get(move.region, REGIONS)
    if place >= SAME_SITE + NEIGHBOUR:
        near = tuple(r for r in REGIONS if r != move.region and r not in near) or REGIONS
    return draw_local(rng, recipe.families, near[rng.integers(len(near))])


def _slow(
    rng: np.random.Generator,
    recipe: Recipe,
    peak: Peak,
    shape: Shape,
    around: tuple[float, float],
    seconds: float,
) -> Action:
    """A slow expression that grows or fades from `around[0]` to `around[1]` (s), and beyond."""
    px, strengths = sized(rng, shape.strengths, recipe.slow.px, peak)
    long = max(float(rng.uniform(*recipe.slow.seconds)), around[1] - around[0] + LEAST_STAY_S)
    other = float(rng.uniform(*recipe.slow.seconds))
    stay = log_uniform(rng, STAY_S)
    before = float(rng.uniform(0, long - (around[1] - around[0])))
    first = around[0] - before
    if rng.random() < 0.5:  # it grows meanwhile
        times = (first, first + long, first + long + stay, first + long + stay + other)
    else:  # it fades meanwhile
        times = (first - stay - other, first - stay, first, first + long)
    curve = through(*zip(times, (0, 1, 1, 0), strict=True))
    return _action(shape, px, strengths, curve, (times[0], times[3], seconds))


def _action(
    shape: Shape, px: float, strengths: Strengths, curve: Curve, span: tuple[float, float, float]
) -> Action:
    """The action of a slow expression; span: its onset and offset, and the clip's length, in s."""
    onset = max(span[0], 0.0)
    offset = min(span[1], span[2])
    inside = (ns(onset), ns((onset + offset) / 2), ns(offset))
    movement = Movement(SLOW, *inside, (), None, None, px, shape.family, shape.region, shape.side)
    return Action(movement, strengths, curve)
