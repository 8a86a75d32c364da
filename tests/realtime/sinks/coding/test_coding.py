"""Events as coded files: each is read back as it was written, by us and by the tools' libraries."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pympi
import pytest
from praatio import textgrid

from microspot.engines.data.coded.pairing import CodedInterval
from microspot.engines.data.coded.reading import read_coded
from microspot.engines.data.coded.words import MICRO
from microspot.realtime import evaluate as module
from microspot.realtime.commands.watch_steps import files_of
from microspot.realtime.config import Settings
from microspot.realtime.errors import DataError
from microspot.realtime.records import Event
from microspot.realtime.sinks.coding.coded_run import CodedRun, CodingSink
from microspot.realtime.sinks.coding.observer import COLUMNS
from microspot.realtime.sinks.open import open_sink
from microspot.realtime.sources.open import open_sources
from tests.clips import write_still
from tests.fakes import engine_set
from tests.realtime.sinks.test_sinks import event

NAMES = ("e.eaf", "e.boris", "e.boris.tsv", "e.observer.txt", "e.datavyu.csv", "E.TextGrid")
SOURCE = "clip 1.mp4"
START = {
    "type": "start",
    "sources": [{"source": SOURCE, "started_utc": None, "fps": 30.0}],
    "backend": "fake",
}
END = {"type": "end", "source": SOURCE, "frames": 300, "events": 4, "drops": {}}


def at(onset_s: float, **other: Any) -> dict[str, Any]:
    times = {"onset_s": onset_s, "apex_s": onset_s + 0.1, "offset_s": onset_s + 0.3}
    frames = {f"{name[:-2]}_frame": round(value * 30) for name, value in times.items()}
    return event(f"id{onset_s}", **({"source": SOURCE} | times | frames | other))


EVENTS = [
    at(1.0),
    at(1.2, label="negative", label_scores={"surprise": 0.1, "negative": 0.9}),  # it overlaps
    at(1.1, face=1),
    at(3.0, label=None, label_scores=None, apex_s=None, apex_frame=None),
]
EXPECTED = {
    ("1", 1.0, 1.1, 1.3, "surprise"),
    ("1", 1.2, 1.3, 1.5, "negative"),
    ("2", 1.1, 1.2, 1.4, "surprise"),
    ("1", 3.0, None, 3.3, None),
}


def written(
    folder: Path, name: str, records: list[dict[str, Any]], media: Path | None = None
) -> Path:
    path = folder / name
    with open_sink(str(path), media={SOURCE: media or folder / SOURCE}) as sink:
        for record in records:
            sink.take(record)
    return path


def times_of(coded: CodedInterval) -> tuple[float, float | None, float]:
    return coded.onset_s, coded.apex_s, coded.offset_s


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_is_read_back(tmp_path: Path, name: str) -> None:
    found = read_coded(written(tmp_path, name, [START, *EVENTS, END]))
    assert found is not None
    rows = {(each.subject[-1], *times_of(each), each.label) for each in found}
    assert rows == EXPECTED
    assert {each.kind for each in found} == {"micro"}
    named = name not in ("e.datavyu.csv", "E.TextGrid")
    assert {each.video for each in found} == {SOURCE if named else ""}


@pytest.mark.parametrize("name", NAMES)
def test_a_video_may_have_any_name(tmp_path: Path, name: str) -> None:
    for strange in (b"a\xff.mp4", b"a\x01\n.mp4"):
        video = tmp_path / os.fsdecode(strange)
        found = read_coded(written(tmp_path, name, [START, *EVENTS, END], video))
        assert found is not None
        assert len(found) == len(EVENTS)


@pytest.mark.parametrize("name", NAMES)
def test_apices_at_the_ends_of_events_and_within_others_are_kept(tmp_path: Path, name: str) -> None:
    """Events of one subject overlap, and an apex of the first lies in both, before the second's."""
    coded = [(1.0, 1.25, 1.3), (1.2, 1.3, 1.5), (1.28, 1.28, 1.6), (2.0, 2.02, 2.02)]
    events = [at(a, apex_s=b, offset_s=c) for a, b, c in coded]
    events += [at(3.0), at(3.05, apex_s=None, apex_frame=None)]  # it has none of its own
    found = read_coded(written(tmp_path, name, [START, *events, END])) or []
    assert [times_of(each) for each in found] == [*coded, (3.0, 3.1, 3.3), (3.05, None, 3.35)]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_sources_say_nothing_of_what_is_coded(tmp_path: Path, name: str) -> None:
    names = ("apex micro.mp4", "micro apex.mp4", "macro markers")
    three = START | {"sources": [{"source": each} for each in names]}
    events = [at(1.0, source=each) for each in names]
    found = read_coded(written(tmp_path, name, [three, *events])) or []
    assert [(*times_of(each), each.kind) for each in found] == [(1.0, 1.1, 1.3, "micro")] * 3


