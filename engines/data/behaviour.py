"""How a face behaves: micro- and macro-expressions, blinks, speech, gaze, swallowing and head turns, drawn at random.

Shares of units by emotion follow published tables of spontaneous MEs. Nothing here is from the papers.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .actions import SIDES
from .timeline import Action, Movement, Recipe, Strengths, rise_and_fall, rise_and_stay

# Emotion tables: (label5, label3, [(units, weight, share that is one-sided)]).
EMOTIONS: tuple[tuple[str, str | None, float, tuple[tuple[tuple[str, ...], float, float], ...]], ...] = (
    ("happiness", "positive", 0.24, (
        (("AU12",), 0.55, 0.41), (("AU6", "AU12"), 0.30, 0.2), (("AU12", "AU14"), 0.15, 0.4),
    )),
    ("surprise", "surprise", 0.22, (
        (("AU1", "AU2"), 0.50, 0.35), (("AU1",), 0.15, 0.4), (("AU2",), 0.20, 0.56),
        (("AU1", "AU2", "AU5", "AU25"), 0.15, 0.0),
    )),
    ("disgust", "negative", 0.22, (
        (("AU4", "AU7"), 0.45, 0.1), (("AU4", "AU9"), 0.15, 0.0), (("AU4", "AU10"), 0.20, 0.1), (("AU9",), 0.10, 0.1),
        (("AU10",), 0.10, 0.3),
    )),
    ("repression", "negative", 0.20, (
        (("AU17",), 0.45, 0.0), (("AU15",), 0.20, 0.2), (("AU15", "AU17"), 0.20, 0.0), (("AU14",), 0.15, 0.5),
    )),
    ("others", None, 0.12, (
        (("AU4",), 0.6, 0.1), (("AU14",), 0.12, 0.8), (("AU24",), 0.14, 0.0), (("AU20",), 0.14, 0.2),
    )),
)  # fmt: skip
MACRO = (
    ("AU6", "AU12"), ("AU12", "AU25"), ("AU1", "AU2"), ("AU1", "AU2", "AU5"), ("AU4", "AU7"), ("AU9", "AU10"),
    ("AU15", "AU17"), ("AU20", "AU25"), ("AU24",), ("AU4",), ("AU17", "AU24"), ("AU12",), ("AU14",),
)  # fmt: skip
GAPING = (
    ("AU1", "AU2", "AU5", "AU25", "AU26"),
    ("AU1", "AU2", "AU25", "AU26"),
    ("AU6", "AU12", "AU25", "AU26"),
)
SPEECH = ("AU20", "AU23", "AU24", "AU10", "AU17")  # what lips do beside opening
SYLLABLE_SHAPES = 0.6  # share of syllables with one of these


def _between(rng: np.random.Generator, mean: float, sd: float, low: float, high: float) -> float:
    while True:
        if low <= (x := rng.normal(mean, sd)) <= high:
            return float(x)


def _starts(rng: np.random.Generator, per_min: float, seconds: float) -> list[float]:
    count = rng.poisson(per_min * seconds / 60)
    return sorted(rng.uniform(0.2, max(seconds - 0.2, 0.3), count).tolist())


def _ns(t: float) -> int:
    return round(t * 1e9)


def _expression(
    rng: np.random.Generator,
) -> tuple[tuple[str | None, str], tuple[str, ...], Strengths]:
    """What an ME shows: its labels in 3 and 5 classes, the names of its units, their strengths."""
    label5, label3, _, combos = EMOTIONS[rng.choice(len(EMOTIONS), p=[e[2] for e in EMOTIONS])]
    units, _, one_sided = combos[rng.choice(len(combos), p=[c[1] for c in combos])]
    sides = [("L",), ("R",)][rng.integers(2)] if rng.random() < one_sided else ("L", "R")
    lean = rng.uniform(0.75, 1.0)
    shape: Strengths = {}
    for unit in units:
        share = rng.uniform(0.6, 1.0)
        for side in sides:
            shape[unit, side] = share * (lean if side == "L" else 1.0)
    return (label3, label5), tuple(u + (sides[0] if len(sides) == 1 else "") for u in units), shape


def _sized(
    rng: np.random.Generator,
    shape: Strengths,
    px: tuple[float, float],
    peak: Callable[[Strengths], float],
) -> tuple[float, Strengths]:
    """The shape at a peak displacement drawn from `px`, log-uniform; the displacement comes first."""
    target = math.exp(rng.uniform(*np.log(px)))
    scale = target / max(peak(shape), 1e-6)
    return round(target, 3), {k: v * scale for k, v in shape.items()}


def draw_micro(
    rng: np.random.Generator, start: float, recipe: Recipe, peak: Callable[[Strengths], float]
) -> Action:
    """One ME at `start`; `peak` gives the peak displacement in px of unit strengths."""
    duration = _between(rng, *recipe.micro_s)
    apex = start + duration * _between(rng, *recipe.apex)
    emotion, names, shape = _expression(rng)
    target, strengths = _sized(rng, shape, recipe.micro_px, peak)
    movement = Movement(
        "micro", _ns(start), _ns(apex), _ns(start + duration), names, *emotion, target
    )
    curve = rise_and_fall(
        start, apex, start + duration, rng.uniform(0.7, 1.3), rng.uniform(0.7, 1.4)
    )
    return Action(movement, strengths, curve)


def draw_micros(
    rng: np.random.Generator, seconds: float, recipe: Recipe, peak: Callable[[Strengths], float]
) -> list[Action]:
    """MEs that never overlap each other."""
    return _apart(rng, recipe, recipe.micro_per_min, seconds, seconds - 0.2 - recipe.micro_s[3], [],
                  lambda start: draw_micro(rng, start, recipe, peak))  # fmt: skip


def _apart(
    rng: np.random.Generator, recipe: Recipe, per_min: float, seconds: float, latest: float, others: list[Action],
    draw: Callable[[float], Action],
) -> list[Action]:  # fmt: skip
    """Actions at `per_min`, each at least the recipe's margin from `others`, and from each other if they are MEs."""
    margin = _ns(recipe.margin_s)
    taken = [(a.movement.onset_ns - margin, a.movement.offset_ns + margin) for a in others]
    actions: list[Action] = []
    for _ in range(rng.poisson(per_min * seconds / 60)):
        for _ in range(recipe.tries):
            action = draw(float(rng.uniform(0.2, max(latest, 0.3))))
            move = action.movement
            if all(move.offset_ns <= first or move.onset_ns >= last for first, last in taken):
                actions.append(action)
                if move.kind == "micro":
                    taken.append((move.onset_ns - margin, move.offset_ns + margin))
                break
    return actions


