"""Synthetic people who differ at rest, and how thresholds of their own are compared with one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from microspot.engines import baseline
from microspot.engines.alignment.aligner import MediaPipeAligner
from microspot.engines.data.faces import FaceAsset, split_of
from microspot.engines.data.generator.timeline import Recipe
from microspot.engines.errors import DataError
from microspot.engines.evaluation.exams.personal import examination
from microspot.engines.evaluation.exams.personal.examination import PeoplePlan, examine_personal
from microspot.engines.evaluation.exams.personal.people import (
    TREMOR_PX,
    PersonRenderer,
    draw_person,
    tremble,
)
from microspot.realtime.sources.synthetic_clip import NEUTRAL_FRAME, sample_clip, still

STILL = replace(
    Recipe(),
    macro_per_min=0.0,
    gaze_per_min=0.0,
    swallow_per_min=0.0,
    turn_per_min=0.0,
    sway_rad=(1e-6, 1e-6),
    sway_px=(1e-6, 1e-6),
    warp_px=(1e-6, 1e-6),
)


@pytest.fixture(scope="module")
def face() -> FaceAsset:
    image = still(sample_clip(), NEUTRAL_FRAME)
    with MediaPipeAligner() as aligner:
        (mesh,) = aligner.landmarks(image)
    return FaceAsset("webcam", "test", image, mesh)


@pytest.fixture(scope="module")
def faces(face: FaceAsset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    name = next(name for name in (f"{i}.png" for i in range(1000)) if split_of(name) == "test")
    cv2.imwrite(str(folder / name), face.image)
    np.savez(folder / "landmarks468.npz", L=face.landmarks[None, :468])
    return folder


def test_a_seed_is_a_person_and_another_seed_another_one() -> None:
    people = [draw_person(seed) for seed in range(40)]
    assert draw_person(3) == people[3]
    assert len(set(people)) == 40
    tremors = [px for person in people for _, px in person.tremor]
    assert max(tremors) > 5 * min(tremors)
    assert min(tremors) >= TREMOR_PX[0]
    assert max(tremors) <= TREMOR_PX[1]


def test_a_tremor_comes_and_goes_and_is_fast() -> None:
    curve = tremble(np.random.default_rng(0))
    at = np.arange(0, 60, 0.02)
    levels = np.array([curve(t) for t in at])
    assert levels.min() == 0
    strong = levels > 0.3
    assert 0 < strong.mean() < 1
    turns = np.diff(np.sign(np.diff(levels))) != 0
    assert turns.sum() / (levels > 0).sum() / 0.02 > 2  # changes of direction a second


def test_a_person_moves_and_rests_as_drawn(face: FaceAsset) -> None:
    person = draw_person(1)
    calm = replace(person, blink_per_min=0.0, speech_per_min=0.0)
    renderer = PersonRenderer(face, 112, calm.recipe(0.0, STILL), calm)
    actions = renderer.behaviour(np.random.default_rng(0), 10.0, renderer.recipe)
    resting = [action for action in actions if action.movement.kind == "rest"]
    assert resting == actions
    assert len(resting) == len(calm.tremor) + len(calm.rest)
    always = [action for action in resting if action.curve(3.0) == action.curve(7.0) == 1.0]
    sizes = sorted(renderer._motion.peak(action.strengths) for action in always)
    np.testing.assert_allclose(sizes, sorted(px for _, px in calm.rest), rtol=1e-4)


def test_one_threshold_for_all_is_compared_at_no_fewer_alarms() -> None:
    def counts(found: list[int], hits: list[int]) -> np.ndarray:
        return np.array([[h, 4, f, 3.0] for f, h in zip(found, hits, strict=True)], float)

    own = counts([3, 3], [2, 3])
    swept = [counts([9, 3], [3, 1]), counts([5, 2], [2, 1]), counts([4, 1], [2, 0])]
    compared = examination._compared(own, swept)
    assert compared["one_for_all"]["alarms_per_min"] == pytest.approx(7 / 6, abs=0.01)
    assert compared["gain"] == pytest.approx(2 / 8)
    assert compared["one_for_all"]["alarms_of_the_worst"] == pytest.approx(5 / 3, abs=0.01)


def test_the_examination_reports_both(faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "FIXED_SHIFTS", np.array([-2.0, 0.0, 2.0, 4.0]))
    plan = PeoplePlan(people=1, seconds=10.0)
    report = examine_personal(baseline.load(), faces, plan)
    assert report == examine_personal(baseline.load(), faces, plan)
    for rate in ("1 a minute", "5 a minute"):
        first, *others = report[rate]
        assert first["asked"] == "weights' own"
        assert [row["asked"] for row in others] == list(examination.ALARMS_PER_MIN)
        assert all({"recall", "gain", "one_for_all"} <= row.keys() for row in others)
        found = [row["alarms_per_min"] for row in others]
        assert found == sorted(found)


def test_a_folder_without_faces_of_the_split_is_refused(faces: Path) -> None:
    with pytest.raises(DataError, match="no usable validation face"):
        examine_personal(baseline.load(), faces, PeoplePlan(split="validation"))
