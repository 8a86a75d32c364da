"""Scores of action units that are as often right as they say."""

from __future__ import annotations

import numpy as np
import pytest

from microspot.engines.errors import DataError
from microspot.engines.evaluation.unit_calibration import (
    AS_IT_IS,
    OWN,
    best_floor,
    fit,
    fit_units,
    told,
    unit_calibration,
)
from microspot.engines.evaluation.unit_metrics import SURE, sure

UNITS = ("AU1", "AU4", "AU12")


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


def too_sure(samples: int, temperature: float, bias: float, units: int = 1) -> tuple:
    """Probabilities and truth (S, U) of a network whose logits are `temperature` times too large.

    It tells its units too often where the bias is negative.
    """
    rng = np.random.default_rng(11)
    logits = rng.normal(0, 2, (samples, units)) * temperature
    truth = rng.random((samples, units)) < sigmoid(logits / temperature + bias)
    return sigmoid(logits), truth


def test_a_fit_finds_the_temperature_and_the_bias() -> None:
    probabilities, truth = too_sure(20_000, 3.0, -1.0)
    found = fit(probabilities[:, 0], truth[:, 0])
    assert found.temperature == pytest.approx(3.0, rel=0.05)
    assert found.bias == pytest.approx(-1.0, abs=0.05)


def test_scores_that_say_the_opposite_stay_as_they_are() -> None:
    probabilities, truth = too_sure(500, 1.0, 0.0)
    assert fit(1 - probabilities[:, 0], truth[:, 0]) == AS_IT_IS


def test_scores_that_are_never_wrong_get_no_endless_fit() -> None:
    truth = np.arange(200) % 2 > 0
    found = fit(np.where(truth, 1.0, 0.0), truth)
    assert np.isfinite(found).all()
    assert 0.05 <= found.temperature <= 1


def test_a_unit_that_moved_often_has_a_fit_of_its_own() -> None:
    probabilities, truth = too_sure(4000, 3.0, 0.0, len(UNITS))
    mild, mild_truth = too_sure(4000, 1.0, 0.0)
    probabilities[:, 1] = mild[:, 0]
    truth[:, 1] = mild_truth[:, 0]
    moved = np.flatnonzero(truth[:, 2])
    truth[moved[OWN:], 2] = False
    often, own, enough = fit_units(probabilities, truth)
    assert often.temperature == pytest.approx(3.0, rel=0.15)
    assert own.temperature == pytest.approx(1.0, rel=0.15)
    assert enough == fit(probabilities[:, 2], truth[:, 2])
    truth[moved[OWN - 1], 2] = False
    together = fit(probabilities.ravel(), truth.ravel())
    assert fit_units(probabilities, truth)[2] == together != enough


def test_the_best_floor_is_that_of_the_mean_f1_and_of_equal_ones_the_highest() -> None:
    truth = np.array([[1, 0], [1, 1], [0, 0], [0, 1]], bool)
    scores = np.where(truth, 0.42, 0.21)
    assert best_floor(scores, truth) == 0.4
    assert best_floor(np.where(truth, 0.9, 0.85), truth) == 0.9


def test_sure_scores_are_as_often_right_as_they_say_on_faces_that_were_not_fitted() -> None:
    probabilities, truth = too_sure(900, 3.0, -0.5, len(UNITS))
    faces = [f"face {i % 30}" for i in range(900)]
    found = unit_calibration(probabilities, truth, faces, UNITS)
    assert found["before"]["right"] < SURE[0] - 0.1
    assert SURE[0] < found["after"]["right"] < SURE[1]
    assert found["after"]["count"] > 50
    np.testing.assert_allclose(found["unit_temperatures"], 3.0, rtol=0.2)
    assert (found["hits"], found["faces"], found["own"]) == (900, 30, list(UNITS))
    assert found["moved"]["AU4"] == truth[:, 1].sum()
    assert found["constant"] < found["f1"]
    assert 0.2 <= found["unit_floor"] <= 0.6
    scores = told(probabilities, fit_units(probabilities, truth))
    assert sure(scores, truth)[1] == pytest.approx(found["after"]["right"], abs=0.05)


def test_each_half_of_the_faces_is_told_by_the_fits_of_the_other() -> None:
    """On one face the unit moves more often than its scores say, on the other less often."""
    often, often_moved = too_sure(400, 1.0, 2.0)
    seldom, seldom_moved = too_sure(400, 1.0, -2.0)
    probabilities = np.concatenate([often, seldom])
    truth = np.concatenate([often_moved, seldom_moved])
    found = unit_calibration(probabilities, truth, ["a"] * 400 + ["b"] * 400, ("AU1",))
    assert found["after"]["right"] < 0.5, "what is true of one face is not of the other"


@pytest.mark.parametrize(
    ("samples", "faces", "said"),
    [(OWN - 1, 2, "59 hits on 2 faces"), (OWN, 1, "60 hits on 1 faces")],
)
def test_too_few_hits_are_refused(samples: int, faces: int, said: str) -> None:
    probabilities, truth = too_sure(samples, 1.0, 0.0)
    names = [f"{i % faces}" for i in range(samples)]
    with pytest.raises(DataError, match=f"{said} whose units are known: expected at least 60 on 2"):
        unit_calibration(probabilities, truth, names, ("AU1",))