@pytest.mark.parametrize("name", NAMES)
def test_a_run_without_events_is_a_file_that_opens(tmp_path: Path, name: str) -> None:
    assert read_coded(written(tmp_path, name, [START, END])) == []


@pytest.mark.parametrize("name", NAMES)
def test_an_event_is_in_the_file_before_the_run_ends(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with open_sink(str(path)) as sink:
        assert sink.stores
        sink.take(START)
        sink.take(EVENTS[0])
        assert len(read_coded(path) or []) == 1


def test_elan_links_the_video_and_names_its_tiers_alike(tmp_path: Path) -> None:
    path = written(tmp_path, "e.eaf", [START, *EVENTS, END])
    document = pympi.Eaf(str(path))
    (link,) = document.get_linked_files()
    assert link["MEDIA_URL"] == (tmp_path / SOURCE).as_uri()
    assert link["RELATIVE_MEDIA_URL"] == f"./{SOURCE}"
    assert link["MIME_TYPE"] == "video/mp4"
    names = {f"face {n} micro-expression" for n in ("1", "2")} | {"face 1 micro-expression 2"}
    assert set(document.get_tier_names()) == names | {f"{name} apex" for name in names}
    two = START | {"sources": [{"source": SOURCE}, {"source": "b"}]}
    document = pympi.Eaf(str(written(tmp_path, "e.eaf", [two, EVENTS[0]])))
    tier = f"{SOURCE} face 1 micro-expression"
    assert list(document.get_tier_names()) == [tier, f"{tier} apex"]


def test_an_apex_in_elan_is_an_annotation_of_a_type_of_its_own(tmp_path: Path) -> None:
    """Types are the same in every file, so that a template of them fits; no tier depends on one."""
    last = at(1.31, apex_s=1.32, offset_s=1.33)  # its apex comes 20 ms after that of the first
    path = written(tmp_path, "e.eaf", [START, at(1.0, apex_s=1.3), last, END])
    document = pympi.Eaf(str(path))
    name = "face 1 micro-expression apex"
    attributes = document.get_parameters_for_tier(name)
    assert attributes["LINGUISTIC_TYPE_REF"] == "apex"
    assert attributes["PARTICIPANT"] == "face 1"
    assert "PARENT_REF" not in attributes
    found = sorted(document.get_annotation_data_for_tier(name))
    assert found == [(1300, 1320, "apex"), (1320, 1360, "apex")]
    types = document.get_linguistic_type_names()
    assert set(types) == {"micro-expression", "apex"}
    for each in types:
        assert "CONSTRAINTS" not in document.get_parameters_for_linguistic_type(each)


def test_a_textgrid_covers_all_the_time(tmp_path: Path) -> None:
    path = written(tmp_path, "e.TextGrid", [START, *EVENTS, END])
    grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=True)
    assert (grid.minTimestamp, grid.maxTimestamp) == (0, 10)
    entries = grid.getTier("face 1 micro-expression").entries
    assert [entry.start for entry in entries[1:]] == [entry.end for entry in entries[:-1]]
    assert (entries[0].start, entries[-1].end) == (0, 10)
    assert grid.getTier("face 1 micro-expression apex").entries[0].time == 1.1


def test_a_boris_project_has_what_boris_asks_of_an_observation(tmp_path: Path) -> None:
    project = json.loads(written(tmp_path, "e.boris", [START, *EVENTS, END]).read_text())
    assert project["project_format_version"] == "7.0"
    observation = project["observations"][SOURCE]
    media = str(tmp_path / SOURCE)
    assert observation["file"]["1"] == [media]
    assert observation["media_info"]["length"] == {media: 10.0}
    assert observation["media_info"]["fps"] == {media: 30.0}
    times = [row[0] for row in observation["events"]]
    assert times == sorted(times)
    ethogram = {each["code"]: each["type"] for each in project["behaviors_conf"].values()}
    for _, subject, code, modifier, _, frame in observation["events"]:
        assert subject in {each["name"] for each in project["subjects_conf"].values()}
        assert code in ethogram
        assert modifier in ("", "surprise", "negative")
        assert isinstance(frame, int)
    assert ethogram["micro-expression apex"] == "Point event"
    with open_sink(str(tmp_path / "live.boris")) as sink:
        sink.take(START)
        sink.take(EVENTS[0])
    live = json.loads((tmp_path / "live.boris").read_text())["observations"][SOURCE]
    assert (live["type"], live["file"]) == ("LIVE", [])
    assert {len(row) for row in live["events"]} == {5}


