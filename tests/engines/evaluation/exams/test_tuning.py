"""Thresholds for shipped weights: what they are set on, and what footage changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from microspot.engines.evaluation.calibration import Scored
from microspot.engines.evaluation.exams import tuning
from microspot.engines.evaluation.exams.rendering import EXAM_RECIPE, ClipPlan
from microspot.engines.evaluation.exams.tuning import TUNING_RECIPE, calibrate_on_faces
from microspot.engines.intervals import Candidate
from tests import fakes

TICKS = 1800  # a minute
WINDOW = (310, 2, 300.0, 311.0)


def scored(proposed: float, refined: float, micros: int) -> Scored:
    """A minute with one window of these scores, and an ME there or none."""
    scores = np.zeros((5, TICKS), np.float32)
    end, scale, start, stop = WINDOW
    scores[scale, end] = proposed
    window = Candidate(end, scale, start, stop, refined)
    return Scored(scores, [window], np.full(micros, start), np.full(micros, stop))


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[ClipPlan]:
    """What would be rendered; two minutes in which each ME is found with good scores instead."""
    asked: list[ClipPlan] = []

    def jobs(_: Path, plan: ClipPlan, __: int) -> list[Any]:
        asked.append(plan)
        return []

    monkeypatch.setattr(tuning, "render_jobs", jobs)
    monkeypatch.setattr(tuning, "_score_clips", lambda *_: [scored(0.96, 0.96, 1)] * 2)
    return asked


def test_footage_that_alarms_at_the_best_pair_changes_the_choice(
    plans: list[ClipPlan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines = fakes.engine_set()
    usual = calibrate_on_faces(engines, tmp_path)
    assert usual["recall"] == 1.0
    pair = (usual["t_cpn"], usual["t_crn"])
    assert max(pair) < 0.8
    alarm = scored(0.8, 0.8, 0)
    monkeypatch.setattr(tuning, "score_footage", lambda *_: [alarm])
    chosen = calibrate_on_faces(engines, tmp_path, footage=[])
    assert (chosen["t_cpn"], chosen["t_crn"]) != pair
    assert chosen["t_cpn"] > 0.8 or chosen["t_crn"] > 0.8
    assert chosen["recall"] == 1.0, "of the silent pairs the best"
    assert chosen["footage"] == {"minutes": 1.0, "alarms": 0}


def test_thresholds_are_set_with_one_me_a_minute(plans: list[ClipPlan], tmp_path: Path) -> None:
    calibrate_on_faces(fakes.engine_set(), tmp_path, clips=3)
    (plan,) = plans
    assert plan.recipe == TUNING_RECIPE
    assert plan.recipe.micro_per_min == 1.0 < EXAM_RECIPE.micro_per_min
    assert (plan.clips, plan.seconds, plan.split) == (3, 60.0, "validation")
