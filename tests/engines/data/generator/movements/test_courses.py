"""Courses in time: where they begin and end, and what truth makes of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from microspot.engines.data.generator.behaviour import draw_micro
from microspot.engines.data.generator.movements import courses
from microspot.engines.data.generator.movements.courses import KINDS, draw_course, through
from microspot.engines.data.generator.synthetic import Motion, strengths_at
from microspot.engines.data.generator.timeline import Courses, Movement, Recipe
from microspot.engines.data.generator.truth import DOUBTFUL, MACRO, MICRO, truth_of
from tests.engines.data.generator.rendering import ONLY_MICRO, drawn


def _only(kind: str) -> Courses:
    return Courses(**{name: float(name == kind) for name in KINDS})


def _truths(kind: str, count: int = 120) -> Counter[str]:
    rng = np.random.default_rng(0)
    found: Counter[str] = Counter()
    for _ in range(count):
        course = draw_course(rng, _only(kind), 1.0, 0.15, 0.35)
        times = np.arange(0.9, course.stop + 0.1, 0.005)
        levels = np.array([course.curve(float(t)) for t in times])
        assert levels.max() == pytest.approx(1, abs=0.02)
        assert levels.min() >= 0
        assert (levels[times < 1.0] == 0).all()
        assert levels[times > course.stop + 1e-9].max() == 0
        assert np.abs(np.diff(levels)).max() < 0.2  # no jump: the fastest takes 0.05 s
        found[truth_of(course.curve, 1.0, course.stop).kind] += 1
    return found


def test_a_curve_goes_through_its_points_and_rests_there() -> None:
    curve = through((0, 0), (1, 1), (2, 0.4), (4, 0))
    assert [curve(t) for t in (-0.1, 0, 1, 2, 4, 4.1)] == pytest.approx([0, 0, 1, 0.4, 0, 0])
    assert curve(0.5) == pytest.approx(0.5)
    assert curve(2.01) == pytest.approx(0.4, abs=0.001)


def test_returns_that_stop_halfway_make_mes_doubtful_ones_and_held_ones() -> None:
    found = _truths("returning")
    assert found[MICRO] > 40
    assert found[DOUBTFUL] > 8
    assert found[MACRO] > 10


@pytest.mark.parametrize("kind", ["plain", "held_apex", "brief", "trembling"])
def test_the_other_courses_are_mes(kind: str) -> None:
    assert _truths(kind)[MICRO] == 120


def test_two_phase_returns_end_with_their_second_step() -> None:
    rng = np.random.default_rng(1)
    seen = 0
    for _ in range(60):
        course = draw_course(rng, _only("two_phase"), 0.0, 0.15, 0.35)
        truth = truth_of(course.curve, 0.0, course.stop)
        if truth.kind == MICRO:
            seen += 1
            assert course.curve(truth.offset) < 0.5
    assert seen > 40


def test_brief_mes_last_four_to_six_frames() -> None:
    rng = np.random.default_rng(2)
    lengths = [draw_course(rng, _only("brief"), 0.0, 0.15, 0.35).stop * 30 for _ in range(50)]
    assert 4 <= min(lengths) < 4.5
    assert 5.5 < max(lengths) <= 6


def test_incomplete_returns_are_not_played_backward() -> None:
    rng = np.random.default_rng(3)
    forth = {kind: draw_course(rng, _only(kind), 0.0, 0.1, 0.3).reversible for kind in KINDS}
    assert {kind for kind, may in forth.items() if not may} == {"returning", "two_phase"}


def test_a_tremor_changes_no_truth(motion: Motion, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trough of a tremor is no end of an ME, and none of its peaks is the apex."""
    recipe = Recipe(courses=_only("trembling"))

    def moves() -> list[Movement]:
        rng = np.random.default_rng(5)
        return [draw_micro(rng, 1.0, recipe, motion.peak).movement for _ in range(60)]

    trembling = moves()
    monkeypatch.setattr(courses, "TREMOR_DEPTH", (0.0, 0.0))
    smooth = moves()
    assert trembling != smooth, "the courses themselves tremble"
    assert [replace(one, levels=()) for one in trembling] == [
        replace(one, levels=()) for one in smooth
    ]


def test_a_second_site_is_weaker_and_moves_along(motion: Motion) -> None:
    recipe = Recipe(courses=Courses(second_site=1.0), micro_px=(1.0, 1.0 + 1e-9))
    rng = np.random.default_rng(4)
    for _ in range(10):
        action = draw_micro(rng, 1.0, recipe, motion.peak)
        ((strengths, curve),) = action.also
        assert 0.19 < motion.peak(strengths) < 0.61
        apex = action.movement.apex_ns / 1e9
        assert max(curve(apex + d) for d in np.arange(0, 0.11, 0.005)) > 0.98
        assert set(strengths) <= set(strengths_at([action], apex + 0.02))
        assert action.movement.label5 is None


def test_mes_overlap_by_the_share_of_second_ones_only(motion: Motion) -> None:
    recipe = Recipe(**{**vars(ONLY_MICRO), "courses": Courses(second_me=1.0)})
    together = 0
    for actions in drawn(motion, recipe, 8, 20.0):
        spans = sorted((a.movement.onset_ns, a.movement.offset_ns) for a in actions)
        together += sum(after[0] < before[1] for before, after in pairwise(spans))
    assert together > 5
