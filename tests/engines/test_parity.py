"""How a rung is judged: errors against tolerances, decisions against margins."""

from __future__ import annotations

import numpy as np
import pytest

from engines.parity import ABSOLUTE, RELATIVE, judge
from engines.specs import SpotterSpec

SPEC = SpotterSpec(t_cpn=0.5, t_crn=0.5)
SCORES = np.array([[[0.2, 0.502, 0.9]]], np.float32)


def scores(change: float) -> dict[str, np.ndarray]:
    return {"scores": SCORES + np.float32(change)}


@pytest.mark.parametrize(
    ("rung", "change", "passed"),
    [
        ("A", ABSOLUTE["A"] / 2, True),
        ("A", ABSOLUTE["A"] * 2, False),
        ("B", RELATIVE["B"] * 0.9 / 4, True),
        ("B", RELATIVE["B"] * 0.9 * 2, False),
        ("D fp32", RELATIVE["D fp32"] * 0.9 * 2, False),
    ],
)
def test_an_error_is_held_against_the_tolerance(rung: str, change: float, passed: bool) -> None:
    result = judge(rung, "proposer", scores(change), {"out.scores": SCORES}, SPEC)
    assert result["passed"] is passed
    assert result["errors"]["scores"] == pytest.approx(change, rel=0.1)


def test_a_changed_decision_fails_within_the_tolerance() -> None:
    result = judge("B", "proposer", scores(-0.0025), {"out.scores": SCORES}, SPEC)
    assert result["errors"]["scores"] < result["limits"]["scores"]
    assert (result["passed"], result["decisions"], result["changed"]) == (False, 3, 1)


def test_a_decision_on_the_threshold_does_not_count() -> None:
    near = np.array([[[0.2, 0.5002, 0.9]]], np.float32)
    result = judge("B", "proposer", {"scores": near - np.float32(0.001)}, {"out.scores": near}, SPEC)
    assert (result["passed"], result["decisions"], result["changed"]) == (True, 2, 0)


def test_the_winning_class_is_a_decision() -> None:
    wanted = np.array([[0.4, 0.398, 0.202], [0.34, 0.33, 0.33]], np.float32)
    swapped = wanted[:, [1, 0, 2]]
    result = judge("B", "head", {"classes_3": swapped}, {"out.classes_3": wanted}, SPEC)
    assert (result["passed"], result["changed"]) == (False, 2)


def test_the_refiner_decides_on_the_me_class() -> None:
    wanted = np.array([[0.495, 0.505]], np.float32)
    result = judge("B", "refiner", {"classes": wanted[:, ::-1]}, {"out.classes": wanted}, SPEC)
    assert result["changed"] == 1


@pytest.mark.parametrize(
    "found",
    [{}, {"scores": SCORES[..., :2]}, {"scores": np.where(SCORES > 0.8, np.nan, SCORES)}],
    ids=["missing", "shape", "not a number"],
)
def test_what_cannot_be_compared_fails(found: dict[str, np.ndarray]) -> None:
    result = judge("B", "proposer", found, {"out.scores": SCORES}, SPEC)
    assert (result["passed"], result["errors"]) == (False, {"scores": None})
