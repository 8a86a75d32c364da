"""Stimulus markers in coded files: each has them in its own way, and none takes them for MEs."""

from __future__ import annotations

import csv
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from praatio import textgrid

from microspot.engines.data.annotations import read_table
from microspot.realtime import evaluate as module
from microspot.realtime.config import Settings
from microspot.realtime.records import Marker
from microspot.realtime.sinks.base import is_marker_in_recording
from microspot.realtime.sources.truth import read_truth
from tests.clips import write_still
from tests.fakes import engine_set
from tests.realtime.sinks.coding.test_coding import END, EVENTS, NAMES, SOURCE, START, at, written

# Texts that a reader could take for a behaviour, an apex, a label, a cell or an end of line.
TEXTS = (
    "micro-expression",
    "apex",
    "surprise 0.9",
    "",
    'say "x"',
    "a|b, (c)",
    "two\nlines\u2028three",
    "-1",
)


def marker(value: str, at_s: float, **other: Any) -> dict[str, Any]:
    made = Marker(SOURCE, "micro apex", value, round(at_s * 1e9), round(at_s * 30)).to_json()
    return made | other


def markers(**other: Any) -> list[dict[str, Any]]:
    """Before, within, at the ends and at the apex of the events, and after the last frame."""
    times = (0.0, 1.0, 1.1, 1.3, 1.3, 3.0, 3.3, 99.0)
    return [marker("early", -0.1, **other)] + [
        marker(text, at_s, **other) for text, at_s in zip(TEXTS, times, strict=True)
    ]


def test_a_marker_from_before_the_first_frame_is_in_no_recording() -> None:
    assert [is_marker_in_recording(marker("x", at_s)) for at_s in (-0.001, 0.0, 1.0)] == [
        False,
        True,
        True,
    ]
    assert not is_marker_in_recording(at(1.0))


@pytest.mark.parametrize("name", [*NAMES, "e.csv"])
@pytest.mark.parametrize("sources", [(SOURCE,), ("apex micro", "micro apex.mp4", "macro markers")])
def test_truth_is_the_same_with_markers_as_without(
    tmp_path: Path, name: str, sources: tuple[str, ...]
) -> None:
    start = START | {"sources": [{"source": each, "fps": 30.0} for each in sources]}
    events = [record | {"source": each} for each in sources for record in EVENTS]
    shown = [record for each in sources for record in markers(source=each)]
    ends = [END | {"source": each} for each in sources]
    alone = written(tmp_path, name, [start, *events, *ends])
    expected = read_truth(alone)
    before = alone.read_bytes()
    path = written(tmp_path, name, [start, *shown[:4], *events, *shown[4:], *ends])
    assert path.read_bytes() != before
    assert read_truth(path) == expected
    assert len(expected) == len(events)


@pytest.mark.parametrize("name", NAMES)
def test_evaluate_scores_no_marker(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, name, [START, *EVENTS, *markers()[:-1], END])
    times = [round(i * 1e9 / 30) for i in range(300)]
    monkeypatch.setattr(module, "observe", lambda *_: module.Observed([], times, [], len(times)))
    clip = write_still(tmp_path / SOURCE, frames=3, value=90)
    report = module.evaluate([str(clip)], engine_set(), Settings(), truth=path)
    assert report["micro"]["fn"] == len(EVENTS)


def test_a_table_that_is_scored_has_no_marker(tmp_path: Path) -> None:
    rows = read_table(written(tmp_path, "e.csv", [START, *EVENTS, *markers(), END]))
    assert {row.type for row in rows} == {"micro"}


def shown_in(folder: Path, name: str) -> str:
    """The text of a file with an event, and two markers at once that BORIS would part."""
    records = [marker("a|b, (c) ", 1.5, frame=45), marker("tone", 1.5, frame=45)]
    path = written(folder, name, [START, marker("early", -0.1), at(1.0), *records, END])
    text = path.read_bytes().decode("utf-16" if name == "e.observer.txt" else "utf-8")
    assert "early" not in text
    return text


def test_a_boris_project_has_points_with_what_they_say_as_modifier(tmp_path: Path) -> None:
    project = json.loads(shown_in(tmp_path, "e.boris"))
    (behavior,) = (b for b in project["behaviors_conf"].values() if b["code"] == "marker")
    assert behavior["type"] == "Point event"
    assert behavior["modifiers"]["0"]["values"] == ["a_b_ _c_", "tone"]
    events = project["observations"][SOURCE]["events"]
    assert [event for event in events if event[2] == "marker"] == [
        [1.5, "", "marker", "a_b_ _c_", "micro apex: a|b, (c) ", 45],
        [1.5, "", "marker", "tone", "micro apex: tone", 45],
    ]


