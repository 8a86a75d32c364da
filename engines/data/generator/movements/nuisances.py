"""What a face does beside expressions: blinks, speech, gaze, swallows, turns and the like.

Not from the papers.
"""

from __future__ import annotations

import math

import numpy as np

from ..actions import SIDES
from ..drawing import log_uniform, ns, starts
from ..families import LocalField, Patch, draw_local
from ..timeline import Action, Curve, Movement, Recipe, Strengths, rise_and_fall
from .courses import through

SPEECH = ("AU20", "AU23", "AU24", "AU10", "AU17")  # what lips do beside opening
SYLLABLE_SHAPES = 0.6  # share of syllables with one of these
NOD_HZ = (1.2, 3.0)
NODS = (1, 4)  # in a row
NOD_RAD = (0.02, 0.12)  # log-uniform
SHIFT_S = (0.08, 0.3)  # of a quick shift of the head
SHIFT_RAD = (0.015, 0.10)  # log-uniform
SHIFT_STAYS_S = (0.1, 2.5)  # log-uniform
TONGUE_S = (0.5, 1.8)
TONGUE_CM = (0.15, 0.5)  # that it pushes skin apart, log-uniform
# Landmarks whose skin the tongue pushes out: cheeks beside the corners, below and above the lips
TONGUE_AT = ((287, 432), (57, 212), (17, 200), (0, 164))
TREMOR_HZ = (4.0, 8.0)
TREMOR_CM = (0.02, 0.08)  # log-uniform
TREMOR_S = (0.8, 3.0)


def draw_nuisances(rng: np.random.Generator, seconds: float, recipe: Recipe) -> list[Action]:
    """All of them in `seconds`, at the recipe's rates."""
    actions: list[Action] = []
    for start in starts(rng, recipe.blink_per_min, seconds):
        actions.append(draw_blink(rng, start, recipe.blink_pull))
    for start in starts(rng, recipe.speech_per_min, seconds):
        actions += draw_speech(rng, start, seconds)
    for start in starts(rng, recipe.gaze_per_min, seconds):
        actions.append(draw_gaze(rng, start))
    for start in starts(rng, recipe.swallow_per_min, seconds):
        actions.append(draw_swallow(rng, start))
    for start in starts(rng, recipe.turn_per_min, seconds):
        actions.append(draw_turn(rng, start, recipe))
    for start in starts(rng, recipe.nod_per_min, seconds):
        actions.append(draw_nod(rng, start))
    for start in starts(rng, recipe.shift_per_min, seconds):
        actions.append(draw_shift(rng, start))
    for start in starts(rng, recipe.tongue_per_min, seconds):
        actions.append(draw_tongue(rng, start))
    for start in starts(rng, recipe.tremor_per_min, seconds):
        actions.append(draw_tremor(rng, start, recipe))
    return actions


def draw_blink(rng: np.random.Generator, start: float, pull: float = 1.0) -> Action:
    """A blink, full or partial; the lid closes faster than it opens.

    pull: how far brows and cheeks go along.
    """
    duration = float(rng.uniform(0.13, 0.42))
    apex = start + duration * rng.uniform(0.3, 0.45)
    depth = 1.0 if rng.random() < 0.75 else rng.uniform(0.3, 0.8)
    shape: Strengths = {("AU43", side): depth * rng.uniform(0.92, 1.0) for side in SIDES}
    for side in SIDES:
        shape["AU4", side] = pull * rng.uniform(0, 0.10)
        shape["AU6", side] = pull * rng.uniform(0, 0.12)
    stop = start + duration
    movement = Movement("blink", ns(start), ns(apex), ns(stop), ("AU43",))
    curve = rise_and_fall(start, apex, stop, 0.7, 0.8)
    return Action(movement, shape, curve, reversible=False)


def draw_speech(rng: np.random.Generator, start: float, seconds: float) -> list[Action]:
    """A bout of speech: parted lips, and about four syllables a second that open and shape them.

    Lips that only press or stretch for a moment are no speech: who speaks opens the mouth.
    """
    stop = min(start + rng.uniform(0.8, 4.0), seconds)
    parted: Strengths = {("AU25", side): float(rng.uniform(0.1, 0.35)) for side in SIDES}
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
    units = tuple(sorted({unit[0] for unit in shape if isinstance(unit, tuple)}))
    movement = Movement("speech", ns(start), ns(apex), ns(stop), units)
    return Action(movement, shape, rise_and_fall(start, apex, stop, 1.0, 1.0))


