"""Slow expressions: MEs lie on them, and they are slow."""

from __future__ import annotations

import numpy as np
import pytest

from microspot.engines.data.generator.behaviour import draw_actions, draw_micros
from microspot.engines.data.generator.movements.slow_expressions import (
    draw_settling,
    draw_slow,
    draw_under,
)
from microspot.engines.data.generator.synthetic import Motion
from microspot.engines.data.generator.timeline import Action, Recipe, Slow
from tests.engines.data.generator.rendering import ONLY_MICRO

EVERY = Recipe(slow=Slow(under=1.0, per_min=20.0, after_speech=1.0), speech_per_min=20.0)


def _fastest(action: Action, seconds: float) -> float:
    """Px in 0.1 s, at most."""
    levels = np.array([action.curve(t) for t in np.arange(-1, seconds + 1, 0.1)])
    return float(np.abs(np.diff(levels)).max()) * action.movement.peak_px


def test_every_me_lies_on_a_slow_expression_at_its_site_or_another(motion: Motion) -> None:
    same = other = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        micros = draw_micros(rng, 10.0, EVERY, motion.peak)
        slow = draw_under(rng, 10.0, EVERY, motion.peak, micros)
        assert len(slow) == len(micros)
        for micro, under in zip(micros, slow, strict=True):
            onset, offset = micro.movement.onset_ns / 1e9, micro.movement.offset_ns / 1e9
            assert under.movement.kind == "slow"
            assert abs(under.curve(offset) - under.curve(onset)) > 0.005  # it moves meanwhile
            assert 0.3 <= under.movement.peak_px <= 4.0
            assert motion.peak(under.strengths) == pytest.approx(under.movement.peak_px, abs=0.02)
            assert _fastest(under, 10.0) < 0.25 * under.movement.peak_px
            same += set(under.strengths) == set(micro.strengths)
            other += under.movement.region != micro.movement.region
    assert same > 5
    assert other > 5


def test_slow_ones_come_at_their_rate_and_stay_within_the_clip(motion: Motion) -> None:
    counts = []
    for seed in range(30):
        actions = draw_slow(np.random.default_rng(seed), 6.0, EVERY, motion.peak)
        counts.append(len(actions))
        for action in actions:
            assert 0 <= action.movement.onset_ns <= action.movement.offset_ns <= 6e9
    assert np.mean(counts) == pytest.approx(2, abs=0.6)


def test_lips_settle_after_speech(motion: Motion) -> None:
    rng = np.random.default_rng(0)
    actions = draw_actions(rng, 10.0, Recipe(speech_per_min=20.0), motion.peak)
    settling = draw_settling(rng, 10.0, EVERY, motion.peak, actions)
    assert settling
    ends = {a.movement.offset_ns / 1e9 for a in actions if a.movement.kind == "speech"}
    for action in settling:
        assert any(action.curve(end) == pytest.approx(1, abs=0.01) for end in ends)
        assert action.movement.region in ("lips", "mouth corner", "chin")


def test_nothing_is_slow_by_default(motion: Motion) -> None:
    actions = draw_actions(np.random.default_rng(0), 60.0, ONLY_MICRO, motion.peak)
    assert {action.movement.kind for action in actions} == {"micro"}