def draw_macro(
    rng: np.random.Generator, start: float, recipe: Recipe, peak: Callable[[Strengths], float]
) -> Action:
    """A macro-expression: longer, stronger, often held; some begin as fast as an ME."""
    median, least, most = recipe.macro_s
    duration = float(np.clip(median * math.exp(rng.normal(0, 0.45)), least, most))
    rise = rng.uniform(0.12, 0.25) if rng.random() < 0.5 else duration * rng.uniform(0.2, 0.5)
    units = MACRO[rng.integers(len(MACRO))]
    sides = ("L", "R") if rng.random() < 0.9 else (str(rng.choice(["L", "R"])),)
    shape = {(u, s): float(rng.uniform(0.5, 1.0)) for u in units for s in sides}
    target, strengths = _sized(rng, shape, recipe.macro_px, peak)
    fall = rng.uniform(0.2, 0.6) * (duration - rise)
    movement = Movement(
        "macro", _ns(start), _ns(start + rise), _ns(start + duration), units, peak_px=target
    )
    curve = rise_and_fall(
        start, start + rise, start + duration, 1.0, 1.0, hold=duration - rise - fall
    )
    return Action(movement, strengths, curve)


def draw_macros(
    rng: np.random.Generator,
    seconds: float,
    recipe: Recipe,
    peak: Callable[[Strengths], float],
    micros: list[Action],
) -> list[Action]:
    """Macro-expressions clear of every ME: one on top of an ME would leave its onset and offset undefined."""
    return _apart(rng, recipe, recipe.macro_per_min, seconds, seconds - 0.2, micros,
                  lambda start: draw_macro(rng, start, recipe, peak))  # fmt: skip


