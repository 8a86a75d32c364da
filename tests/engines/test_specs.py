"""Specs: what earlier manifests lack has a default that is what those weights are."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from microspot.engines.errors import EngineError
from microspot.engines.loading import load_engines
from microspot.engines.manifest import PACKAGED
from microspot.engines.specs import NUISANCES, RIDGE, RecognizerSpec, SpotterSpec

PLAIN = {
    "surround_ns": (),
    "parallax": False,
    "certainty": False,
    "ridge": RIDGE,
    "grid": "even",
    "nuisance": (),
}


def test_a_spec_without_the_added_keys_is_the_network_as_it_was() -> None:
    assert set(PLAIN) <= set(SpotterSpec.ADDED)
    everything = SpotterSpec().to_json()
    early = {key: value for key, value in everything.items() if key not in SpotterSpec.ADDED}
    found = SpotterSpec.from_json(json.loads(json.dumps(early)))
    assert found == SpotterSpec()
    assert {key: getattr(found, key) for key in PLAIN} == PLAIN
    del early["motion"]
    with pytest.raises(EngineError, match=r"disagree on \['motion'\]"):
        SpotterSpec.from_json(early)


def test_the_shipped_weights_load() -> None:
    manifest = json.loads((PACKAGED / "manifest.json").read_text())
    spec = SpotterSpec.from_json(manifest["spotter"])
    with load_engines() as engines:
        assert engines.spotter == spec


def test_added_keys_go_round() -> None:
    lags = SpotterSpec().lags_ns
    asked = SpotterSpec(surround_ns=lags[1:3], parallax=True, certainty=True, ridge=2e-5)
    asked = dataclasses.replace(asked, grid="fine", nuisance=NUISANCES)
    assert SpotterSpec.from_json(json.loads(json.dumps(asked.to_json()))) == asked


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"surround_ns": (5,)}, "surround_ns: expected different lags of lags_ns"),
        ({"surround_ns": (66_666_667, 66_666_667)}, "surround_ns: expected different lags"),
        ({"parallax": 1}, "parallax: expected true or false, got 1"),
        ({"ridge": 0}, "ridge: expected a number above 0"),
        ({"grid": "coarse"}, "grid: expected one of even, fine"),
        ({"nuisance": ("sneeze",)}, "nuisance: expected different names of blink, speech"),
        ({"nuisance": ["blink"]}, "nuisance: expected different names"),
        ({"certainty": True, "motion": "difference"}, "need lags and motion flow"),
        ({"parallax": True, "lags_ns": ()}, "need lags and motion flow"),
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(EngineError, match=message):
        SpotterSpec(**values)


MOVED = {"units": ("AU1",), "regions": ("brow",)}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"texture": "none"}, "texture: expected one of strength, direction, face"),
        ({"energy_floor": 0}, "energy_floor: expected a number above 0"),
        ({"units": ("AU1",)}, "units and regions: expected both or neither"),
        ({"units": ("AU1", "AU1"), "regions": ("brow",)}, "units: expected names that differ"),
        ({"regions": "brow"}, "regions: expected 0 to 32 names"),
        ({"unit_floor": 2}, "unit_floor: expected a number from 0 to 1"),
        ({"unit_biases": (0.0,)}, "unit_biases: expected 0 numbers"),
        (
            MOVED | {"unit_biases": (0.0,)},
            "unit_temperatures: expected 1 numbers from 0.05 to 20, as many as units",
        ),
        (MOVED | {"unit_temperatures": (0.0,), "unit_biases": (0.0,)}, "unit_temperatures: exp"),
        (MOVED | {"unit_temperatures": (1.0,), "unit_biases": (True,)}, "unit_biases: expected 1"),
        ({"labels": ()}, "labels: expected 1 to 32 names"),
    ],
)
def test_what_a_recognizer_cannot_be_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(EngineError, match=message):
        RecognizerSpec(**values)
