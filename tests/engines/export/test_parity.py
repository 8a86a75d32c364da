"""How a rung is judged: errors against tolerances, decisions against margins."""

from __future__ import annotations

import numpy as np
import pytest

from microspot.engines.export.golden import golden as golden_of
from microspot.engines.export.parity import (
    ABSOLUTE,
    RELATIVE,
    judge,
    outputs_of,
    outputs_one_by_one,
)
from microspot.engines.manifest import PACKAGED, Weights
from microspot.engines.runtime.engine import FunctionEngine
from microspot.engines.runtime.torch_engine import SPOTTER_FILE, spotter_modules
from microspot.engines.specs import SpotterSpec
from tests import fakes

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
    result = judge(
        "B", "proposer", {"scores": near - np.float32(0.001)}, {"out.scores": near}, SPEC
    )
    assert (result["passed"], result["decisions"], result["changed"]) == (True, 2, 0)


def test_the_winning_class_is_a_decision() -> None:
    wanted = np.array([[0.4, 0.398, 0.202], [0.34, 0.33, 0.33]], np.float32)
    swapped = wanted[:, [1, 0, 2]]
    result = judge("B", "head", {"classes_3": swapped}, {"out.classes_3": wanted}, SPEC)
    assert (result["passed"], result["changed"]) == (False, 2)


def test_golden_arrays_of_the_shipped_weights_hold_decisions_of_both_kinds() -> None:
    weights = Weights.open(PACKAGED)
    spotter = weights.spotter
    arrays = golden_of(
        spotter_modules(spotter, weights.read(SPOTTER_FILE)), spotter.tensors(), spotter
    )
    refined = arrays["refiner"]
    micro = refined["out.classes"][:, 1]
    assert 0 < (arrays["proposer"]["out.scores"] >= spotter.t_cpn).mean() < 1
    assert 0 < (micro >= spotter.t_crn).mean() < 1
    silent = {"classes": np.broadcast_to(refined["out.classes"][micro.argmin()], (len(micro), 2))}
    result = judge(
        "D fp16", "refiner", silent | {"offsets": refined["out.offsets"]}, refined, spotter
    )
    assert (result["passed"], result["changed"]) == (False, (micro >= spotter.t_crn).sum())


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


# ---- golden inputs one at a time


@pytest.fixture
def golden() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    features = np.stack([fakes.features(random, 12, 1.5) for _ in range(2)])
    state = random.random((2, fakes.spec().state), np.float32)
    return {"in.features": features, "in.valid": np.ones((2, 12), np.float32), "in.state": state}


def test_one_at_a_time_says_the_same(golden: dict[str, np.ndarray]) -> None:
    engines = fakes.engine_set()
    named = fakes.engine_set(nuisance=("blink", "turn"))
    rows = {"in.clips": np.random.default_rng(1).random((5, fakes.L, 16), np.float32)}
    for engine, inputs in (
        (engines.proposer, golden),
        (named.proposer, golden),
        (engines.refiner, rows),
    ):
        whole = outputs_of(engine, inputs)
        apart = outputs_one_by_one(engine, inputs)
        assert whole.keys() == apart.keys()
        for name in whole:
            np.testing.assert_allclose(apart[name], whole[name], atol=1e-6)


@pytest.mark.parametrize("lost", ["a row", "the state"])
def test_one_at_a_time_sees_what_the_whole_does_not(
    golden: dict[str, np.ndarray], lost: str
) -> None:
    def propose(
        features: np.ndarray, valid: np.ndarray, state: np.ndarray
    ) -> dict[str, np.ndarray]:
        found = fakes.propose(features, valid, state)
        if features.shape[2] == 1:
            found["scores" if lost == "a row" else "state_out"][:] = 0
        return found

    engine = FunctionEngine(propose, *fakes.spec().tensors()["proposer"])
    wanted = outputs_of(fakes.engine_set().proposer, golden)
    judged = golden | {f"out.{name}": value for name, value in wanted.items()}
    for ask, passed in ((outputs_of, True), (outputs_one_by_one, False)):
        assert (
            judge("D fp16", "proposer", ask(engine, judged), judged, fakes.spec())["passed"]
            is passed
        )
