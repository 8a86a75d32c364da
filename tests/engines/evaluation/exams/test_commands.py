"""The examination commands: what they print, and one line where something is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from microspot.engines import manifest
from microspot.engines.commands.app import app
from microspot.engines.errors import DataError, UsageError
from microspot.engines.evaluation.exams import tuning, unit_tuning
from microspot.engines.evaluation.exams.commands import lines
from microspot.realtime.sources.synthetic_clip import sample_clip

SAMPLE = sample_clip()


def run(*args: str) -> str:
    result = CliRunner().invoke(app, ["exam", *args])
    if result.exception is not None:
        raise result.exception
    return result.stdout


def test_a_report_is_one_value_a_line() -> None:
    report = {
        "minutes": 2.0,
        "columns": [{"engines": "a", "recall_by_px": {"0.5-1": "1/2"}}, {"engines": "b"}],
    }
    text = lines(report)
    assert [line.split() for line in text] == [
        ["minutes", "2.0"],
        ["columns"],
        ["engines", "a"],
        ["recall_by_px"],
        ["0.5-1", "1/2"],
        ["columns"],
        ["engines", "b"],
    ]
    assert text[4].startswith("    ")


def test_missing_input_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no video"):
        run("alarms", str(tmp_path))
    with pytest.raises(DataError, match="portraits"):
        run("heldout", "--faces", str(tmp_path / "nowhere"), "--engines", "baseline")
    with pytest.raises(UsageError, match="axis"):
        run("sweep", "colour", "--faces", str(tmp_path), "--engines", "baseline")


def test_a_family_is_usual_or_stays_out(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="family 'theirs': choose usual or stays-out"):
        run("heldout", "--faces", str(tmp_path), "--family", "theirs", "--engines", "baseline")
    with pytest.raises(DataError, match="no video"):
        run("heldout", "--faces", str(tmp_path), "--family", "stays-out", "--engines", "baseline")
    with pytest.raises(UsageError, match="family 'theirs'"):
        run("semireal", str(SAMPLE), "--family", "theirs", "--engines", "baseline")


@pytest.mark.parametrize("kept", [True, False], ids=["within limits", "beyond"])
def test_thresholds_beyond_the_limits_are_not_written(
    kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[object] = []
    best = {"t_cpn": 0.9, "t_crn": 0.9, "within_limits": kept}
    monkeypatch.setattr(tuning, "calibrate_on_faces", lambda *_, **__: best)
    monkeypatch.setattr(manifest, "set_thresholds", lambda *given: written.append(given))
    command = ["calibrate", "--engines", "baseline", "--faces", str(tmp_path), "--write", "--json"]
    result = CliRunner().invoke(app, command)
    assert json.loads(result.stdout) == best
    if kept:
        assert written == [(Path("baseline"), best)]
    else:
        assert written == []
        assert isinstance(result.exception, DataError)
        assert "not written" in str(result.exception)


def test_scores_of_units_are_fitted_and_written_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[object] = []
    found = {"unit_floor": 0.4}
    monkeypatch.setattr(unit_tuning, "calibrate_units", lambda *_, **__: found)
    monkeypatch.setattr(manifest, "set_unit_scores", lambda *given: written.append(given))
    command = ["calibrate", "--engines", "baseline", "--faces", str(tmp_path), "--units", "--json"]
    assert json.loads(CliRunner().invoke(app, command).stdout) == found
    assert written == []
    CliRunner().invoke(app, [*command, "--write"])
    assert written == [(Path("baseline"), found)]