def draw_held(
    rng: np.random.Generator, start: float, recipe: Recipe, peak: Callable[[Strengths], float]
) -> Action:
    """A movement that begins as an ME does, in what moves, how fast and how far, and then stays: no ME.

    Without many of these a spotter answers to every fast rise, whether or not the face comes back.
    """
    rise = _between(rng, *recipe.micro_s) * _between(rng, *recipe.apex)
    _, names, shape = _expression(rng)
    if rng.random() < recipe.held_gaping:
        names = GAPING[rng.integers(len(GAPING))]
        shape = {(u, s): float(rng.uniform(0.5, 1.0)) for u in names for s in SIDES}
    target, strengths = _sized(rng, shape, recipe.held_px, peak)
    hold, level = float(rng.uniform(*recipe.held_s)), float(rng.uniform(*recipe.held_level))
    fall = float(rng.uniform(0.08, 0.3) if rng.random() < 0.5 else rng.uniform(0.4, 1.2))
    apex, stop = start + rise, start + rise + hold + fall
    curve = rise_and_stay(start, apex, stop, rng.uniform(0.7, 1.3), fall, level)
    movement = Movement("macro", _ns(start), _ns(apex), _ns(stop), names, peak_px=target)
    return Action(movement, strengths, curve)


def draw_helds(
    rng: np.random.Generator,
    seconds: float,
    recipe: Recipe,
    peak: Callable[[Strengths], float],
    micros: list[Action],
) -> list[Action]:
    """Held movements clear of every ME."""
    return _apart(rng, recipe, recipe.held_per_min, seconds, seconds - 0.2, micros,
                  lambda start: draw_held(rng, start, recipe, peak))  # fmt: skip


def draw_blink(rng: np.random.Generator, start: float, pull: float = 1.0) -> Action:
    """A blink, full or partial; the lid closes faster than it opens. `pull`: how far brows and cheeks go along."""
    duration = float(rng.uniform(0.13, 0.42))
    apex = start + duration * rng.uniform(0.3, 0.45)
    depth = 1.0 if rng.random() < 0.75 else rng.uniform(0.3, 0.8)
    shape = {
        ("AU43", "L"): depth * rng.uniform(0.92, 1.0),
        ("AU43", "R"): depth * rng.uniform(0.92, 1.0),
    }
    for side in ("L", "R"):
        shape |= {
            ("AU4", side): pull * rng.uniform(0, 0.10),
            ("AU6", side): pull * rng.uniform(0, 0.12),
        }
    movement = Movement("blink", _ns(start), _ns(apex), _ns(start + duration), ("AU43",))
    return Action(movement, shape, rise_and_fall(start, apex, start + duration, 0.7, 0.8))