def draw_gaze(rng: np.random.Generator, start: float) -> Action:
    """The irises jump aside, stay, and come back."""
    duration = float(rng.uniform(0.4, 2.0))
    rise = 0.05
    strength = float(rng.choice([-1, 1]) * rng.uniform(0.3, 1.0))
    shape: Strengths = {("GAZE", side): strength for side in SIDES}
    apex = start + rise
    stop = start + duration
    movement = Movement("gaze", ns(start), ns(apex), ns(stop), ("GAZE",))
    return Action(movement, shape, rise_and_fall(start, apex, stop, 1, 1, duration - 2 * rise))


def draw_swallow(rng: np.random.Generator, start: float) -> Action:
    """The chin and the corners of the mouth move once."""
    duration = float(rng.uniform(0.6, 1.1))
    shape: Strengths = {("SWALLOW", side): float(rng.uniform(0.4, 1.0)) for side in SIDES}
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


def draw_nod(rng: np.random.Generator, start: float) -> Action:
    """One or more nods, or shakes of the head, each weaker than the one before."""
    hz = float(rng.uniform(*NOD_HZ))
    count = int(rng.integers(*NODS))
    stop = start + count / hz
    unit = "PITCH" if rng.random() < 0.7 else "YAW"
    strength = float(rng.choice([-1, 1])) * log_uniform(rng, NOD_RAD)
    points = [(start, 0.0)]
    for i in range(count):
        points += [(start + (i + 0.5) / hz, 0.8**i), (start + (i + 1) / hz, 0.0)]
    movement = Movement("turn", ns(start), ns(start + 0.5 / hz), ns(stop), (unit,))
    return Action(movement, {(unit, ""): strength}, through(*points))


def draw_shift(rng: np.random.Generator, start: float) -> Action:
    """A quick shift of the head, as a nudge or a change of seat: parallax within a few frames."""
    apex = start + float(rng.uniform(*SHIFT_S))
    back = apex + log_uniform(rng, SHIFT_STAYS_S)
    stop = back + float(rng.uniform(*SHIFT_S))
    unit = str(rng.choice(["YAW", "PITCH"]))
    strength = float(rng.choice([-1, 1])) * log_uniform(rng, SHIFT_RAD)
    curve = through((start, 0), (apex, 1), (back, 1), (stop, 0))
    movement = Movement("turn", ns(start), ns(apex), ns(stop), (unit,))
    return Action(movement, {(unit, ""): strength}, curve)


def draw_tongue(rng: np.random.Generator, start: float) -> Action:
    """The tongue in a cheek or behind a lip: skin is pushed apart about a place."""
    at = TONGUE_AT[rng.integers(len(TONGUE_AT))]
    push = log_uniform(rng, TONGUE_CM)
    apart = 0.5  # cm from the middle to where skin moves most
    sides = ((apart, 0.0), (-apart, 0.0), (0.0, apart), (0.0, -apart))
    patches = tuple(
        Patch(at, side, (push * side[0] / apart, push * side[1] / apart), (0.6, 0.6), (0.0, 0.0))
        for side in sides
    )
    stop = start + float(rng.uniform(*TONGUE_S))
    apex = start + (stop - start) * float(rng.uniform(0.3, 0.6))
    movement = Movement("tongue", ns(start), ns(apex), ns(stop), ())
    return Action(movement, {LocalField(patches): 1.0}, rise_and_fall(start, apex, stop, 1, 1))


def draw_tremor(rng: np.random.Generator, start: float, recipe: Recipe) -> Action:
    """A small lasting tremor of a site."""
    shape = draw_local(rng, recipe.families)
    stop = start + float(rng.uniform(*TREMOR_S))
    middle = (start + stop) / 2
    hz = float(rng.uniform(*TREMOR_HZ))
    whole = rise_and_fall(start, middle, stop, 0.5, 0.5)
    # a site's units move skin by about half a centimetre at full strength
    size = log_uniform(rng, TREMOR_CM) / 0.5
    strengths = {unit: size * strength for unit, strength in shape.strengths.items()}
    movement = Movement("tremor", ns(start), ns(middle), ns(stop), (), region=shape.region)
    return Action(movement, strengths, _shaken(whole, hz))


def _shaken(curve: Curve, hz: float) -> Curve:
    """The curve times a wave between 0 and 1."""

    def shaken(t: float) -> float:
        return curve(t) * (0.5 - 0.5 * math.cos(2 * math.pi * hz * t))

    return shaken
