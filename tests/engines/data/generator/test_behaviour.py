"""What a face does and when: rates, durations, labels, distances."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from microspot.engines.data.generator.behaviour import draw_actions, draw_micro
from microspot.engines.data.generator.camera import capture_times
from microspot.engines.data.generator.movements.emotions import EMOTIONS
from microspot.engines.data.generator.movements.even_units import (
    AGAINST,
    BOTH,
    UNITS,
    draw_even,
)
from microspot.engines.data.generator.movements.nuisances import draw_blink
from microspot.engines.data.generator.synthetic import Motion, strengths_at
from microspot.engines.data.generator.timeline import Action, Courses, Families, Recipe
from microspot.engines.data.generator.truth import RISE_S, level_at
from tests.engines.data.generator.rendering import ONLY_MICRO, drawn


def test_peak_px_is_the_peak_of_the_motion(motion: Motion) -> None:
    for actions in drawn(motion, ONLY_MICRO, 4, 20.0):
        for action in actions:
            move = action.movement
            at_apex = motion.peak(strengths_at([action], move.apex_ns / 1e9))
            assert at_apex == pytest.approx(move.peak_px, abs=0.01)
            assert Recipe().micro_px[0] <= move.peak_px <= Recipe().micro_px[1]
            assert at_rest_outside(action)


def test_an_me_keeps_its_course_and_the_displacement_of_every_unit(motion: Motion) -> None:
    recipe = dataclasses.replace(ONLY_MICRO, courses=Courses(returning=1.0, second_site=0.3))
    several = 0
    seconds = 0
    for actions in drawn(motion, recipe, 6, 20.0):
        for action in actions:
            move = action.movement
            assert len(move.unit_px) == len(move.units)
            assert bool(move.levels) == (move.kind == "micro")
            assert bool(move.second) == bool(action.also)
            seconds += bool(move.second)
            if move.levels:
                at = level_at(move.levels, move.apex_ns - move.onset_ns)
                assert at == pytest.approx(action.curve(move.apex_ns / 1e9), abs=0.1)
            for unit, px in zip(move.units, move.unit_px, strict=True):
                own = {k: v for k, v in action.strengths.items() if k[0] == unit.rstrip("LR")}
                assert px == pytest.approx(motion.peak(own), abs=0.002)
                assert px <= move.peak_px * 1.5
            several += len(move.units) > 1
    assert several > 5
    assert seconds > 3


def at_rest_outside(action: Action) -> bool:
    """Whether nothing moves before the onset, and next to nothing after the offset."""
    before = (action.movement.onset_ns - 1) / 1e9
    after = (action.movement.offset_ns + 1) / 1e9
    return action.curve(before) == 0.0 and action.curve(after) < 0.05


def spans_of(actions: list[Action], kind: str) -> list[tuple[int, int]]:
    """Onset and offset in ns of the movements of a kind."""
    moves = [action.movement for action in actions if action.movement.kind == kind]
    return [(move.onset_ns, move.offset_ns) for move in moves]


def test_micro_expressions_overlap_neither_one_another_nor_macros(motion: Motion) -> None:
    recipe = Recipe(micro_per_min=30, macro_per_min=20)
    gap = recipe.margin_s * 1e9 - 2
    micro_count = 0
    macro_count = 0
    for actions in drawn(motion, recipe, 10, 20.0):
        micros = spans_of(actions, "micro")
        macros = spans_of(actions, "macro")
        micro_count += len(micros)
        macro_count += len(macros)
        for (_, before), (after, _) in pairwise(micros):
            assert after - before >= gap
        for onset, offset in micros:
            assert 0 <= onset < offset <= 20e9
            assert all(onset >= last + gap or first >= offset + gap for first, last in macros)
    assert micro_count > 20
    assert macro_count > 5


def test_rates_and_durations_follow_the_recipe(motion: Motion) -> None:
    recipe = Recipe()
    moves = [a.movement for actions in drawn(motion, recipe, 60, 30.0) for a in actions]
    kinds = [move.kind for move in moves]
    for kind, per_min in (("macro", 4.0), ("blink", 18.0), ("gaze", 10.0), ("turn", 5.0)):
        assert kinds.count(kind) / 30 == pytest.approx(per_min, rel=0.25), kind
    micros = [m for m in moves if m.kind == "micro"]
    per_min = len(micros) / 30  # those too close are dropped
    assert 0.7 * recipe.micro_per_min < per_min <= 1.1 * recipe.micro_per_min
    assert {(m.label5, m.label3) for m in micros} == {(e.label5, e.label3) for e in EMOTIONS}
    for move in micros:
        length = move.offset_ns - move.onset_ns
        assert 0.12e9 <= length <= 0.50e9 + 2
        assert move.apex_ns - move.onset_ns <= RISE_S * 1e9
        assert 0.19 <= (move.apex_ns - move.onset_ns) / length <= 0.84
    assert all(m.label3 is None and m.label5 is None for m in moves if m.kind != "micro")
    longest = [(m.offset_ns - m.onset_ns) / 1e9 for m in moves if m.kind == "macro"]
    assert min(longest) >= 0.55 - 1e-6
    weak = [m.peak_px for m in moves if m.kind == "macro" and m.peak_px < recipe.micro_px[1]]
    assert weak, "without weak macro-expressions strength alone would tell an ME"


def test_sustained_expressions_begin_as_an_me_does_and_stay(motion: Motion) -> None:
    recipe = Recipe(micro_per_min=20, macro_per_min=0, sustained_per_min=20)
    actions = list(drawn(motion, recipe, 20, 20.0))
    sustained = [a for each in actions for a in each if a.movement.kind == "macro"]
    assert len(sustained) > 30
    for action in sustained:
        move = action.movement
        onset, apex, offset = (ns / 1e9 for ns in (move.onset_ns, move.apex_ns, move.offset_ns))
        assert 0.2 * recipe.micro_s[2] - 1e-6 <= apex - onset <= 0.8 * recipe.micro_s[3] + 1e-6
        assert offset - apex > recipe.sustained_s[0]
        assert at_rest_outside(action)
        assert action.curve(apex) == pytest.approx(1, abs=1e-6)
        kept = action.curve(apex + recipe.sustained_s[0])
        assert kept >= recipe.sustained_level[0] - 1e-6
        levels = [action.curve(t) for t in np.arange(onset, offset + 0.02, 0.01)]
        assert np.abs(np.diff(levels)).max() < 0.45  # no jump: the fastest rise takes 0.03 s
    faint = [a for a in sustained if a.movement.peak_px < recipe.micro_px[1]]
    assert 0.2 * len(sustained) < len(faint) < 0.9 * len(sustained)
    for each in actions:
        macros = spans_of(each, "macro")
        for onset_ns, offset_ns in spans_of(each, "micro"):
            assert all(offset_ns <= first or onset_ns >= last for first, last in macros)


def test_brows_and_cheeks_follow_a_blink_as_far_as_they_are_pulled() -> None:
    once, twice = (draw_blink(np.random.default_rng(3), 1.0, pull).strengths for pull in (1.0, 2.0))
    for unit in once:
        factor = 1 if unit[0] == "AU43" else 2
        assert twice[unit] == pytest.approx(factor * once[unit])


@pytest.mark.parametrize(
    ("label5", "label3"), [("others", None), ("disgust", "negative"), ("happiness", "positive")]
)
def test_labels_follow_the_units(motion: Motion, label5: str, label3: str | None) -> None:
    rng = np.random.default_rng(0)
    moves = [draw_micro(rng, 1.0, Recipe(), motion.peak).movement for _ in range(80)]
    mine = [m for m in moves if m.label5 == label5]
    assert mine
    assert {m.label3 for m in mine} == {label3}
    alone = {m.label5 for m in moves if {u[:3] for u in m.units} == {"AU4"}}
    assert alone <= {"others"}  # a lowered brow alone is not disgust


@pytest.mark.parametrize("seed", range(6))
def test_capture_times_rise_from_zero_at_a_rate_of_the_recipe(seed: int) -> None:
    recipe = Recipe()
    times = capture_times(np.random.default_rng(seed), 20.0, recipe)
    hz = 1e9 / float(np.median(np.diff(times)))
    assert times[0] == 0
    assert (np.diff(times) > 0).all()
    assert min(abs(hz / rate - 1) for rate in recipe.hz) < 0.05
    assert 0.9 < len(times) / (20 * hz) <= 1.02


def test_a_default_recipe_draws_what_it_always_drew() -> None:
    """Examinations use it: what is switched on by other recipes must not move its numbers."""
    drawn_now = hashlib.sha256()
    for seed in range(20):
        rng = np.random.default_rng(seed)
        for action in draw_actions(rng, 20.0, Recipe(), lambda strengths: 1.0):
            move = action.movement
            times = (move.onset_ns, move.apex_ns, move.offset_ns)
            text = (move.kind, *(round(at / 1e6) for at in times), move.units, move.peak_px)
            drawn_now.update(repr(text).encode())
        drawn_now.update(repr(int(rng.integers(2**31))).encode())  # the camera draws on
    assert drawn_now.hexdigest()[:16] == "14476be52e2cd680"


def test_evenly_drawn_units_are_alike_frequent_and_none_contradicts_another(
    motion: Motion,
) -> None:
    rng = np.random.default_rng(0)
    shapes = [draw_even(rng) for _ in range(3000)]
    counts = Counter(unit.rstrip("LR") for shape in shapes for unit in shape.units)
    assert set(counts) == set(UNITS)
    compatible = [name for name in UNITS if not any(name in pair for pair in AGAINST)]
    frequent = [counts[name] for name in compatible]
    assert max(frequent) < 1.35 * min(frequent)
    pairs = {frozenset(unit.rstrip("LR") for unit in shape.units) for shape in shapes}
    assert not any(pair <= names for pair in AGAINST for names in pairs)
    assert len(pairs) > 300
    for shape in shapes:
        for unit in shape.units:
            name, side = (unit[:-1], unit[-1]) if unit[-1] in "LR" else (unit, "")
            sides = {key[1] for key in shape.strengths if key[0] == name}
            assert sides == ({side} if side else {"L", "R"})
            assert not (side and name in BOTH)
    recipe = dataclasses.replace(ONLY_MICRO, families=Families(usual=0.0, local=1.0, even=1.0))
    families = {
        action.movement.family
        for actions in drawn(motion, recipe, 3, 20.0)
        for action in actions
        if action.movement.kind == "micro"
    }
    assert families == {"even"}
