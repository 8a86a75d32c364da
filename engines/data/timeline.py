"""What a synthetic face does and when: movements with truth, and the strength of every action unit over time.

Durations, apex positions, shares of units by emotion and rates follow published interval tables of spontaneous
micro-expression sets; the shapes of the curves are our own. Nothing here is from the papers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .actions import SIDES

Unit = tuple[str, str]  # (action unit, side)
Strengths = dict[Unit, float]
Curve = Callable[[float], float]


@dataclass(frozen=True)
class Recipe:
    """Rates per minute, strengths and noise of a synthetic clip."""

    micro_per_min: float = 20.0
    macro_per_min: float = 4.0
    blink_per_min: float = 18.0
    speech_per_min: float = 2.5
    gaze_per_min: float = 10.0
    swallow_per_min: float = 1.5
    turn_per_min: float = 5.0
    micro_s: tuple[float, float, float, float] = (0.36, 0.10, 0.13, 0.50)  # mean, sd, least, most
    apex: tuple[float, float, float, float] = (0.48, 0.14, 0.20, 0.80)
    macro_s: tuple[float, float, float] = (1.15, 0.55, 4.0)  # median, least, most
    micro_px: tuple[float, float] = (0.35, 2.4)  # peak displacement at 112 px, log-uniform
    macro_px: tuple[float, float] = (0.6, 6.0)  # log-uniform; weak ones teach that an ME is brief, not small
    turn: tuple[float, float] = (0.02, 0.25)  # radians, log-uniform
    margin_s: float = 0.25  # between two MEs, and between an ME and a macro-expression
    tries: int = 12  # draws of a micro- or macro-expression before its place beside the others is given up
    # the head and the skin, all the time: RMS of a clip, log-uniform
    sway_rad: tuple[float, float] = (0.004, 0.06)  # yaw and pitch
    sway_px: tuple[float, float] = (0.5, 8.0)  # of the head in the picture, in crop px
    swim_px: tuple[float, float] = (0.02, 0.30)  # smooth random deformation
    # the camera
    hz: tuple[float, ...] = (30.0, 30.0, 30.0, 25.0, 25.0, 25.0, 20.0, 15.0, 60.0)
    time_jitter: float = 0.06  # of a frame, sd
    lost_frames: float = 0.01
    repeated_frames: float = 0.02
    smears: float = 0.4  # share of clips with long exposure or temporal denoising
    smear: tuple[float, float] = (0.05, 0.4)  # share of the last picture that stays
    noise: tuple[float, float] = (0.5, 5.0)  # grey levels, log-uniform
    light: float = 0.06
    flicker: float = 0.4  # share of clips
    shrink: tuple[float, float] = (0.6, 1.25)  # picture pixels per crop pixel, log-uniform
    codecs: tuple[float, float, float] = (0.6, 0.3, 0.1)  # shares of H.264, JPEG, none
    crf: tuple[int, int] = (16, 33)
    jpeg: tuple[int, int] = (45, 95)
    # the aligner
    jitter_px: tuple[float, float] = (0.02, 0.12)  # white
    drift_px: float = 0.3
    place_px: float = 2.0  # from clip to clip; as much in turn and growth


@dataclass(frozen=True)
class Movement:
    """One movement with truth. Times in ns; `peak_px` at crop resolution; labels None but for MEs."""

    kind: str
    onset_ns: int
    apex_ns: int
    offset_ns: int
    units: tuple[str, ...]
    label3: str | None = None
    label5: str | None = None
    peak_px: float = 0.0


@dataclass(frozen=True)
class Action:
    """A movement and how strong each of its units is at time t (s)."""

    movement: Movement
    strengths: Strengths
    curve: Curve = field(repr=False)


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
SPEECH = ("AU20", "AU23", "AU24", "AU10", "AU17")  # what lips do beside opening
SYLLABLE_SHAPES = 0.6  # share of syllables with one of these


def rise_and_fall(onset: float, apex: float, offset: float, up: float, down: float, hold: float = 0.0) -> Curve:
    """0 at onset and offset, 1 at apex, smooth; `up` and `down` bend the flanks; `hold` seconds at the top."""

    def curve(t: float) -> float:
        if not onset < t < offset:
            return 0.0
        if t < apex:
            return float((0.5 - 0.5 * math.cos(math.pi * (t - onset) / (apex - onset))) ** up)
        top = min(apex + hold, offset - 1e-3)
        if t <= top:
            return 1.0
        return float((0.5 + 0.5 * math.cos(math.pi * (t - top) / (offset - top))) ** down)

    return curve


def _between(rng: np.random.Generator, mean: float, sd: float, low: float, high: float) -> float:
    while True:
        if low <= (x := rng.normal(mean, sd)) <= high:
            return float(x)


def _starts(rng: np.random.Generator, per_min: float, seconds: float) -> list[float]:
    count = rng.poisson(per_min * seconds / 60)
    return sorted(rng.uniform(0.2, max(seconds - 0.2, 0.3), count).tolist())


def _ns(t: float) -> int:
    return round(t * 1e9)


def draw_micro(rng: np.random.Generator, start: float, recipe: Recipe, peak: Callable[[Strengths], float]) -> Action:
    """One ME at `start`; `peak` gives the peak displacement in px of unit strengths."""
    duration = _between(rng, *recipe.micro_s)
    apex = start + duration * _between(rng, *recipe.apex)
    emotion = EMOTIONS[rng.choice(len(EMOTIONS), p=[e[2] for e in EMOTIONS])]
    combos = emotion[3]
    units, _, one_sided = combos[rng.choice(len(combos), p=[c[1] for c in combos])]
    sides = [("L",), ("R",)][rng.integers(2)] if rng.random() < one_sided else ("L", "R")
    lean = rng.uniform(0.75, 1.0)
    shape: Strengths = {}
    for unit in units:
        share = rng.uniform(0.6, 1.0)
        for side in sides:
            shape[unit, side] = share * (lean if side == "L" else 1.0)
    target = math.exp(rng.uniform(*np.log(recipe.micro_px)))
    scale = target / max(peak(shape), 1e-6)
    names = tuple(u + (sides[0] if len(sides) == 1 else "") for u in units)
    movement = Movement(
        "micro", _ns(start), _ns(apex), _ns(start + duration), names, emotion[1], emotion[0], round(target, 3)
    )
    curve = rise_and_fall(start, apex, start + duration, rng.uniform(0.7, 1.3), rng.uniform(0.7, 1.4))
    return Action(movement, {k: v * scale for k, v in shape.items()}, curve)


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


def draw_macro(rng: np.random.Generator, start: float, recipe: Recipe, peak: Callable[[Strengths], float]) -> Action:
    """A macro-expression: longer, stronger, often held; some begin as fast as an ME."""
    median, least, most = recipe.macro_s
    duration = float(np.clip(median * math.exp(rng.normal(0, 0.45)), least, most))
    rise = rng.uniform(0.12, 0.25) if rng.random() < 0.5 else duration * rng.uniform(0.2, 0.5)
    units = MACRO[rng.integers(len(MACRO))]
    sides = ("L", "R") if rng.random() < 0.9 else (str(rng.choice(["L", "R"])),)
    shape = {(u, s): float(rng.uniform(0.5, 1.0)) for u in units for s in sides}
    target = math.exp(rng.uniform(*np.log(recipe.macro_px)))
    scale = target / max(peak(shape), 1e-6)
    fall = rng.uniform(0.2, 0.6) * (duration - rise)
    movement = Movement("macro", _ns(start), _ns(start + rise), _ns(start + duration), units, peak_px=round(target, 3))
    curve = rise_and_fall(start, start + rise, start + duration, 1.0, 1.0, hold=duration - rise - fall)
    return Action(movement, {k: v * scale for k, v in shape.items()}, curve)


def draw_macros(
    rng: np.random.Generator, seconds: float, recipe: Recipe, peak: Callable[[Strengths], float], micros: list[Action]
) -> list[Action]:
    """Macro-expressions clear of every ME: one on top of an ME would leave its onset and offset undefined."""
    return _apart(rng, recipe, recipe.macro_per_min, seconds, seconds - 0.2, micros,
                  lambda start: draw_macro(rng, start, recipe, peak))  # fmt: skip


def draw_blink(rng: np.random.Generator, start: float) -> Action:
    """A blink, full or partial; the lid closes faster than it opens."""
    duration = float(rng.uniform(0.13, 0.42))
    apex = start + duration * rng.uniform(0.3, 0.45)
    depth = 1.0 if rng.random() < 0.75 else rng.uniform(0.3, 0.8)
    shape = {("AU43", "L"): depth * rng.uniform(0.92, 1.0), ("AU43", "R"): depth * rng.uniform(0.92, 1.0)}
    for side in ("L", "R"):
        shape |= {("AU4", side): rng.uniform(0, 0.10), ("AU6", side): rng.uniform(0, 0.12)}
    movement = Movement("blink", _ns(start), _ns(apex), _ns(start + duration), ("AU43",))
    return Action(movement, shape, rise_and_fall(start, apex, start + duration, 0.7, 0.8))


def draw_speech(rng: np.random.Generator, start: float, seconds: float) -> list[Action]:
    """A bout of speech: lips apart all along, and on top of it about four syllables a second that open and shape them.

    Whoever speaks opens the mouth: lips that only press or stretch for a moment are no speech.
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
        movement = Movement("speech", _ns(t), _ns(apex), _ns(t + duration), tuple(sorted({u for u, _ in shape})))
        actions.append(Action(movement, shape, rise_and_fall(t, apex, t + duration, 1.0, 1.0)))
        t += duration * rng.uniform(0.55, 1.2)
    return actions


