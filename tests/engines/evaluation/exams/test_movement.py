"""What moved in the hits: read as the events are, judged by what the generator knows."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from microspot.engines.alignment.face_template import template_px
from microspot.engines.data.generator.timeline import Movement
from microspot.engines.evaluation.exams.movement import MovementResult, movement_figures
from microspot.engines.evaluation.exams.recognition import recognize_hit
from microspot.engines.evaluation.exams.recordings import Recording, SpottingResult
from microspot.engines.evaluation.unit_metrics import balanced_accuracy, constant_f1, unit_f1
from microspot.engines.intervals import Intervals
from microspot.engines.runtime.engine import EngineSet, FunctionEngine
from microspot.engines.specs import RecognizerSpec
from microspot.engines.units.flow_region import FlowRegion
from microspot.engines.units.places import PLACES
from microspot.engines.units.truth import Moved
from tests import fakes

SPEC = RecognizerSpec(units=("AU4", "AU12"), regions=("brow", "mouth corner"))
TICK = 33_333_333
L, R, BOTH = np.eye(3, dtype=np.float32)


def said(units: list[float], side: np.ndarray, region: int, px: float) -> dict[str, np.ndarray]:
    return {
        "units": np.array(units, np.float32),
        "unit_sides": np.array([side, side]),
        "unit_px": np.array([px, px], np.float32),
        "regions": np.eye(2, dtype=np.float32)[region],
        "side": side,
        "px": np.array(px, np.float32),
    }


FROWN = Moved({"AU4": ("both", 1.0)}, "brow", "both", 1.0)
SMILE = Moved({"AU12": ("L", 2.0)}, "mouth corner", "L", 2.0)
BROWS = FlowRegion("brow", "both")
FREE = Moved(None, "chin", "R", 4.0)


def test_figures_are_of_the_hits_whose_truth_is_known() -> None:
    results = [
        MovementResult(said([0.9, 0.75], BOTH, 0, 1.0), FROWN, BROWS),
        MovementResult(said([0.1, 0.8], R, 1, 3.0), SMILE, BROWS),
        MovementResult(said([0.8, 0.8], R, 0, 8.0), FREE, FlowRegion("chin", "R")),
    ]
    found = movement_figures(results, SPEC)
    assert (found["hits"], found["known"]) == (3, 2)
    assert found["units"] == {
        "AU4": {"hits": 1, "f1": 1.0, "interval": None},
        "AU12": {"hits": 1, "f1": 0.6667, "interval": None},
    }
    assert set(found["intervals"].values()) == {None}, "of one cluster"
    assert found["f1"] == pytest.approx(0.8333, abs=1e-4)
    assert found["constant"] == pytest.approx(2 / 3, abs=1e-4)
    assert found["unit_side"] == 0.5
    assert found["side"] == pytest.approx(2 / 3, abs=1e-4)
    assert found["region"] == 1.0, "there is no head for the chin"
    assert found["px"] == {"spearman": 1.0, "median_error": 0.5}
    assert found["sure"] == {"count": 2, "right": 0.5}
    assert found["by_flow"]["region"] == pytest.approx(2 / 3, abs=1e-4), "also of the chin"
    assert found["by_flow"]["side"] == pytest.approx(2 / 3, abs=1e-4)
    without = movement_figures(results, RecognizerSpec())
    assert without == {"hits": 3, "by_flow": found["by_flow"]}
    nothing = movement_figures([], SPEC)
    assert (nothing["f1"], nothing["side"], nothing["px"]["spearman"]) == (None, None, None)


def test_figures_are_of_the_scores_that_are_told() -> None:
    results = [MovementResult(said([0.95, 0.1], BOTH, 0, 1.0), FROWN, BROWS)] * 3
    assert movement_figures(results, SPEC)["sure"] == {"count": 0, "right": None}
    warm = dataclasses.replace(SPEC, unit_temperatures=(2.0, 2.0), unit_biases=(0.0, 3.0))
    found = movement_figures(results, warm)
    assert found["sure"] == {"count": 6, "right": 0.5}
    assert found["units"]["AU12"] == {"hits": 0, "f1": None, "interval": None}
    assert movement_figures(results, dataclasses.replace(warm, unit_floor=0.9))["f1"] == 0.0


def test_intervals_are_those_of_other_faces() -> None:
    """Of two faces one is told rightly in each hit, the other wrongly."""
    right = MovementResult(said([0.9, 0.1], BOTH, 0, 1.0), FROWN, BROWS, "right")
    wrong = MovementResult(said([0.1, 0.75], R, 1, 3.0), FROWN, BROWS, "wrong")
    two = movement_figures([right, wrong] * 5, SPEC)
    assert (two["f1"], two["units"]["AU4"]["hits"]) == (0.6667, 10)
    wide = {"f1", "unit_side", "side", "region"}
    assert all(two["intervals"][name] == [0.0, 1.0] for name in wide)
    assert two["units"]["AU4"]["interval"] == [0.0, 1.0]
    assert two["intervals"]["px_median_error"] == [0.0, 2.0]
    assert two["intervals"]["sure"] == [0.0, 0.0], "known where the wrong one is drawn"
    faces = [dataclasses.replace(one, cluster=str(i)) for i, one in enumerate([right, wrong] * 20)]
    many = movement_figures(faces, SPEC)["intervals"]
    assert 0.3 < many["side"][0] < 0.5 < many["side"][1] < 0.7


def swaying(onset: int, apex: int, offset: int) -> np.ndarray:
    """(40, 3, S, S): a texture whose left mouth corner moves up and back, brightest at the apex."""
    rough = np.random.default_rng(3).normal(size=(112, 112)).astype(np.float32)
    texture = cv2.GaussianBlur(rough, (0, 0), 2)
    texture = np.clip(110 + 40 * texture / texture.std(), 0, 255).astype(np.uint8)
    y, x = np.mgrid[:112, :112].astype(np.float32)
    middle = template_px(np.array(PLACES["mouth corner"].middle), 112).astype(np.float32)
    patch = np.exp(-((x - middle[0]) ** 2 + (y - middle[1]) ** 2) / 12**2)
    found = []
    for level in np.interp(np.arange(40), [onset, apex, offset], [0, 1, 0]):
        picture = cv2.remap(texture, x, y + 2 * np.float32(level) * patch, cv2.INTER_LINEAR)
        picture[0, 0] = 10 + 200 * level  # the fake recogniser's intensity
        found.append(np.stack([picture] * 3))
    return np.stack(found)


def engine_set(moved: bool) -> EngineSet:
    """The fakes, whose recogniser takes crops that a flow can be seen in."""
    made = fakes.engine_set(moved)
    spec = dataclasses.replace(made.recognizer_spec, side=112)
    function = fakes.recognize_and_tell if moved else fakes.recognize
    recognizer = FunctionEngine(function, *spec.tensors()["recognizer"])
    return dataclasses.replace(made, recognizer=recognizer, recognizer_spec=spec)


def test_a_hit_is_judged_by_what_moved() -> None:
    movement = Movement(
        "micro", 10 * TICK, 14 * TICK, 20 * TICK, ("AU4L", "AU7L"), unit_px=(2.0, 1.0)
    )
    movement = dataclasses.replace(movement, peak_px=2.0, region="brow", side="L")
    times = np.arange(40) * TICK
    crops = swaying(10, 14, 20)
    result = SpottingResult(
        Recording("x", times, crops, (movement,)), Intervals.of([10.0], [21.0], [0.9]), ((0, 0),)
    )
    engines = engine_set(moved=True)
    hit = recognize_hit(result, 0, 0, engines)
    assert hit.movement is not None
    assert hit.movement.truth.units == {"AU4": ("L", 2.0), "AU7": ("L", 1.0)}
    assert hit.movement.cluster == "x"
    figures = movement_figures([hit.movement], engines.recognizer_spec)
    assert (figures["f1"], figures["side"], figures["region"]) == (1.0, 1.0, 1.0)
    assert figures["px"]["median_error"] == 0.0
    silent = recognize_hit(result, 0, 0, engine_set(moved=False)).movement
    assert silent.outputs == {}
    assert silent.by_flow.name == "mouth corner"
    assert silent.by_flow.side == "L"


def test_unit_metrics() -> None:
    truth = np.array([[1, 0, 0], [1, 1, 0]], bool)
    found = np.array([[1, 1, 1], [0, 1, 0]], bool)
    np.testing.assert_allclose(unit_f1(found, truth), [2 / 3, 2 / 3, np.nan])
    assert constant_f1(truth) == pytest.approx((1 + 2 / 3) / 2)
    assert balanced_accuracy(np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1])) == pytest.approx(5 / 6)
    assert np.isnan(balanced_accuracy(np.zeros(0, int), np.zeros(0, int)))
