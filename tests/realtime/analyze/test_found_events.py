"""What `analyze` found, for programs: events as typed records, and as a table of pandas."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from microspot.engines.data.unit_cells import parse_units
from microspot.engines.units.findings import ActionUnit, Region
from microspot.realtime.analyze import Results
from microspot.realtime.analyze.found_events import COLUMNS, LEFT_OUT
from microspot.realtime.analyze.one_video import EVENTS, Analysis
from microspot.realtime.analyze.session_report.sink import SESSION
from microspot.realtime.errors import DataError, UsageError
from microspot.realtime.records import Event

MOVED = Event(
    id="m",
    source="a.mp4",
    face=1,
    status="final",
    onset_ns=2_000_000_000,
    offset_ns=2_200_001_000,
    onset_frame=60,
    offset_frame=66,
    score=0.75,
    emitted_ns=3_000_000_000,
    apex_ns=2_100_014_000,  # whose seconds times 1e9 lie below it
    apex_frame=63,
    label="positive",
    label_scores={"negative": 0.1, "positive": 0.9},
    intensity=(0.0, 1.0, 0.5),
    confounders={"blink": 0.25},
    action_units=(ActionUnit("AU12", "L", 1.24, "c", 0.88), ActionUnit("AU4", "both", 1, "b", 0.5)),
    region=Region("mouth corner", "L", 1.24, "c", 0.9),
    subject="Ann",
)
EARLIER = replace(MOVED, id="e", onset_ns=10**9, action_units=(), region=None)
PLAIN = Event("p", "b.mp4", 0, "final", 0, 10**9, 0, 30, 0.5, 2 * 10**9)
MARKER = {"type": "marker", "source": "a.mp4", "value": "flash", "at_s": 1.5}


def analysis(folder: str) -> Analysis:
    return Analysis(folder, folder, "left", 1, 90, 3.0, 3.0, 0.0)


def put(out: Path, folder: str, events: list[Event], responses: Any = None) -> None:
    (out / folder).mkdir()
    records = [MARKER, *(event.to_json() for event in events)]
    text = "".join(json.dumps(record) + "\n" for record in records)
    (out / folder / EVENTS).write_text(text, encoding="utf-8")
    (out / folder / SESSION).write_text(json.dumps({"responses": responses}))


@pytest.fixture
def results(tmp_path: Path) -> Results:
    answer = {"id": "m", "condition": "flash", "latency_s": 0.5}
    put(tmp_path, "a.mp4", [MOVED, EARLIER], {"latencies_s": [answer]})
    put(tmp_path, "b.mp4", [PLAIN])
    found = (analysis("b.mp4"), analysis("a.mp4"))
    return Results(found, {}, tmp_path / "index.html")


def test_events_are_the_records_that_were_written(results: Results) -> None:
    assert results.events == [PLAIN, EARLIER, MOVED], "by video, then by onset"


def test_a_table_has_a_row_for_each_event(results: Results) -> None:
    pytest.importorskip("pandas")
    table = results.to_pandas()
    assert tuple(table.columns[: len(COLUMNS)]) == COLUMNS
    assert not set(LEFT_OUT) & set(table.columns)
    assert list(table["id"]) == ["p", "e", "m"]
    assert list(table["video"]) == ["b.mp4", "a.mp4", "a.mp4"]
    plain, earlier, moved = (row for _, row in table.iterrows())
    assert (moved["subject"], moved["face"], moved["group"]) == ("Ann", 1, "left")
    assert (moved["label_scores_positive"], moved["confounders_blink"]) == (0.9, 0.25)
    assert moved["offset_s"] == pytest.approx(2.200001)
    assert (moved["region_name"], moved["intensity"]) == ("mouth corner", [0, 1, 0.5])
    assert parse_units(moved["action_units"]) == (("AU4", 0.5), ("AU12", 0.88))
    assert (moved["condition"], moved["latency_s"]) == ("flash", 0.5)
    assert earlier["action_units"] == "none"
    unknown = ["action_units", "apex_s", "label_scores_positive", "condition", "latency_s"]
    assert plain[unknown].isna().all()


def test_a_table_of_nothing_has_its_columns(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    put(tmp_path, "a.mp4", [])
    empty = Results((analysis("a.mp4"),), {}, tmp_path / "index.html").to_pandas()
    assert (len(empty), tuple(empty.columns)) == (0, COLUMNS)


def test_what_is_missing_is_told(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match=r"needs pandas: pip install '\.\[table\]'"):
        results.to_pandas()
    (results.index.parent / "a.mp4" / EVENTS).unlink()
    with pytest.raises(DataError, match="cannot read"):
        _ = results.events