def draw_gaze(rng: np.random.Generator, start: float) -> Action:
    """The irises jump aside, stay, and come back."""
    duration, rise = float(rng.uniform(0.4, 2.0)), 0.05
    strength = float(rng.choice([-1, 1]) * rng.uniform(0.3, 1.0))
    shape = {("GAZE", "L"): strength, ("GAZE", "R"): strength}
    movement = Movement("gaze", _ns(start), _ns(start + rise), _ns(start + duration), ("GAZE",))
    return Action(movement, shape, rise_and_fall(start, start + rise, start + duration, 1, 1, duration - 2 * rise))


def draw_swallow(rng: np.random.Generator, start: float) -> Action:
    """The chin and the corners of the mouth."""
    duration = float(rng.uniform(0.6, 1.1))
    shape = {("SWALLOW", s): float(rng.uniform(0.4, 1.0)) for s in ("L", "R")}
    movement = Movement("swallow", _ns(start), _ns(start + duration / 2), _ns(start + duration), ("SWALLOW",))
    return Action(movement, shape, rise_and_fall(start, start + duration / 2, start + duration, 1, 1))


def draw_turn(rng: np.random.Generator, start: float, recipe: Recipe) -> Action:
    """A nod or turn of the head, in radians: what alignment leaves of it is parallax."""
    duration = float(rng.uniform(0.4, 2.5))
    unit = str(rng.choice(["YAW", "PITCH"]))
    strength = float(rng.choice([-1, 1])) * math.exp(rng.uniform(*np.log(recipe.turn)))
    apex = start + duration * rng.uniform(0.3, 0.7)
    movement = Movement("turn", _ns(start), _ns(apex), _ns(start + duration), (unit,))
    return Action(movement, {(unit, ""): strength}, rise_and_fall(start, apex, start + duration, 1, 1))


