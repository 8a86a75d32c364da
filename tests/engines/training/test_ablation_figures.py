"""What an ablation's spotter is judged by: thresholds at a limit of alarms, families, held ones."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from microspot.engines.errors import DataError
from microspot.engines.evaluation.calibration import Scored
from microspot.engines.intervals import Candidate
from microspot.engines.specs import SpotterSpec
from microspot.engines.training.ablation_figures import (
    Counts,
    ScoredClip,
    cpn_trials,
    figures,
    halves_of,
    most_recall,
    two_step_trials,
    unrefined_windows,
)

SPEC = SpotterSpec()
TICKS = 30 * 60  # a minute


def clip(
    windows: list[tuple[int, float]],
    truths: list[tuple[int, str]],
    held: list[tuple[int, int]],
    face: str = "a",
) -> ScoredClip:
    """A minute with windows of 9 ticks (start, score) and MEs of 9 ticks (start, family)."""
    scale = SPEC.windows.index(9)
    scores = np.zeros((SPEC.scales, TICKS), np.float32)
    found = []
    for start, score in windows:
        scores[scale, start + 8] = score
        found.append(Candidate(start + 8, scale, float(start), start + 9.0, score))
    starts = np.array([start for start, _ in truths], np.float64)
    scored = Scored(scores, found, starts, starts + 9)
    families = tuple(family for _, family in truths)
    return ScoredClip(scored, families, np.array(held, np.float64).reshape(-1, 2), face)


def twice(*clips: ScoredClip) -> list[ScoredClip]:
    """The clips of one face, and the same of another: thresholds chosen on one fit the other."""
    return [*clips, *(dataclasses.replace(clip, face="b") for clip in clips)]


def test_recall_is_that_of_the_thresholds_that_keep_the_limit() -> None:
    """At 0.97 one of two MEs is found and nothing else; below it an alarm comes with the second."""
    one = clip(
        [(100, 0.975), (300, 0.8), (600, 0.85)],
        [(100, "usual"), (300, "kept")],
        held=[(590, 620)],
    )
    found = figures(twice(one), two_step_trials(SPEC))
    assert found["recall_at_0.1"] == found["recall_at_0.3"] == 0.5
    assert (found["recall_kept"], found["truths_kept"]) == (0.0, 2)
    assert found["held_alarms"] == found["alarms_at_0.3"] == 0.0
    assert (found["f1"], found["truths"]) == (0.8, 4)


def test_thresholds_are_chosen_on_one_half_of_the_faces_and_counted_on_the_other() -> None:
    """Face a wants a low one and b a high one; both at once would be 0.8 at a low one."""
    low = clip([(100, 0.8)], [(100, "usual")], held=[], face="a")
    high = clip([(100, 0.975), (600, 0.85)], [(100, "usual")], held=[], face="b")
    found = figures([low, high], two_step_trials(SPEC))
    assert (found["f1"], found["precision"], found["recall"]) == (0.5, 0.5, 0.5)
    assert found["recall_at_0.3"] == 0.5, "what a lets pass brings b an alarm"
    assert found["alarms_at_0.3"] == 0.5
    again = figures([high, low], two_step_trials(SPEC))
    assert again == found


def test_every_second_face_is_in_the_second_half() -> None:
    assert halves_of(["c", "a", "b", "a", "d"]) == ([0, 1, 3], [2, 4])
    with pytest.raises(DataError, match="of two faces are needed"):
        halves_of(["a", "a"])


def test_alarms_on_held_expressions_are_told_apart() -> None:
    """Two alarms in ten minutes: the limit of 0.3 a minute lets both in, one lies on a held one."""
    noisy = clip(
        [(100, 0.9), (600, 0.9), (900, 0.9)], [(100, "kept")], held=[(595, 620), (898, 899)]
    )
    quiet = [clip([], [], held=[(0, 9)]) for _ in range(9)]
    found = figures(twice(noisy, *quiet), two_step_trials(SPEC))
    assert found["recall_at_0.3"] == found["recall_kept"] == 1.0
    assert found["recall_at_0.1"] == 0.0, "no threshold keeps a tenth"
    assert found["held_alarms"] == pytest.approx(0.1)


def test_where_no_threshold_keeps_the_limit_the_quietest_is_taken() -> None:
    counted = [
        Counts(hits=9, spotted=11, truths=10, ticks=TICKS),
        Counts(hits=2, spotted=3, truths=10, ticks=TICKS),
        Counts(hits=5, spotted=6, truths=10, ticks=TICKS),
    ]
    assert most_recall(counted, 0.3, 30) == 2
    assert most_recall(counted, 2.0, 30) == 0


def test_cpn_alone_keeps_its_windows_as_they_are() -> None:
    scores = np.full((2, 12), np.nan, np.float32)
    scores[0, 6] = 0.9
    scores[1, 11] = 0.4
    scores[0, 11] = 0.2
    spec = SpotterSpec(windows=(7, 9), dilations=((1, 2), (2, 2)))
    windows = unrefined_windows(scores, spec, 0.3)
    assert [(w.end, w.scale, w.start, w.stop) for w in windows] == [(6, 0, 0, 7), (11, 1, 3, 12)]
    assert [w.score for w in windows] == pytest.approx([0.9, 0.4])
    assert {trial.t_cpn == trial.t_crn for trial in cpn_trials(spec)} == {True}
