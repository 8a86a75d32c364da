"""The whole table: every examination by its name, small ones first, and what is kept of each."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from microspot.engines.baseline import load
from microspot.engines.errors import DataError, UsageError
from microspot.engines.evaluation.exams import whole_table
from microspot.engines.evaluation.exams.whole_table import EXAMS, Table, examine_all


def table(tmp_path: Path, small: bool = False) -> Table:
    return Table(load(), tmp_path, (), 1, small, tmp_path / "out")


def test_each_report_is_kept_under_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        whole_table, "EXAMS", {"a": lambda *_: {"f1": 0.5}, "b": lambda *_: {"f1": 0.7}}
    )
    lines: list[str] = []
    assert examine_all(table(tmp_path), (), lines.append) == {"a": {"f1": 0.5}, "b": {"f1": 0.7}}
    assert json.loads((tmp_path / "out" / "b.json").read_text()) == {"f1": 0.7}
    assert lines == ["a begins", "b begins"]
    assert examine_all(table(tmp_path), ("b",)) == {"b": {"f1": 0.7}}
    (tmp_path / "out" / "b.json").unlink()
    (tmp_path / "out" / "b.json").mkdir()
    with pytest.raises(DataError, match="another --out"):
        examine_all(table(tmp_path), ("b",))


def test_every_examination_of_the_table_is_called_by_its_own_amount(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, list[object]] = {}

    def note(name: str) -> object:
        def examine(*args: object, **options: object) -> list[object]:
            asked.setdefault(name, []).append((args, options))
            return []

        return examine

    for name in ("examine_heldout", "examine_semireal", "examine_alarms", "examine_sweep"):
        monkeypatch.setattr(whole_table, name, note(name))
    family = SimpleNamespace(about=lambda: {"version": 2})
    monkeypatch.setattr(whole_table, "measure_family", lambda *_: family)
    examine_all(table(tmp_path, small=True))
    heldout = [args[2] for args, _ in asked["examine_heldout"]]  # type: ignore[index, misc]
    assert [(plan.clips, plan.family) for plan in heldout[:2]] == [(6, None), (6, family)]
    of_units = [(plan.clips, plan.recipe.micro_per_min, plan.split) for plan in heldout[2:]]
    assert of_units == [(12, 8.0, "test")] * 2
    even, new = (plan.recipe.families for plan in heldout[2:])
    assert (even.even, new.usual, new.measured, new.local, new.free) == (1.0, 0.0, 0.0, 1.0, 0.0)
    rows = [options for _, options in asked["examine_semireal"]]  # type: ignore[misc]
    played = [
        (row["rows"], len(row["families"]), row["options"].places, row["options"].sham)
        for row in rows
    ]
    assert played == [
        (["quiet"], 2, 21, False),
        (["upper"], 2, 20, False),
        (["slow"], 1, 10, False),
        (["quiet"], 1, 21, True),
        (["upper"], 1, 20, True),
    ]
    axes = [options["axis"] for _, options in asked["examine_sweep"]]  # type: ignore[misc]
    assert axes == ["rate", "size", "bitrate"]
    assert len(asked["examine_alarms"]) == 1
    assert len(EXAMS) == 12


def test_another_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--only hue: choose of heldout, heldout-stays-out"):
        examine_all(table(tmp_path), ("hue",))
