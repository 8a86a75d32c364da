"""People with a habit, and how alarms with and without a memory are compared."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from microspot.engines.data.generator.timeline import Recipe
from microspot.engines.evaluation.exams.memory import examination
from microspot.engines.evaluation.exams.memory.examination import compare
from microspot.engines.evaluation.exams.memory.habits import (
    AGAIN,
    HABIT_S,
    KIND,
    HabitRenderer,
    draw_habit,
)
from microspot.engines.evaluation.exams.memory.seen import HITS, Seen, see
from microspot.engines.evaluation.exams.personal.people import PersonRenderer
from microspot.engines.evaluation.exams.recordings import Recording
from microspot.engines.intervals import Candidate
from microspot.engines.specs import SpotterSpec
from tests import fakes

SPEC = SpotterSpec(feature=3)
TICKS = 200


def seen(micros: list[int], habits: list[int], wrong: int | None = None) -> Seen:
    """A segment in which every ME and habit, 10 ticks from each of these on, is spotted.

    Features: 0 at MEs, 1 at habits, 2 at what else was spotted (`wrong`).
    """
    features = np.zeros((3, TICKS), np.float32)
    windows = []
    others = [] if wrong is None else [wrong]
    for row, starts in enumerate((micros, habits, others)):
        for start in starts:
            features[row, start : start + 10] = 1
            windows.append(Candidate(start + 9, 1, float(start), start + 10.0, 0.9))
    windows.sort(key=lambda window: window.end)

    def spans(starts: list[int]) -> tuple[np.ndarray, np.ndarray]:
        return np.array(starts, float), np.array(starts, float) + 10

    nothing = np.empty(0), np.empty(0)
    above = np.array([0.05 if w.end == (wrong or 0) + 9 else 1.0 for w in windows])
    return Seen(features, windows, above, spans(micros), nothing, spans(habits))


def test_a_memory_leaves_out_the_habit_and_nothing_else() -> None:
    first = [seen([20, 60], [100, 140])]
    second = [seen([30, 70], [110], wrong=160)]
    row = compare([(first, second)] * 3, SPEC)[0]
    assert (row["without"]["recall"], row["without"]["false_alarms"]) == (1.0, 12)
    assert row["without"]["of_habits"] == 9
    kept = row["with_memory"]
    assert (kept["recall"], kept["false_alarms"], kept["of_habits"]) == (1.0, 3, 0)
    # a threshold a little higher loses the faint alarm, and no ME
    assert (row["equal_recall"]["recall"], row["equal_recall"]["false_alarms"]) == (1.0, 9)
    assert row["cut"] == round((9 - 3) / 9, 3)
    assert row["cut_interval"] == [row["cut"]] * 2  # all people are alike
    assert row["with_memory"]["false_alarms_per_min"] == round(3 / (6 * TICKS / 30 / 60), 2)


def test_the_memory_is_never_of_the_recording_that_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recordings = ([seen([20], [100])], [seen([60], [140])])
    reviewed = []
    asked = []
    review = examination._reviewed
    count = examination.counts_of

    def reviewing(seeing, spec, shift):
        reviewed.append(seeing)
        return review(seeing, spec, shift)

    def counting(one, spec, shift, memory):
        if memory is not None:
            asked.append(one)
        return count(one, spec, shift, memory)

    monkeypatch.setattr(examination, "_reviewed", reviewing)
    monkeypatch.setattr(examination, "counts_of", counting)
    counts = examination._counted([recordings], SPEC, 0.0, use_memory=True)
    assert counts[0, HITS] == 2
    assert [id(one) for one in asked] == [id(both[0]) for both in recordings[::-1]]
    assert [id(one) for one in reviewed] == [id(both) for both in recordings]


def test_what_scores_less_is_seen_from_a_lower_threshold_on() -> None:
    engines = fakes.engine_set()
    crops = np.zeros((90, 3, fakes.SIDE, fakes.SIDE), np.uint8)
    crops[:, 0, 0, : fakes.L] = 16 * fakes.features(np.random.default_rng(3), 90).T
    times = np.arange(90, dtype=np.int64) * 10**9 // 30
    recording = Recording("face", times, crops)
    few, many = (see(recording, engines, shift) for shift in (0.0, -2.0))
    assert 0 < len(few.windows) < len(many.windows)
    assert -2 <= many.above.min() < 0 <= few.above.min()


def test_a_habit_is_of_the_person_and_apart_from_the_mes(monkeypatch: pytest.MonkeyPatch) -> None:
    person, habit = draw_habit(5)
    assert draw_habit(5) == (person, habit)
    assert len({draw_habit(seed)[1] for seed in range(20)}) == 20
    monkeypatch.setattr(PersonRenderer, "behaviour", lambda *_: [])
    renderer = object.__new__(HabitRenderer)
    renderer.habit = habit
    renderer._motion = type("Motion", (), {"peak": staticmethod(lambda strengths: 2.0)})()
    actions = renderer.behaviour(np.random.default_rng(0), 120.0, Recipe())
    assert len(actions) > 4
    for action in actions:
        move = action.movement
        assert move.kind == KIND
        assert HABIT_S[0] <= (move.offset_ns - move.onset_ns) / 1e9 <= HABIT_S[1] + 1e-6
        assert AGAIN[0] * habit.px <= move.peak_px <= AGAIN[1] * habit.px
        assert action.strengths == {habit.unit: move.peak_px / 2}
        assert action.curve(move.apex_ns / 1e9) == pytest.approx(1, abs=1e-3)
    for one, other in pairwise(actions):
        assert other.movement.onset_ns > one.movement.offset_ns