def draw_actions(
    rng: np.random.Generator, seconds: float, recipe: Recipe, peak: Callable[[Strengths], float]
) -> list[Action]:
    """Everything a face does in `seconds`, in order of onset."""
    actions = draw_micros(rng, seconds, recipe, peak)
    actions += draw_macros(rng, seconds, recipe, peak, actions)
    actions += [draw_blink(rng, t) for t in _starts(rng, recipe.blink_per_min, seconds)]
    for start in _starts(rng, recipe.speech_per_min, seconds):
        actions += draw_speech(rng, start, seconds)
    actions += [draw_gaze(rng, t) for t in _starts(rng, recipe.gaze_per_min, seconds)]
    actions += [draw_swallow(rng, t) for t in _starts(rng, recipe.swallow_per_min, seconds)]
    actions += [draw_turn(rng, t, recipe) for t in _starts(rng, recipe.turn_per_min, seconds)]
    return sorted(actions, key=lambda a: a.movement.onset_ns)


def capture_times(rng: np.random.Generator, seconds: float, recipe: Recipe) -> NDArray[np.int64]:
    """Capture times (ns) of a camera of the recipe: rate, jitter, lost frames; strictly rising from 0."""
    hz = float(recipe.hz[rng.integers(len(recipe.hz))])
    count = max(int(seconds * hz), 2)
    jitter = np.clip(rng.normal(0, recipe.time_jitter, count), -0.4, 0.4) if rng.random() < 0.6 else np.zeros(count)
    times = np.round((np.arange(count) + jitter) * 1e9 / hz).astype(np.int64)
    keep = rng.random(count) >= (recipe.lost_frames if rng.random() < 0.5 else 0.0)
    keep[:2] = True
    return np.asarray(times[keep] - times[0])
