"""Scores of action units: fitted on hits of the weights' own spotter on validation faces."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from microspot.engines.data.generator.synthetic import Clip
from microspot.engines.data.generator.timeline import Movement
from microspot.engines.errors import DataError, UsageError
from microspot.engines.evaluation.exams import unit_tuning
from microspot.engines.evaluation.exams.recordings import Recording, examine
from microspot.engines.evaluation.exams.rendering import EXAM_RECIPE, ClipPlan
from microspot.engines.evaluation.exams.unit_tuning import calibrate_units
from microspot.engines.units.reading import unit_scores
from tests import fakes

TICK = 33_333_333


def clip(face: str, seed: int) -> Clip:
    """A clip in which every found interval is a true ME of AU4 on the left."""
    feats = fakes.features(np.random.default_rng(seed), 120, 0.6)
    times = np.arange(120) * TICK
    crops = np.stack([fakes.crop(feats[:, t], times[t], t).pixels for t in range(120)])
    found = examine(Recording(face, times, crops), fakes.engine_set()).found
    movements = []
    for start, stop in zip(np.round(found.start), np.round(found.stop) - 1, strict=True):
        onset, offset = int(start) * TICK, int(stop) * TICK
        apex = (onset + offset) // 2
        movements.append(Movement("micro", onset, apex, offset, ("AU4L",), peak_px=2.0))
    return Clip(face, "validation", times, crops, tuple(movements))


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[ClipPlan]:
    """What would be rendered; clips of fakes of two faces instead."""
    asked: list[ClipPlan] = []

    def jobs(_: Path, plan: ClipPlan, __: int) -> list[Any]:
        asked.append(plan)
        return []

    monkeypatch.setattr(unit_tuning, "render_jobs", jobs)
    clips = [clip(f"face {i % 2}", i) for i in range(14)]
    monkeypatch.setattr(unit_tuning, "rendered", lambda *_: iter(clips))
    return asked


def test_what_is_always_there_is_told_more_surely_and_what_never_is_less(
    plans: list[ClipPlan], tmp_path: Path
) -> None:
    """The fake tells AU4 80 % and AU7 60 % in every hit; AU4 moved in all of them."""
    found = calibrate_units(fakes.engine_set(moved=True), tmp_path, clips=14)
    (plan,) = plans
    assert (plan.clips, plan.seconds, plan.split) == (14, 60.0, "validation")
    assert plan.recipe == EXAM_RECIPE
    assert found["hits"] > 60
    assert (found["faces"], found["own"]) == (2, ["AU4"])
    assert found["moved"] == {"AU4": found["hits"], "AU7": 0, "AU12": 0}
    spec = dataclasses.replace(
        fakes.engine_set(moved=True).recognizer_spec,
        unit_temperatures=tuple(found["unit_temperatures"]),
        unit_biases=tuple(found["unit_biases"]),
    )
    sure, middling, _ = unit_scores(np.array([0.8, 0.6, 0.1]), spec)
    assert sure > 0.95
    assert middling < 0.6


def test_weights_that_tell_no_units_are_refused(plans: list[ClipPlan], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="fake: tells no action units"):
        calibrate_units(fakes.engine_set(), tmp_path)
    assert plans == []


def test_too_few_hits_are_refused(
    plans: list[ClipPlan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unit_tuning, "rendered", lambda *_: iter([clip("face", 0)]))
    with pytest.raises(DataError, match="give more --clips"):
        calibrate_units(fakes.engine_set(moved=True), tmp_path)
