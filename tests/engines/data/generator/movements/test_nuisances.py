"""What a face does beside expressions: heads that nod and shift, tongues, tremors, grimaces."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from microspot.engines.data.faces import FaceAsset
from microspot.engines.data.generator.behaviour import draw_actions
from microspot.engines.data.generator.movements.long_expressions import draw_grimaces
from microspot.engines.data.generator.movements.nuisances import (
    draw_blink,
    draw_nod,
    draw_shift,
    draw_tongue,
    draw_tremor,
)
from microspot.engines.data.generator.synthetic import Motion, Renderer, _turned
from microspot.engines.data.generator.timeline import Action, Recipe
from tests.engines.data.generator.rendering import ONLY_MICRO, STILL_CAMERA


def _levels(action: Action, step: float = 0.01) -> np.ndarray:
    move = action.movement
    times = np.arange(move.onset_ns / 1e9, move.offset_ns / 1e9, step)
    return np.array([action.curve(float(t)) for t in times])


def test_nods_go_down_and_up_again_and_shifts_stay() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        nod = draw_nod(rng, 1.0)
        levels = _levels(nod)
        assert levels.max() > 0.9
        assert levels[[0, -1]].max() < 0.1
        shift = draw_shift(rng, 1.0)
        move = shift.movement
        assert move.kind == nod.movement.kind == "turn"
        assert (move.apex_ns - move.onset_ns) / 1e9 <= 0.3
        assert shift.curve(move.apex_ns / 1e9 + 0.05) == pytest.approx(1, abs=0.01)


def test_the_tongue_pushes_skin_apart(motion: Motion) -> None:
    rng = np.random.default_rng(1)
    for _ in range(8):
        action = draw_tongue(rng, 1.0)
        flow = motion.total(action.strengths)
        size = np.hypot(*np.moveaxis(flow, -1, 0))
        spread = np.gradient(flow[..., 0], axis=1) + np.gradient(flow[..., 1], axis=0)
        middle = (size[..., None] * np.indices(size.shape).transpose(1, 2, 0)).sum((0, 1))
        y, x = (middle / size.sum()).round().astype(int)
        assert spread[y, x] > 0.01
        assert 0.05 < size.max() / motion.geometry.px_per_cm < 1.0


def test_a_tremor_goes_to_and_fro_without_end(motion: Motion) -> None:
    action = draw_tremor(np.random.default_rng(2), 1.0, Recipe())
    levels = _levels(action)
    turns = np.count_nonzero(np.diff(np.sign(np.diff(levels))))
    seconds = (action.movement.offset_ns - action.movement.onset_ns) / 1e9
    assert 2 * 4 * seconds - 2 <= turns <= 2 * 8 * seconds + 2
    assert motion.peak(action.strengths) < 2


def test_grimaces_are_strong_move_several_sites_and_keep_clear_of_mes(motion: Motion) -> None:
    recipe = dataclasses.replace(ONLY_MICRO, micro_per_min=15, grimace_per_min=20)
    seen = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        actions = draw_actions(rng, 20.0, recipe, motion.peak)
        micros = [a.movement for a in actions if a.movement.kind == "micro"]
        for action in actions:
            move = action.movement
            if move.family == "grimace":
                seen += 1
                assert len(action.strengths) >= 2
                assert 2 <= move.peak_px <= 9
                assert all(
                    move.offset_ns <= m.onset_ns or move.onset_ns >= m.offset_ns for m in micros
                )
    assert seen > 10
    assert draw_grimaces(np.random.default_rng(0), 9.0, Recipe(), motion.peak, []) == []


def test_expressions_that_overlap_mes_change_little_meanwhile(motion: Motion) -> None:
    recipe = dataclasses.replace(ONLY_MICRO, macro_per_min=30, overlapping=1.0)
    overlaps = 0
    for seed in range(10):
        actions = draw_actions(np.random.default_rng(seed), 20.0, recipe, motion.peak)
        micros = [a.movement for a in actions if a.movement.kind == "micro"]
        for macro in (a for a in actions if a.movement.kind == "macro"):
            for move in micros:
                first, last = move.onset_ns / 1e9, move.offset_ns / 1e9
                levels = [macro.curve(t) for t in np.linspace(first, last, 9)]
                overlaps += max(levels) > 0
                change = (max(levels) - min(levels)) * macro.movement.peak_px
                assert change <= move.peak_px + 1e-6
    assert overlaps > 5


def test_blinks_are_not_played_backward(face: FaceAsset) -> None:
    assert not draw_blink(np.random.default_rng(0), 1.0).reversible
    still = dataclasses.replace(STILL_CAMERA, micro_per_min=0)
    blinking = dataclasses.replace(still, blink_per_min=60)
    assert Renderer(face, recipe=still).clip(0, 1.5).reversible
    clip = Renderer(face, recipe=blinking).clip(0, 3.0)
    assert "blink" in {move.kind for move in clip.movements}
    assert not clip.reversible


def test_turns_shift_the_head_in_the_picture() -> None:
    nod = draw_nod(np.random.default_rng(0), 0.0)
    ((unit, _), strength) = next(iter(nod.strengths.items()))
    apex = nod.movement.apex_ns / 1e9
    turned = _turned([nod], np.array([0.0, apex]))
    assert np.abs(turned[0]).max() == 0
    assert turned[1, ("YAW", "PITCH").index(unit)] == pytest.approx(strength)
