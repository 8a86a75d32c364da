"""How a face behaves: expressions, blinks, speech, gaze, swallows and turns, drawn at random.

Shares of units by emotion follow published tables of spontaneous MEs. Nothing here is from the
papers.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .actions import SIDES
from .drawing import Peak, between, ns, number, random_strengths, sized, spaced, starts
from .nuisances import draw_blink, draw_gaze, draw_speech, draw_swallow, draw_turn
from .timeline import Action, Movement, Recipe, Strengths, rise_and_fall, rise_and_stay
from .truth import RISE_S, truth_of


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


def draw_actions(
    rng: np.random.Generator, seconds: float, recipe: Recipe, peak: Peak
) -> list[Action]:
    """Everything a face does in `seconds`, in order of onset."""
    micros = draw_micros(rng, seconds, recipe, peak)
    actions = micros + draw_macros(rng, seconds, recipe, peak, micros)
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
    actions += draw_sustained(rng, seconds, recipe, peak, micros)
    return sorted(actions, key=lambda action: action.movement.onset_ns)


def draw_micros(
    rng: np.random.Generator, seconds: float, recipe: Recipe, peak: Peak
) -> list[Action]:
    """MEs that never overlap each other."""

    def draw(start: float) -> Action:
        return draw_micro(rng, start, recipe, peak)

    latest = seconds - 0.2 - recipe.micro_s[3]
    count = number(rng, recipe.micro_per_min, seconds)
    return spaced(rng, recipe, count, latest, [], draw, apart=True)


def draw_micro(rng: np.random.Generator, start: float, recipe: Recipe, peak: Peak) -> Action:
    """One ME at `start`."""
    duration = between(rng, *recipe.micro_s)
    rise = duration * between(rng, *recipe.apex)
    while rise > RISE_S:
        rise = duration * between(rng, *recipe.apex)
    emotion, names, shape = _expression(rng)
    target, strengths = sized(rng, shape, recipe.micro_px, peak)
    stop = start + duration
    curve = rise_and_fall(start, start + rise, stop, rng.uniform(0.7, 1.3), rng.uniform(0.7, 1.4))
    truth = truth_of(curve, start, stop)
    times = (ns(truth.onset), ns(truth.apex), ns(truth.offset))
    movement = Movement(truth.kind, *times, names, *emotion, target)
    return Action(movement, strengths, curve)


def draw_macros(
    rng: np.random.Generator, seconds: float, recipe: Recipe, peak: Peak, micros: list[Action]
) -> list[Action]:
    """Macro-expressions clear of every ME, whose onset and offset they would hide."""

    def draw(start: float) -> Action:
        return draw_macro(rng, start, recipe, peak)

    count = number(rng, recipe.macro_per_min, seconds)
    return spaced(rng, recipe, count, seconds - 0.2, micros, draw)


def draw_macro(rng: np.random.Generator, start: float, recipe: Recipe, peak: Peak) -> Action:
    """A macro-expression: longer, stronger, often kept up; some begin as fast as an ME."""
    median, least, most = recipe.macro_s
    duration = float(np.clip(median * math.exp(rng.normal(0, 0.45)), least, most))
    fast = rng.random() < 0.5
    rise = rng.uniform(0.12, 0.25) if fast else duration * rng.uniform(0.2, 0.5)
    units = MACRO[rng.integers(len(MACRO))]
    sides = SIDES if rng.random() < 0.9 else (str(rng.choice(SIDES)),)
    shape = random_strengths(rng, units, sides)
    target, strengths = sized(rng, shape, recipe.macro_px, peak)
    fall = rng.uniform(0.2, 0.6) * (duration - rise)
    apex = start + rise
    stop = start + duration
    movement = Movement("macro", ns(start), ns(apex), ns(stop), units, peak_px=target)
    curve = rise_and_fall(start, apex, stop, 1.0, 1.0, hold=duration - rise - fall)
    return Action(movement, strengths, curve)


def draw_sustained(
    rng: np.random.Generator, seconds: float, recipe: Recipe, peak: Peak, micros: list[Action]
) -> list[Action]:
    """Sustained expressions clear of every ME."""

    def draw(start: float) -> Action:
        return draw_sustained_one(rng, start, recipe, peak)

    count = number(rng, recipe.sustained_per_min, seconds)
    return spaced(rng, recipe, count, seconds - 0.2, micros, draw)


def draw_sustained_one(
    rng: np.random.Generator, start: float, recipe: Recipe, peak: Peak
) -> Action:
    """An expression that begins as an ME does, in units, speed and size, and then stays: no ME.

    Without many of these a spotter answers to every fast rise, whether or not the face comes back.
    """
    rise = between(rng, *recipe.micro_s) * between(rng, *recipe.apex)
    _, names, shape = _expression(rng)
    if rng.random() < recipe.sustained_open_mouth:
        names = OPEN_MOUTH[rng.integers(len(OPEN_MOUTH))]
        shape = random_strengths(rng, names, SIDES)
    target, strengths = sized(rng, shape, recipe.sustained_px, peak)
    hold = float(rng.uniform(*recipe.sustained_s))
    level = float(rng.uniform(*recipe.sustained_level))
    fast = rng.random() < 0.5
    fall = float(rng.uniform(0.08, 0.3) if fast else rng.uniform(0.4, 1.2))
    apex = start + rise
    stop = start + rise + hold + fall
    curve = rise_and_stay(start, apex, stop, rng.uniform(0.7, 1.3), fall, level)
    movement = Movement("macro", ns(start), ns(apex), ns(stop), names, peak_px=target)
    return Action(movement, strengths, curve)


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