def test_an_observer_log_has_its_columns_and_times(tmp_path: Path) -> None:
    dated = START | {"sources": [{"source": SOURCE, "started_utc": "2026-01-05T10:00:00+00:00"}]}
    data = written(tmp_path, "e.observer.txt", [dated, at(3661.5)]).read_bytes()
    assert data.startswith(b"\xff\xfe")
    header, first, *_ = csv.reader(data.decode("utf-16").splitlines())
    assert tuple(header) == COLUMNS
    row = dict(zip(header, first, strict=True))
    assert row["Date_Time_Absolute_dmy_hmsf"] == "05-01-2026 11:01:01.500"
    assert row["Time_Relative_hmsf"] == "01:01:01.500"
    assert (row["Time_Relative_sf"], row["Duration_sf"]) == ("3661.500", "0.300")


def test_sources_that_are_files_are_linked_under_the_names_of_records(tmp_path: Path) -> None:
    clip = write_still(tmp_path / "clip.mp4", frames=3, value=90)
    uris = [str(clip), str(clip), "sample:synthetic:7"]
    opened = open_sources(uris)
    assert files_of(uris, opened) == {opened[0].name: clip, opened[1].name: clip}


@pytest.mark.parametrize("name", NAMES)
def test_evaluate_takes_each_as_truth(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, name, [START, *EVENTS, END])
    found = [
        Event(
            str(record["id"]),
            SOURCE,
            record["face"],
            "final",
            *(int(record[key] * 1e9) for key in ("onset_s", "offset_s")),
            *(record[key] for key in ("onset_frame", "offset_frame")),
            0.9,
            int(1e10),
        )
        for record in EVENTS
    ]
    times = [round(i * 1e9 / 30) for i in range(300)]
    monkeypatch.setattr(module, "observe", lambda *_: module.Observed(found, times, [], len(times)))
    clip = write_still(tmp_path / SOURCE, frames=3, value=90)
    report = module.evaluate([str(clip)], engine_set(), Settings(), truth=path)
    assert (report["micro"]["tp"], report["micro"]["fp"], report["micro"]["fn"]) == (4, 0, 0)
    short = np.array(times[:60]).tolist()
    monkeypatch.setattr(module, "observe", lambda *_: module.Observed([], short, [], len(short)))
    with pytest.raises(DataError, match="is it of this video"):
        module.evaluate([str(clip)], engine_set(), Settings(), truth=path)


def test_events_stay_the_same_from_one_file_to_the_next(tmp_path: Path) -> None:
    """Formats keep what they made of an event; one that comes late still finds its place."""
    runs: list[CodedRun] = []

    def document(run: CodedRun) -> bytes:
        runs.append(run)
        return b""

    with CodingSink(tmp_path / "e.txt", document) as sink:
        for record in (START, at(1.0), at(1.2), at(3.0), at(1.1, label="negative")):
            sink.write(record)
    *_, before, after = runs
    assert [each.behavior for each in before.events] == [f"{MICRO}{n}" for n in ("", " 2", "")]
    onsets = [(each.onset_ms, each.behavior) for each in after.events]
    assert onsets == [(1000, MICRO), (1100, f"{MICRO} 2"), (1200, f"{MICRO} 3"), (3000, MICRO)]
    assert after.events[0] is before.events[0]
    assert after.events[3] is before.events[2]
    assert all(a is b for a, b in zip(runs[-2].events[:2], runs[-3].events, strict=True))


def test_elan_takes_any_sign_in_names_and_texts(tmp_path: Path) -> None:
    odd = 'a "b" <c> & d'
    start = START | {"sources": [{"source": odd, "started_utc": None, "fps": 30.0}]}
    marker = {"type": "marker", "source": odd, "name": "x", "value": odd, "at_s": 1.0, "frame": 30}
    records = [start, at(1.0, source=odd, subject=odd), marker, END | {"source": odd}]
    root = ElementTree.parse(written(tmp_path, "e.eaf", records)).getroot()
    assert [each.text for each in root.iter("PROPERTY")] == [odd]
    assert [each.get("PARTICIPANT") for each in root.iter("TIER")] == [odd, odd, None]
    assert [each.text for each in root.iter("ANNOTATION_VALUE")][-1] == odd
