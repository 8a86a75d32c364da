"""From the outputs of heads to action units and region."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from microspot.engines.specs import SIDES, RecognizerSpec
from microspot.engines.units.displacement import SIZE_PX, SIZES, crop_px, reference_px, size_of
from microspot.engines.units.reading import read_region, read_units, unit_scores

SPEC = RecognizerSpec(units=("AU1", "AU6", "AU12"), regions=("brow", "mouth corner"))
L, R, BOTH = np.eye(3, dtype=np.float32)
OUTPUTS = {
    "units": np.array([[0.1, 0.5, 0.9], [0.2, 0.3, 0.49]], np.float32),
    "unit_sides": np.array([[L, R, BOTH], [L, L, L]]),
    "unit_px": np.array([[9, 1, 2], [1, 1, 1]], np.float32),
    "regions": np.array([[0.3, 0.7], [0.6, 0.4]], np.float32),
    "side": np.array([BOTH, R]),
    "px": np.array([2, 0.5], np.float32),
}


def test_units_are_told_from_the_floor_on_the_most_probable_first() -> None:
    smile, cheek = read_units(OUTPUTS, SPEC)
    assert (smile.name, smile.side, smile.score) == ("AU12", "both", pytest.approx(0.9))
    assert (cheek.name, cheek.side, cheek.score) == ("AU6", "R", 0.5)
    assert smile.px == pytest.approx(reference_px(2, SPEC.side))
    assert smile.size == size_of(smile.px)
    assert read_units(OUTPUTS, SPEC, row=1) == ()
    lower = dataclasses.replace(SPEC, unit_floor=0.4)
    assert [unit.name for unit in read_units(OUTPUTS, lower, row=1)] == ["AU12"]
    assert smile.to_json() == {
        "au": "AU12",
        "side": "both",
        "px": round(smile.px, 2),
        "size": smile.size,
        "score": 0.9,
    }


def test_scores_are_told_by_temperature_and_bias() -> None:
    assert unit_scores(OUTPUTS["units"], SPEC) is OUTPUTS["units"], "as the network gives them"
    warm = dataclasses.replace(SPEC, unit_temperatures=(1, 1, 4), unit_biases=(4.0, 0.0, 0.0))
    brow, smile, cheek = read_units(OUTPUTS, warm)
    assert [one.name for one in (brow, smile, cheek)] == ["AU1", "AU12", "AU6"]
    odds = 0.1 / 0.9 * np.exp(4)
    assert brow.score == pytest.approx(odds / (1 + odds)), "told only by its bias"
    assert smile.score == pytest.approx(1 / (1 + (0.1 / 0.9) ** 0.25))
    assert cheek.score == pytest.approx(0.5)
    certain = unit_scores(np.array([0.0, 1.0, 1.0]), warm)
    assert np.isfinite(certain).all()
    assert 0.9 < certain[2] < 0.99


def test_the_region_is_the_most_probable_one() -> None:
    first, second = (read_region(OUTPUTS, SPEC, row) for row in (0, 1))
    assert (first.name, first.side) == ("mouth corner", "both")
    assert (second.name, second.side) == ("brow", "R")
    assert second.to_json() == {
        "name": "brow",
        "side": "R",
        "px": round(reference_px(0.5, SPEC.side), 2),
        "size": "a",
        "score": 0.6,
    }


def test_sizes_are_fifths_of_the_range_of_mes_by_ratio() -> None:
    assert [size_of(px) for px in (0.1, *SIZE_PX, 9)] == ["a", *"bcde", "e"]
    assert [size_of(px - 1e-6) for px in SIZE_PX] == list("abcd")
    fifths = np.geomspace(0.5, 2.5, len(SIZES) + 1)[1:-1]
    np.testing.assert_allclose(SIZE_PX, fifths, rtol=0.03)
    assert crop_px(reference_px(1.3, 112), 112) == pytest.approx(1.3)
    assert reference_px(1, 56) == pytest.approx(2 * reference_px(1, 112))


def test_the_spec_promises_the_heads_only_where_they_are() -> None:
    assert RecognizerSpec().movement_tensors() == ()
    names = [spec.name for spec in RecognizerSpec().tensors()["recognizer"][1]]
    assert names == ["classes", "intensity"]
    for promised in SPEC.movement_tensors():
        promised.check(OUTPUTS[promised.name].shape, OUTPUTS[promised.name].dtype.name)
    assert len(SIDES) == 3
