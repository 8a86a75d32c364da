"""What a face does beside expressions: blinks, speech, gaze, swallows, turns and the like.

Not from the papers.
"""

from __future__ import annotations

import math

import numpy as np

from .actions import SIDES
from .drawing import ns
from .timeline import Action, Movement, Recipe, Strengths, rise_and_fall

SPEECH = ("AU20", "AU23", "AU24", "AU10", "AU17")  # what lips do beside opening
SYLLABLE_SHAPES = 0.6  # share of syllables with one of these


def draw_blink(rng: np.random.Generator, start: float, pull: float = 1.0) -> Action:
    """A blink, full or partial; the lid closes faster than it opens.

    pull: how far brows and cheeks go along.
    """
    duration = float(rng.uniform(0.13, 0.42))
    apex = start + duration * rng.uniform(0.3, 0.45)
    depth = 1.0 if rng.random() < 0.75 else rng.uniform(0.3, 0.8)
    shape = {("AU43", side): depth * rng.uniform(0.92, 1.0) for side in SIDES}
    for side in SIDES:
        shape["AU4", side] = pull * rng.uniform(0, 0.10)
        shape["AU6", side] = pull * rng.uniform(0, 0.12)
    stop = start + duration
    movement = Movement("blink", ns(start), ns(apex), ns(stop), ("AU43",))
    return Action(movement, shape, rise_and_fall(start, apex, stop, 0.7, 0.8))


def draw_speech(rng: np.random.Generator, start: float, seconds: float) -> list[Action]:
    """A bout of speech: parted lips, and about four syllables a second that open and shape them.

    Lips that only press or stretch for a moment are no speech: who speaks opens the mouth.
    """
    stop = min(start + rng.uniform(0.8, 4.0), seconds)
    parted = {("AU25", side): float(rng.uniform(0.1, 0.35)) for side in SIDES}
    middle = ns((start + stop) / 2)
    whole = Movement("speech", ns(start), middle, ns(stop), ("AU25",))
    hold = max(stop - start - 0.3, 0.0)
    actions = [Action(whole, parted, rise_and_fall(start, start + 0.15, stop, 1.0, 1.0, hold))]
    at = start
    while at < stop:
        duration = float(rng.uniform(0.12, 0.42))
        actions.append(_syllable(rng, at, duration))
        at += duration * rng.uniform(0.55, 1.2)
    return actions


def _syllable(rng: np.random.Generator, start: float, duration: float) -> Action:
    shape: Strengths = {}
    for unit, low, high in (("AU25", 0.1, 0.6), ("AU26", 0.0, 0.5)):
        shape |= {(unit, side): float(rng.uniform(low, high)) for side in SIDES}
    if rng.random() < SYLLABLE_SHAPES:
        unit = SPEECH[rng.integers(len(SPEECH))]
        shape |= {(unit, side): float(rng.uniform(0.1, 0.7)) for side in SIDES}
    apex = start + duration * rng.uniform(0.35, 0.65)
    stop = start + duration
    units = tuple(sorted({unit for unit, _ in shape}))
    movement = Movement("speech", ns(start), ns(apex), ns(stop), units)
    return Action(movement, shape, rise_and_fall(start, apex, stop, 1.0, 1.0))


def draw_gaze(rng: np.random.Generator, start: float) -> Action:
    """The irises jump aside, stay, and come back."""
    duration = float(rng.uniform(0.4, 2.0))
    rise = 0.05
    strength = float(rng.choice([-1, 1]) * rng.uniform(0.3, 1.0))
    shape = {("GAZE", side): strength for side in SIDES}
    apex = start + rise
    stop = start + duration
    movement = Movement("gaze", ns(start), ns(apex), ns(stop), ("GAZE",))
    return Action(movement, shape, rise_and_fall(start, apex, stop, 1, 1, duration - 2 * rise))


def draw_swallow(rng: np.random.Generator, start: float) -> Action:
    """The chin and the corners of the mouth move once."""
    duration = float(rng.uniform(0.6, 1.1))
    shape = {("SWALLOW", side): float(rng.uniform(0.4, 1.0)) for side in SIDES}
    apex = start + duration / 2
    stop = start + duration
    movement = Movement("swallow", ns(start), ns(apex), ns(stop), ("SWALLOW",))
    return Action(movement, shape, rise_and_fall(start, apex, stop, 1, 1))


def draw_turn(rng: np.random.Generator, start: float, recipe: Recipe) -> Action:
    """A nod or turn of the head, in radians: what alignment leaves of it is parallax."""
    duration = float(rng.uniform(0.4, 2.5))
    unit = str(rng.choice(["YAW", "PITCH"]))
    strength = float(rng.choice([-1, 1])) * math.exp(rng.uniform(*np.log(recipe.turn)))
    apex = start + duration * rng.uniform(0.3, 0.7)
    stop = start + duration
    movement = Movement("turn", ns(start), ns(apex), ns(stop), (unit,))
    return Action(movement, {(unit, ""): strength}, rise_and_fall(start, apex, stop, 1, 1))
