"""A set made like a study of people whose movements are others lies closer to it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from microspot.engines.data.faces import FaceAsset
from microspot.engines.errors import DataError
from microspot.engines.evaluation.cells import Least
from microspot.engines.evaluation.realism.generated import RECIPE, generated
from microspot.engines.evaluation.realism.like import (
    KNOBS,
    WITHOUT_KNOB,
    Percentiles,
    recipe_like,
)
from microspot.engines.evaluation.realism.measures import Sample
from microspot.engines.evaluation.realism.report import realism
from microspot.engines.evaluation.realism.two_samples import FLOOR
from microspot.realtime.sources.synthetic_clip import neutral_face, sample_clip

HZ = 30
COUNT = 8
LARGE = replace(RECIPE, micro_px=(2.5, 5.0), micro_s=(0.24, 0.04, 0.13, 0.50))


@pytest.fixture(scope="module")
def face() -> FaceAsset:
    return neutral_face(sample_clip())


@pytest.fixture(scope="module")
def study(face: FaceAsset) -> dict[str, Any]:
    """Of people who move farther and faster than the recipe's faces."""
    real = generated([face], COUNT, HZ, LARGE, seed=3)
    usual = generated([face], COUNT, HZ)
    return {"realism": realism(real, lambda count: usual, Least(2, 2))}


def written(folder: Path, content: Any) -> Path:
    path = folder / "study.json"
    path.write_text(json.dumps(content))
    return path


def percentiles(samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
    told = realism(samples, lambda count: samples, Least(2, 2))["measures"]
    return {name: own["real"] for name, own in told.items()}


def percentile_distance(
    one: Mapping[str, Percentiles], other: Mapping[str, Percentiles], floor: float
) -> dict[str, float]:
    """How far the percentiles of each measure are apart: the mean of |log ratio|, 0 for the same.

    floor: added before the logarithm, as `two_samples` does.
    """
    return {
        name: sum(
            abs(math.log((one[name][place] + floor) / (other[name][place] + floor)))
            for place in one[name]
        )
        / len(one[name])
        for name in one
    }


def test_a_set_like_a_study_lies_closer_to_it(
    study: dict[str, Any], face: FaceAsset, tmp_path: Path
) -> None:
    measures = study["realism"]["measures"]
    real = {name: measures[name]["real"] for name in KNOBS}
    usual = {name: measures[name]["generated"] for name in KNOBS}
    likeness = recipe_like(written(tmp_path, study), RECIPE)
    made = percentiles(generated([face], COUNT, HZ, likeness.recipe))
    far = percentile_distance(real, usual, FLOOR)
    near = percentile_distance(real, {name: made[name] for name in KNOBS}, FLOOR)
    for name in KNOBS:
        assert near[name] < 0.7 * far[name], (name, near, far)
    assert all(name in likeness.said[-1] for name in WITHOUT_KNOB)
    assert "micro_px 0.35 to 2.40 ->" in likeness.said[0]


def test_a_study_of_the_same_movements_changes_nothing(
    study: dict[str, Any], tmp_path: Path
) -> None:
    measures = study["realism"]["measures"]
    same = {name: own | {"real": own["generated"]} for name, own in measures.items()}
    likeness = recipe_like(written(tmp_path, {"realism": {"measures": same}}), RECIPE)
    np.testing.assert_allclose(likeness.recipe.micro_px, RECIPE.micro_px, rtol=1e-6)
    assert likeness.recipe.micro_s[0] == pytest.approx(RECIPE.micro_s[0])
    assert likeness.recipe.apex[0] == pytest.approx(RECIPE.apex[0])


def test_what_is_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="its realism is withheld: fewer than"):
        recipe_like(written(tmp_path, {"realism": {"withheld": "fewer than 30"}}), RECIPE)
    with pytest.raises(DataError, match=r"is no study\.json"):
        recipe_like(written(tmp_path, {"rows": []}), RECIPE)
    with pytest.raises(DataError, match=r"is no study\.json"):
        recipe_like(tmp_path / "none.json", RECIPE)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
@pytest.mark.parametrize("measure", KNOBS)
def test_percentiles_that_nothing_can_be_made_like_are_refused(
    study: dict[str, Any], tmp_path: Path, measure: str, value: float
) -> None:
    measures = study["realism"]["measures"]
    for kind in ("real", "generated"):
        wrong = measures[measure] | {kind: measures[measure][kind] | {"p50": value}}
        path = written(tmp_path, {"realism": {"measures": measures | {measure: wrong}}})
        with pytest.raises(DataError, match=f"p50 of {kind} {measure} is {value}"):
            recipe_like(path, RECIPE)
