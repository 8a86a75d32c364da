"""Whose event it is: the subject's name in every output, else the face's place."""

from __future__ import annotations

import csv
import io
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from microspot.engines.data.coded.reading import read_coded
from microspot.realtime.config import Settings
from microspot.realtime.errors import UsageError
from microspot.realtime.records import Event
from microspot.realtime.session import Session
from microspot.realtime.sinks.open import open_sink
from microspot.realtime.sinks.terminal import LiveTable
from tests import fakes
from tests.realtime.sinks.test_sinks import START, event, fill
from tests.realtime.sinks.test_terminal import text

CODED = ("e.eaf", "e.boris", "e.boris.tsv", "e.observer.txt", "e.datavyu.csv", "e.TextGrid")
EVENTS = [event("a", subject="P 07"), event("b", face=1, onset_s=4.0, apex_s=4.1, offset_s=4.3)]


def written(path: Path, records: list[dict[str, Any]]) -> Path:
    fill(open_sink(str(path)), [START | {"engines": "fake"}, *records])
    return path


@pytest.mark.parametrize("name", CODED)
def test_coders_files_name_the_subject_or_the_face(tmp_path: Path, name: str) -> None:
    read = read_coded(written(tmp_path / name, EVENTS))
    # Datavyu's names are letters, digits and underscores.
    assert sorted(each.subject.replace("_", " ") for each in read) == ["P 07", "face 2"]


def test_the_table_names_the_subject_or_counts_the_face(tmp_path: Path) -> None:
    path = written(tmp_path / "e.csv", [*EVENTS, event("c")])
    with path.open(newline="") as file:
        assert [row["subject"] for row in csv.DictReader(file)] == ["P 07", "1", ""]


def test_the_database_finds_a_subject(tmp_path: Path) -> None:
    path = written(tmp_path / "e.db", EVENTS)
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT id FROM events WHERE subject = 'P 07'").fetchall()
    assert found == [("a",)]


def test_report_and_live_table_say_whose_an_event_is(tmp_path: Path) -> None:
    page = written(tmp_path / "e.html", EVENTS).read_text()
    assert "<td>P 07</td>" in page
    assert "<td>face 2</td>" in page
    table = LiveTable(Console(file=io.StringIO()))
    for record in (START, *EVENTS):
        table.write(record)
    shown = text(table)
    assert "cam, P 07" in shown
    assert "cam, face 2" in shown


def test_a_session_gives_its_events_the_subject_of_the_run() -> None:
    def events(settings: Settings) -> list[Event]:
        session = Session(fakes.engine_set(), "cam", settings=settings)
        features = fakes.features(np.random.default_rng(3), 200, 0.5)
        found = []
        for tick in range(200):
            found += session.push(fakes.crop(features[:, tick], tick * 33_333_333, tick))
        return found + session.flush()

    named = events(Settings(subject="P 07"))
    assert named
    assert {each.to_json()["subject"] for each in named} == {"P 07"}
    assert {each.to_json()["subject"] for each in events(Settings())} == {None}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"subject": "P07", "faces": 2}, "where it is, not whose"),
        ({"subject": "a\nb"}, "printable"),
        ({"subject": "  "}, "printable"),
        ({"subject": ""}, "subject"),
    ],
)
def test_a_name_that_cannot_be_meant_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Settings.load(None, **options)