def test_a_table_of_boris_has_points_in_order_of_time(tmp_path: Path) -> None:
    rows = list(csv.DictReader(shown_in(tmp_path, "e.boris.tsv").splitlines(), delimiter="\t"))
    found = [row for row in rows if row["Behavior"] == "marker"]
    keys = ("Subject", "Modifier #1", "Behavior type", "Time", "Image index", "Comment")
    assert [tuple(row[key] for key in keys) for row in found] == [
        ("", "a_b_ _c_", "POINT", "1.500", "45", "micro apex: a|b, (c) "),
        ("", "tone", "POINT", "1.500", "45", "micro apex: tone"),
    ]
    assert [float(row["Time"]) for row in rows] == [1.0, 1.1, 1.3, 1.5, 1.5]


def test_what_is_at_one_time_is_in_the_order_of_a_coder(tmp_path: Path) -> None:
    """A state stops, then points come, then a state starts."""
    events = [at(1.0), at(1.3, face=1, apex_s=1.3)]
    text = written(tmp_path, "e.boris.tsv", [START, marker("x", 1.3), *events, END]).read_text()
    rows = csv.DictReader(text.splitlines(), delimiter="\t")
    found = [row["Behavior type"] for row in rows if row["Time"] == "1.300"]
    assert found == ["STOP", "POINT", "POINT", "START"]


def test_an_observer_log_has_points_with_what_they_say_as_modifier(tmp_path: Path) -> None:
    rows = list(csv.DictReader(shown_in(tmp_path, "e.observer.txt").splitlines()))
    found = [row for row in rows if row["Behavior"] == "marker"]
    keys = ("Subject", "Modifier_1", "Event_Type", "Time_Relative_sf", "Duration_sf")
    assert [tuple(row[key] for key in keys) for row in found] == [
        ("", "a|b, (c) ", "Point", "1.500", "0.000"),
        ("", "tone", "Point", "1.500", "0.000"),
    ]
    assert [row["Duration_sf"] for row in rows[:3]] == ["0.300", "0.000", "0.000"]


def test_a_datavyu_sheet_has_cells_without_length_in_a_column_of_their_own(tmp_path: Path) -> None:
    lines = shown_in(tmp_path, "e.datavyu.csv").splitlines()
    assert lines[-3:] == [
        "markers (MATRIX,true,)-stream|NOMINAL,value|NOMINAL",
        "00:00:01:500,00:00:01:500,(micro apex,a|b_ _c_ )",
        "00:00:01:500,00:00:01:500,(micro apex,tone)",
    ]


def test_a_textgrid_has_a_point_tier_within_its_time(tmp_path: Path) -> None:
    shown_in(tmp_path, "e.TextGrid")
    grid = textgrid.openTextgrid(str(tmp_path / "e.TextGrid"), includeEmptyIntervals=True)
    tier = grid.getTier("markers")
    assert [(point.time, point.label) for point in tier.entries] == [(1.5, "a|b, (c) ; tone")]
    late = written(tmp_path, "late.TextGrid", [START, marker("late", 12.5), END])
    assert set(re.findall("xmax = .*", late.read_text())) == {"xmax = 12.500"}


def test_markers_of_one_ms_are_one_annotation_of_elan(tmp_path: Path) -> None:
    root = ET.fromstring(shown_in(tmp_path, "e.eaf"))
    tier = next(each for each in root.iter("TIER") if each.get("TIER_ID") == "markers")
    assert tier.get("LINGUISTIC_TYPE_REF") == "markers"
    assert [each.text for each in tier.iter("ANNOTATION_VALUE")] == ["a|b, (c) ; tone"]


def of_two_sources(folder: Path, name: str) -> str:
    two = START | {"sources": [{"source": "one"}, {"source": "two"}]}
    shown = [marker(f"of-{each}", 1.0, source=each) for each in ("one", "two")]
    path = written(folder, name, [two, *shown, at(1.0, source="one")])
    return path.read_bytes().decode("utf-16" if name == "e.observer.txt" else "utf-8")


@pytest.mark.parametrize("name", ["e.eaf", "e.datavyu.csv", "E.TextGrid"])
def test_each_of_two_sources_has_a_tier_of_markers(tmp_path: Path, name: str) -> None:
    text = re.sub("[_-]", " ", of_two_sources(tmp_path, name))
    places = [text.index(words) for words in ("one markers", "of one", "two markers", "of two")]
    assert places == sorted(places)


def test_each_of_two_observations_has_its_own_markers(tmp_path: Path) -> None:
    found = json.loads(of_two_sources(tmp_path, "e.boris"))["observations"]
    for each in ("one", "two"):
        events = [event for event in found[each]["events"] if event[2] == "marker"]
        assert [event[3] for event in events] == [f"of-{each}"]
    for name, column in (("e.boris.tsv", "Observation id"), ("e.observer.txt", "Observation")):
        text = of_two_sources(tmp_path, name)
        delimiter = "\t" if name == "e.boris.tsv" else ","
        rows = list(csv.DictReader(text.splitlines(), delimiter=delimiter))
        values = [row.get("Modifier #1", row.get("Modifier_1")) for row in rows]
        assert (rows[-1][column], values[-1]) == ("two", "of-two")
        assert [row[column] for row in rows[:-1]] == ["one"] * 4
        assert "of-one" in values[:-1]
