"""How a face behaves: expressions, blinks, speech, gaze, swallows and turns, drawn at random.

Shares of units by emotion follow published tables of spontaneous MEs. Nothing here is from the
papers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .actions import SIDES
from .timeline import Action, Movement, Recipe, Strengths, rise_and_fall, rise_and_stay
from .truth import RISE_S, truth_of

Peak = Callable[[Strengths], float]  # peak displacement in px of a face with these strengths


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
SPEECH = ("AU20", "AU23", "AU24", "AU10", "AU17")  # what lips do beside opening
SYLLABLE_SHAPES = 0.6  # share of syllables with one of these


def draw_actions(
    rng: np.random.Generator, seconds: float, recipe: Recipe, peak: Peak
) -> list[Action]:
    """Everything a face does in `seconds`, in order of onset."""
    micros = draw_micros(rng, seconds, recipe, peak)
    actions = micros + draw_macros(rng, seconds, recipe, peak, micros)
    for start in _starts(rng, recipe.blink_per_min, seconds):
        actions.append(draw_blink(rng, start, recipe.blink_pull))
    for start in _starts(rng, recipe.speech_per_min, seconds):
        actions += draw_speech(rng, start, seconds)
    for start in _starts(rng, recipe.gaze_per_min, seconds):
        actions.append(draw_gaze(rng, start))
    for start in _starts(rng, recipe.swallow_per_min, seconds):
        actions.append(draw_swallow(rng, start))
    for start in _starts(rng, recipe.turn_per_min, seconds):
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
    return _spaced(rng, recipe, _count(rng, recipe.micro_per_min, seconds), latest, [], draw)


def draw_micro(rng: np.random.Generator, start: float, recipe: Recipe, peak: Peak) -> Action:
    """One ME at `start`."""
    duration = _between(rng, *recipe.micro_s)
    rise = duration * _between(rng, *recipe.apex)
    while rise > RISE_S:
        rise = duration * _between(rng, *recipe.apex)
    emotion, names, shape = _expression(rng)
    target, strengths = _sized(rng, shape, recipe.micro_px, peak)
    stop = start + duration
    curve = rise_and_fall(start, start + rise, stop, rng.uniform(0.7, 1.3), rng.uniform(0.7, 1.4))
    truth = truth_of(curve, start, stop)
    times = (_ns(truth.onset), _ns(truth.apex), _ns(truth.offset))
    movement = Movement(truth.kind, *times, names, *emotion, target)
    return Action(movement, strengths, curve)


def draw_macros(
    rng: np.random.Generator, seconds: float, recipe: Recipe, peak: Peak, micros: list[Action]
) -> list[Action]:
    """Macro-expressions clear of every ME, whose onset and offset they would hide."""

    def draw(start: float) -> Action:
        return draw_macro(rng, start, recipe, peak)

    count = _count(rng, recipe.macro_per_min, seconds)
    return _spaced(rng, recipe, count, seconds - 0.2, micros, draw)


def draw_macro(rng: np.random.Generator, start: float, recipe: Recipe, peak: Peak) -> Action:
    """A macro-expression: longer, stronger, often kept up; some begin as fast as an ME."""
    median, least, most = recipe.macro_s
    duration = float(np.clip(median * math.exp(rng.normal(0, 0.45)), least, most))
    fast = rng.random() < 0.5
    rise = rng.uniform(0.12, 0.25) if fast else duration * rng.uniform(0.2, 0.5)
    units = MACRO[rng.integers(len(MACRO))]
    sides = SIDES if rng.random() < 0.9 else (str(rng.choice(SIDES)),)
    shape = _random_strengths(rng, units, sides)
    target, strengths = _sized(rng, shape, recipe.macro_px, peak)
    fall = rng.uniform(0.2, 0.6) * (duration - rise)
    apex = start + rise
    stop = start + duration
    movement = Movement("macro", _ns(start), _ns(apex), _ns(stop), units, peak_px=target)
    curve = rise_and_fall(start, apex, stop, 1.0, 1.0, hold=duration - rise - fall)
    return Action(movement, strengths, curve)


def draw_sustained(
    rng: np.random.Generator, seconds: float, recipe: Recipe, peak: Peak, micros: list[Action]
) -> list[Action]:
    """Sustained expressions clear of every ME."""

    def draw(start: float) -> Action:
        return draw_sustained_one(rng, start, recipe, peak)

    count = _count(rng, recipe.sustained_per_min, seconds)
    return _spaced(rng, recipe, count, seconds - 0.2, micros, draw)


def draw_sustained_one(
    rng: np.random.Generator, start: float, recipe: Recipe, peak: Peak
) -> Action:
    """An expression that begins as an ME does, in units, speed and size, and then stays: no ME.

    Without many of these a spotter answers to every fast rise, whether or not the face comes back.
    """
    rise = _between(rng, *recipe.micro_s) * _between(rng, *recipe.apex)
    _, names, shape = _expression(rng)
    if rng.random() < recipe.sustained_open_mouth:
        names = OPEN_MOUTH[rng.integers(len(OPEN_MOUTH))]
        shape = _random_strengths(rng, names, SIDES)
    target, strengths = _sized(rng, shape, recipe.sustained_px, peak)
    hold = float(rng.uniform(*recipe.sustained_s))
    level = float(rng.uniform(*recipe.sustained_level))
    fast = rng.random() < 0.5
    fall = float(rng.uniform(0.08, 0.3) if fast else rng.uniform(0.4, 1.2))
    apex = start + rise
    stop = start + rise + hold + fall
    curve = rise_and_stay(start, apex, stop, rng.uniform(0.7, 1.3), fall, level)
    movement = Movement("macro", _ns(start), _ns(apex), _ns(stop), names, peak_px=target)
    return Action(movement, strengths, curve)


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
    movement = Movement("blink", _ns(start), _ns(apex), _ns(stop), ("AU43",))
    return Action(movement, shape, rise_and_fall(start, apex, stop, 0.7, 0.8))


def draw_speech(rng: np.random.Generator, start: float, seconds: float) -> list[Action]:
    """A bout of speech: parted lips, and about four syllables a second that open and shape them.

    Lips that only press or stretch for a moment are no speech: who speaks opens the mouth.
    """
    stop = min(start + rng.uniform(0.8, 4.0), seconds)
    parted = {("AU25", side): float(rng.uniform(0.1, 0.35)) for side in SIDES}
    middle = _ns((start + stop) / 2)
    whole = Movement("speech", _ns(start), middle, _ns(stop), ("AU25",))
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
    movement = Movement("speech", _ns(start), _ns(apex), _ns(stop), units)
    return Action(movement, shape, rise_and_fall(start, apex, stop, 1.0, 1.0))


def draw_gaze(rng: np.random.Generator, start: float) -> Action:
    """The irises jump aside, stay, and come back."""
    duration = float(rng.uniform(0.4, 2.0))
    rise = 0.05
    strength = float(rng.choice([-1, 1]) * rng.uniform(0.3, 1.0))
    shape = {("GAZE", side): strength for side in SIDES}
    apex = start + rise
    stop = start + duration
    movement = Movement("gaze", _ns(start), _ns(apex), _ns(stop), ("GAZE",))
    return Action(movement, shape, rise_and_fall(start, apex, stop, 1, 1, duration - 2 * rise))


def draw_swallow(rng: np.random.Generator, start: float) -> Action:
    """The chin and the corners of the mouth move once."""
    duration = float(rng.uniform(0.6, 1.1))
    shape = {("SWALLOW", side): float(rng.uniform(0.4, 1.0)) for side in SIDES}
    apex = start + duration / 2
    stop = start + duration
    movement = Movement("swallow", _ns(start), _ns(apex), _ns(stop), ("SWALLOW",))
    return Action(movement, shape, rise_and_fall(start, apex, stop, 1, 1))


def draw_turn(rng: np.random.Generator, start: float, recipe: Recipe) -> Action:
    """A nod or turn of the head, in radians: what alignment leaves of it is parallax."""
    duration = float(rng.uniform(0.4, 2.5))
    unit = str(rng.choice(["YAW", "PITCH"]))
    strength = float(rng.choice([-1, 1])) * math.exp(rng.uniform(*np.log(recipe.turn)))
    apex = start + duration * rng.uniform(0.3, 0.7)
    stop = start + duration
    movement = Movement("turn", _ns(start), _ns(apex), _ns(stop), (unit,))
    return Action(movement, {(unit, ""): strength}, rise_and_fall(start, apex, stop, 1, 1))


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


def _random_strengths(
    rng: np.random.Generator, units: tuple[str, ...], sides: tuple[str, ...]
) -> Strengths:
    return {(unit, side): float(rng.uniform(0.5, 1.0)) for unit in units for side in sides}


def _sized(
    rng: np.random.Generator, shape: Strengths, px: tuple[float, float], peak: Peak
) -> tuple[float, Strengths]:
    """A peak displacement drawn from `px`, log-uniform, and the shape at that displacement."""
    target = math.exp(rng.uniform(*np.log(px)))
    scale = target / max(peak(shape), 1e-6)
    return round(target, 3), {unit: strength * scale for unit, strength in shape.items()}


def _spaced(
    rng: np.random.Generator,
    recipe: Recipe,
    count: int,
    latest: float,
    others: list[Action],
    draw: Callable[[float], Action],
) -> list[Action]:
    """At most `count` actions, each at least the recipe's margin from `others`.

    MEs keep that margin from each other too. No action starts after `latest`, in s; one that finds
    no place in the recipe's tries is left out.
    """
    margin = _ns(recipe.margin_s)
    taken = [(a.movement.onset_ns - margin, a.movement.offset_ns + margin) for a in others]
    actions: list[Action] = []
    for _ in range(count):
        for _ in range(recipe.tries):
            action = draw(float(rng.uniform(0.2, max(latest, 0.3))))
            move = action.movement
            if all(move.offset_ns <= first or move.onset_ns >= last for first, last in taken):
                actions.append(action)
                if move.kind == "micro":
                    taken.append((move.onset_ns - margin, move.offset_ns + margin))
                break
    return actions


def _starts(rng: np.random.Generator, per_min: float, seconds: float) -> list[float]:
    count = _count(rng, per_min, seconds)
    return sorted(rng.uniform(0.2, max(seconds - 0.2, 0.3), count).tolist())


def _count(rng: np.random.Generator, per_min: float, seconds: float) -> int:
    return int(rng.poisson(per_min * seconds / 60))


def _between(rng: np.random.Generator, mean: float, sd: float, low: float, high: float) -> float:
    """A normal number, drawn again until it lies between `low` and `high`."""
    while True:
        drawn = float(rng.normal(mean, sd))
        if low <= drawn <= high:
            return drawn


def _ns(t: float) -> int:
    return round(t * 1e9)
