"""What a coder accepted, read back from the files of every kind."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from microspot.engines.data.annotations import read_table
from microspot.engines.data.coded.reading import read_coded
from microspot.realtime.errors import DataError, UsageError
from microspot.realtime.review.decisions import Decision, Point
from microspot.realtime.review.export import check_export, export
from microspot.realtime.review.results import EventKey, read_results
from microspot.realtime.sinks.record_schema import ADAPTER
from tests.realtime.review.made import add_video, read

DECISIONS = {
    EventKey("clip.mp4", "e000"): Decision("accepted"),
    EventKey("clip.mp4", "e001"): Decision(
        "accepted", Point(22, 22 / 30), Point(27, 0.9), Point(35, 35 / 30), label="happiness"
    ),
    EventKey("clip.mp4", "e002"): Decision("rejected"),
    EventKey("gone.mp4", "e000"): Decision("accepted"),
}
EXPECTED = [(20, 24, 29, "negative"), (22, 27, 35, "happiness")]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    add_video(folder, "clip.mp4")
    return folder


def write(results: Path, *files: Path) -> int:
    videos, addresses = read(results)
    return export(videos, DECISIONS, "Anna", [str(file) for file in files], addresses)


def test_a_table_has_the_accepted_events_as_they_were_left(results: Path, tmp_path: Path) -> None:
    assert write(results, tmp_path / "events.csv") == 2
    rows = read_table(tmp_path / "events.csv")
    assert [(row.onset, row.apex, row.offset, row.label) for row in rows] == EXPECTED
    assert {row.video for row in rows} == {"clip.mp4"}


@pytest.mark.parametrize(
    "name",
    [
        "events.eaf",
        "events.boris",
        "events.boris.tsv",
        "events.observer.txt",
        "events.datavyu.csv",
        "events.TextGrid",
    ],
)
def test_a_file_of_a_coding_tool_has_their_times(results: Path, tmp_path: Path, name: str) -> None:
    pytest.importorskip("pympi", reason="pympi is missing: pip install '.[coding]'")
    pytest.importorskip("praatio", reason="praatio is missing: pip install '.[coding]'")
    write(results, tmp_path / name)
    found = read_coded(tmp_path / name)
    times = [(round(30 * e.onset_s), round(30 * e.apex_s), round(30 * e.offset_s)) for e in found]
    assert sorted(times) == [expected[:3] for expected in EXPECTED]


def test_json_lines_say_who_accepted_and_fit_the_schema(results: Path, tmp_path: Path) -> None:
    write(results, tmp_path / "events.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    for line in lines:
        ADAPTER.validate_python(line)
    assert [line["type"] for line in lines] == ["start", "event", "event", "end"]
    assert lines[-1]["events"] == 2
    said = {"coder": "Anna", "action_units": None, "note": ""}
    assert [line["reviewed"] for line in lines[1:3]] == [said, said]


def test_databases_and_reports_are_written_too(results: Path, tmp_path: Path) -> None:
    write(results, tmp_path / "events.db", tmp_path / "report.html")
    connection = sqlite3.connect(tmp_path / "events.db")
    rows = connection.execute("SELECT onset_frame, label FROM events ORDER BY onset_frame")
    assert rows.fetchall() == [(20, "negative"), (22, "happiness")]
    connection.close()
    assert "2 micro-expressions" in (tmp_path / "report.html").read_text()


def test_videos_of_one_name_are_told_apart(results: Path, tmp_path: Path) -> None:
    add_video(results, "clip.mp4", folder="clip.mp4-2", address=tmp_path / "clip.mp4")
    decisions = DECISIONS | {EventKey("clip.mp4-2", "e000"): Decision("accepted")}
    videos, addresses = read(results)
    assert export(videos, decisions, "Anna", [str(tmp_path / "e.csv")], addresses) == 3
    rows = read_table(tmp_path / "e.csv")
    assert [row.video for row in rows] == ["clip.mp4", "clip.mp4", "clip.mp4-2"]
    export(videos, decisions, "Anna", [str(tmp_path / "e.db")], addresses)
    assert rows_of(tmp_path / "e.db") == [("clip.mp4", 20), ("clip.mp4", 22), ("clip.mp4-2", 20)]


def rows_of(path: Path) -> list[tuple[str, int]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(
            "SELECT source, onset_frame FROM events ORDER BY source, onset_frame"
        ).fetchall()


def test_a_database_that_is_there_is_left_as_it_is(results: Path, tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    write(results, path)
    before = path.read_bytes()
    with pytest.raises(DataError, match="it is there already"):
        write(results, path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("file", ["-", "window", "overlay.mp4", "https://a.example", "events"])
def test_only_files_of_events_are_written(file: str) -> None:
    with pytest.raises(UsageError, match="give a file such as"):
        check_export(file)


def test_what_analyze_did_not_write_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no analysed video"):
        read_results(tmp_path)


@pytest.mark.parametrize(
    "keep",
    [
        lambda lines: [],
        lambda lines: ["{"],
        lambda lines: lines[:-1],
        lambda lines: lines[1:],
        lambda lines: [lines[0], "7", lines[-1]],
        lambda lines: [lines[0], lines[1].replace("onset_frame", "onset"), lines[-1]],
        lambda lines: [lines[0].replace('"sources": [{', '"sources": [], "x": [{'), *lines[1:]],
    ],
    ids=["empty", "cut line", "no end", "no start", "no object", "no onset", "no source"],
)
def test_damaged_records_are_refused_in_one_line(
    results: Path, keep: Callable[[list[str]], list[str]]
) -> None:
    path = results / "clip.mp4" / "events.jsonl"
    path.write_text("\n".join(keep(path.read_text().splitlines())))
    with pytest.raises(DataError, match="analyse the video again") as told:
        read_results(results)
    assert "\n" not in str(told.value)