def draw_speech(rng: np.random.Generator, start: float, seconds: float) -> list[Action]:
    """A bout of speech: lips apart all along, and on top of it about four syllables a second that open and shape them.

    Whoever speaks opens the mouth: lips that only press or segment for a moment are no speech.
    """
    stop = min(start + rng.uniform(0.8, 4.0), seconds)
    ajar = {("AU25", side): float(rng.uniform(0.1, 0.35)) for side in SIDES}
    whole = Movement("speech", _ns(start), _ns((start + stop) / 2), _ns(stop), ("AU25",))
    hold = max(stop - start - 0.3, 0.0)
    actions = [Action(whole, ajar, rise_and_fall(start, start + 0.15, stop, 1.0, 1.0, hold))]
    t = start
    while t < stop:
        duration = float(rng.uniform(0.12, 0.42))
        shape: Strengths = {}
        for unit, low, high in (("AU25", 0.1, 0.6), ("AU26", 0.0, 0.5)):
            shape |= {(unit, side): float(rng.uniform(low, high)) for side in SIDES}
        if rng.random() < SYLLABLE_SHAPES:
            unit = SPEECH[rng.integers(len(SPEECH))]
            shape |= {(unit, side): float(rng.uniform(0.1, 0.7)) for side in SIDES}
        apex = t + duration * rng.uniform(0.35, 0.65)
        movement = Movement(
            "speech", _ns(t), _ns(apex), _ns(t + duration), tuple(sorted({u for u, _ in shape}))
        )
        actions.append(Action(movement, shape, rise_and_fall(t, apex, t + duration, 1.0, 1.0)))
        t += duration * rng.uniform(0.55, 1.2)
    return actions


def draw_gaze(rng: np.random.Generator, start: float) -> Action:
    """The irises jump aside, stay, and come back."""
    duration, rise = float(rng.uniform(0.4, 2.0)), 0.05
    strength = float(rng.choice([-1, 1]) * rng.uniform(0.3, 1.0))
    shape = {("GAZE", "L"): strength, ("GAZE", "R"): strength}
    movement = Movement("gaze", _ns(start), _ns(start + rise), _ns(start + duration), ("GAZE",))
    return Action(
        movement,
        shape,
        rise_and_fall(start, start + rise, start + duration, 1, 1, duration - 2 * rise),
    )


def draw_swallow(rng: np.random.Generator, start: float) -> Action:
    """The chin and the corners of the mouth."""
    duration = float(rng.uniform(0.6, 1.1))
    shape = {("SWALLOW", s): float(rng.uniform(0.4, 1.0)) for s in ("L", "R")}
    movement = Movement(
        "swallow", _ns(start), _ns(start + duration / 2), _ns(start + duration), ("SWALLOW",)
    )
    return Action(
        movement, shape, rise_and_fall(start, start + duration / 2, start + duration, 1, 1)
    )


def draw_turn(rng: np.random.Generator, start: float, recipe: Recipe) -> Action:
    """A nod or turn of the head, in radians: what alignment leaves of it is parallax."""
    duration = float(rng.uniform(0.4, 2.5))
    unit = str(rng.choice(["YAW", "PITCH"]))
    strength = float(rng.choice([-1, 1])) * math.exp(rng.uniform(*np.log(recipe.turn)))
    apex = start + duration * rng.uniform(0.3, 0.7)
    movement = Movement("turn", _ns(start), _ns(apex), _ns(start + duration), (unit,))
    return Action(
        movement, {(unit, ""): strength}, rise_and_fall(start, apex, start + duration, 1, 1)
    )


def draw_actions(
    rng: np.random.Generator, seconds: float, recipe: Recipe, peak: Callable[[Strengths], float]
) -> list[Action]:
    """Everything a face does in `seconds`, in order of onset."""
    micros = draw_micros(rng, seconds, recipe, peak)
    actions = micros + draw_macros(rng, seconds, recipe, peak, micros)
    actions += [
        draw_blink(rng, t, recipe.blink_pull) for t in _starts(rng, recipe.blink_per_min, seconds)
    ]
    for start in _starts(rng, recipe.speech_per_min, seconds):
        actions += draw_speech(rng, start, seconds)
    actions += [draw_gaze(rng, t) for t in _starts(rng, recipe.gaze_per_min, seconds)]
    actions += [draw_swallow(rng, t) for t in _starts(rng, recipe.swallow_per_min, seconds)]
    actions += [draw_turn(rng, t, recipe) for t in _starts(rng, recipe.turn_per_min, seconds)]
    actions += draw_helds(rng, seconds, recipe, peak, micros)
    return sorted(actions, key=lambda a: a.movement.onset_ns)
