"""Manifests and settings of every wrong kind: one error that names key, expected and actual."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from microspot.engines.errors import EngineError
from microspot.engines.manifest import PACKAGED, Weights, set_thresholds, set_unit_scores
from microspot.engines.text.documents import MOST_BYTES, DocumentError, read_json, read_toml

ODD = [
    None,
    True,
    "x",
    -1,
    0.5,
    1e300,
    10**30,
    [],
    {},
    [[]],
    [None],
    ["x"],
    [-1],
    [0.5],
    [[1, "x"]],
    {"a": 1},
]
LONG = [1] * 33
FLOORS = ("energy_floor", "unit_floor")


def leaves() -> list[tuple[str, ...]]:
    """Every field of a spec, by its keys, and the parts above them."""
    manifest = json.loads((PACKAGED / "manifest.json").read_text())
    found: list[tuple[str, ...]] = [
        ("spotter",),
        ("recognizers",),
        ("recognizers", "3"),
        ("files",),
        ("format",),
    ]
    found += [("spotter", name) for name in manifest["spotter"]]
    found += [("recognizers", "3", name) for name in manifest["recognizers"]["3"]]
    return [*found, ("files", "encoder.onnx"), ("files", "encoder.onnx", "sha256")]


def changed(folder: Path, keys: tuple[str, ...], value: Any) -> Path:
    manifest = json.loads((PACKAGED / "manifest.json").read_text())
    place = manifest
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def fits(keys: tuple[str, ...], value: Any) -> bool:
    """Odd values that are right somewhere: no lags or recognizer, shares, names, true for 1."""
    if keys == ("format",):
        return value is True
    name = keys[-1]
    if value == []:  # lags_ns not: surroundings need lags
        return name in ("surround_ns", "temporal_kernels", "nuisance")
    if value == {}:
        return keys in (("recognizers",), ("files",))
    if value is True:
        return name in ("parallax", "certainty")
    if value == 0.5:
        return name in ("t_cpn", "t_crn", "t_nms", "ridge", "label_floor", *FLOORS)
    return name in ("labels", "regions") and value == ["x"]


@pytest.mark.parametrize("keys", leaves(), ids=".".join)
def test_a_wrong_field_is_told_by_its_name(tmp_path: Path, keys: tuple[str, ...]) -> None:
    for value in [*ODD, float("nan"), float("inf"), LONG]:
        if fits(keys, value):
            Weights.open(changed(tmp_path, keys, value))
            continue
        with pytest.raises(EngineError) as caught:
            Weights.open(changed(tmp_path, keys, value))
        said = str(caught.value)
        assert "manifest.json: " in said
        assert "\n" not in said
        assert len(said) < 400 + len(str(tmp_path))
        if isinstance(value, float) and not math.isfinite(value):
            assert "is no number of JSON" in said
        elif keys != ("spotter",) or not isinstance(value, dict):
            assert keys[-1] in said, (value, said)


@pytest.mark.parametrize(
    ("keys", "value", "said"),
    [
        (
            ("spotter", "grid_hz"),
            29.97,
            "spotter: grid_hz: expected a whole number from 1 to 1000, got 29.97",
        ),
        (
            ("spotter", "lags_ns"),
            ["a"],
            r"lags_ns: expected at most 32 whole numbers from 1 to 10000000000, got \('a'",
        ),
        (
            ("spotter", "temporal_kernels"),
            [7, 0],
            r"temporal_kernels: .*from 1 to 99, got \(7, 0\)",
        ),
        (
            ("spotter", "temporal_kernels"),
            [7, 6],
            r"temporal_kernels: expected odd numbers.* got \(7, 6\)",
        ),
        (("spotter", "windows"), [7, 9], "2 windows but 5 dilations"),
        (("spotter", "dilations"), [[1, 2, 3]] * 5, r"dilations: expected pairs of whole numbers"),
        (("spotter", "min_ticks"), 18, "min_ticks: expected at most max_ticks, 17, got 18"),
        (("spotter", "motion"), "flows", "motion: expected one of flow, difference, got 'flows'"),
        (("spotter", "t_crn"), 1.5, "t_crn: expected a number from 0 to 1, got 1.5"),
        (
            ("recognizers", "5", "labels"),
            ["a", "a"],
            r"recognizers.5: labels: expected names that differ",
        ),
        (
            ("recognizers", "3", "side"),
            96,
            r"recognizers.3.side: expected 112 as the spotter's, got 96",
        ),
        (
            ("files", "encoder.onnx"),
            {"sha256": "z"},
            "files.encoder.onnx: expected a sha256 .*, got 'z'",
        ),
    ],
)
def test_what_is_said_has_key_expected_and_actual(
    tmp_path: Path, keys: tuple[str, ...], value: Any, said: str
) -> None:
    with pytest.raises(EngineError, match=said) as caught:
        Weights.open(changed(tmp_path, keys, value))
    assert caught.value.exit_code == 4


def nested(open_: str, close: str) -> bytes:
    return f"a = {open_ * 100_000}{close * 100_000}".encode()


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "No such file"),
    "folder": (Path.mkdir, "folder"),
    "pipe": (os.mkfifo, "no file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "no file"),
    "loop": (lambda path: path.symlink_to(path), "symbolic links"),
    "binary": (lambda path: path.write_bytes(bytes(range(256))), "no UTF-8 text"),
    "null bytes": (lambda path: path.write_bytes(bytes(100)), "."),
    "UTF-16": (lambda path: path.write_text("a = 1", encoding="utf-16"), "no UTF-8 text"),
    "huge": (
        lambda path: path.write_bytes(b" " * (MOST_BYTES + 1)),
        f"expected at most {MOST_BYTES}",
    ),
    "deep": (lambda path: path.write_bytes(nested("[", "]")), "nested too deeply"),
    "digits": (lambda path: path.write_text("a = " + "9" * 5000), "digit"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_toml_that_cannot_be_read_is_one_error_with_its_reason(tmp_path: Path, kind: str) -> None:
    make, said = WRONG[kind]
    make(tmp_path / "my.toml")
    with pytest.raises(DocumentError, match=said) as caught:
        read_toml(tmp_path / "my.toml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", WRONG)
def test_json_that_cannot_be_read_is_one_error_with_its_reason(tmp_path: Path, kind: str) -> None:
    make, said = WRONG[kind]
    path = tmp_path / "my.json"
    make(path)
    if path.is_file() and path.stat().st_size < MOST_BYTES:
        path.write_bytes(path.read_bytes().removeprefix(b"a = "))
    with pytest.raises(DocumentError, match=said if kind != "digits" else "digit|object"):
        read_json(path)


def test_thresholds_are_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = changed(tmp_path, ("metrics",), None)
    set_thresholds(folder, {"t_cpn": 0.25, "t_crn": 0.5})
    assert Weights.open(folder).spotter.t_cpn == 0.25
    before = (folder / "manifest.json").read_bytes()

    def full(self: Path, *_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(Exception, match=r"cannot write .*manifest.json: No space left"):
        set_thresholds(folder, {"t_cpn": 0.75, "t_crn": 0.5})
    assert (folder / "manifest.json").read_bytes() == before
    assert len(list(folder.iterdir())) == 1


MOVED = ("units", "regions", "unit_temperatures", "unit_biases")


def test_scores_of_units_are_written_for_the_recognizers_that_tell_units(tmp_path: Path) -> None:
    both = json.loads((PACKAGED / "manifest.json").read_text())["recognizers"]
    for recognizer in both.values():
        recognizer |= {name: [] for name in MOVED}
    both["5"] |= {"units": ["AU1", "AU12"], "regions": ["brow"]}
    folder = changed(tmp_path, ("recognizers",), both)
    found = {"unit_temperatures": [2.0, 1.5], "unit_biases": [0.5, 0.0], "unit_floor": 0.35}
    set_unit_scores(folder, found | {"hits": 90})
    weights = Weights.open(folder)
    assert weights.recognizers["5"].unit_temperatures == (2.0, 1.5)
    assert weights.recognizers["5"].unit_biases == (0.5, 0.0)
    assert weights.recognizers["5"].unit_floor == 0.35
    assert weights.recognizers["3"].unit_temperatures == ()
    metrics = json.loads((folder / "manifest.json").read_text())["metrics"]
    assert metrics["unit_scores"] == {"hits": 90}, "what is told has one home"
    assert "spotter" in metrics
