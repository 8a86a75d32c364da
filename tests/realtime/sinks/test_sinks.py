"""Sinks of text: what reaches the disk, what stays after a failure, which error a person gets."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from microspot.engines.errors import DataError, UsageError
from microspot.realtime.sinks.base import Sink, announce
from microspot.realtime.sinks.open import open_sink
from microspot.realtime.sinks.text_files import CSV_COLUMNS

START = {
    "type": "start",
    "sources": [{"source": "cam", "started_utc": None}],
    "backend": "fake",
    "grid_hz": 30,
}


def event(name: str = "a", status: str = "final", **other: Any) -> dict[str, Any]:
    record = {
        "type": "event",
        "id": name,
        "source": "cam",
        "face": 0,
        "subject": None,
        "status": status,
        "onset_s": 1.0,
        "apex_s": 1.1,
        "offset_s": 1.3,
        "onset_frame": 30,
        "apex_frame": 33,
        "offset_frame": 39,
        "score": 0.91,
        "label": "surprise",
        "label_scores": {"surprise": 0.8, "negative": 0.2},
        "intensity": [0.1, 1.0, 0.2],
        "emitted_s": 2.0,
    }
    return record | other


RECORDS = [
    START,
    event("a", "provisional", label=None, label_scores=None, intensity=None),
    event("a"),
    {
        "type": "gap",
        "source": "cam",
        "face": None,
        "reason": "no face",
        "start_s": 2.0,
        "stop_s": 3.0,
    },
    event("b", "withdrawn", label=None),
    {"type": "end", "source": "cam", "frames": 90, "events": 1, "drops": {}},
]


def fill(sink: Sink, records: list[dict[str, Any]] = RECORDS) -> None:
    with sink:
        for record in records:
            sink.take(record)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    ("provisional", "expected"), [(True, RECORDS), (False, [RECORDS[i] for i in (0, 2, 3, 5)])]
)
def test_jsonl_holds_the_wanted_records(
    tmp_path: Path, provisional: bool, expected: list[dict[str, Any]]
) -> None:
    sink = open_sink(str(tmp_path / "e.jsonl"), provisional=provisional)
    assert sink.wants_provisional == provisional
    fill(sink)
    assert lines(tmp_path / "e.jsonl") == expected


def test_jsonl_is_on_disk_before_close_and_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_text("what an earlier run left\n")
    with open_sink(str(path)) as sink:
        sink.write(START)
        assert lines(path) == [START]


def test_callback_and_stdout_take_the_same_records(capsys: pytest.CaptureFixture[str]) -> None:
    taken: list[dict[str, Any]] = []
    fill(open_sink(taken.append))
    fill(open_sink("stdout"))
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == taken
    assert [record["type"] for record in taken] == ["start", "event", "gap", "end"]


def test_csv_holds_final_events_as_text_and_numbers(tmp_path: Path) -> None:
    path = tmp_path / "e.csv"
    start = START | {"sources": [{"source": "007", "fps": 29.97}]}
    fill(
        open_sink(str(path), provisional=True),
        [start, *RECORDS[1:], event("c", source="007", face=1, label=None)],
    )
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == CSV_COLUMNS
    first, second = (tuple(row.values()) for row in rows)
    assert first == ("", "cam", "30", "33", "39", "micro", "surprise", "0.91", "")
    assert second == ("1", "007", "30", "33", "39", "micro", "", "0.91", "29.97")


def test_csv_quotes_and_keeps_undecodable_names(tmp_path: Path) -> None:
    name = os.fsdecode(b'clip "1", \xff.mp4')
    fill(open_sink(str(tmp_path / "e.csv")), [event(source=name)])
    with (tmp_path / "e.csv").open(newline="", errors="surrogateescape") as file:
        assert [row["video"] for row in csv.DictReader(file)] == [name]


@pytest.mark.parametrize(
    "uri", ["events.txt", "events", "amqp://host/a.csv", "ftp://host/e.jsonl", "callback://x", ""]
)
def test_unknown_kinds_are_refused_with_the_known_ones(uri: str) -> None:
    with pytest.raises(
        UsageError,
        match=r"'window', an https or mqtts address, .* ending in \.jsonl, \.csv, .* or \.html",
    ):
        open_sink(uri)


@pytest.mark.parametrize("name", ["e.jsonl", "e.csv", "e.mp4", "e.eaf", "e.html"])
def test_unwritable_paths_are_refused_at_once(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="its directory does not exist; create it first"):
        open_sink(str(tmp_path / "missing" / name))
    (tmp_path / name).mkdir()
    with pytest.raises(DataError, match="Is a directory"):
        open_sink(str(tmp_path / name))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_full_disk_is_one_data_error(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"e.{ending}"
    path.symlink_to("/dev/full")
    with pytest.raises(DataError, match=r"cannot write .*No space left on device") as caught:
        fill(open_sink(str(path)))
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 5


LIMITED = """
import resource, sys
from microspot.realtime.sinks.open import open_sink
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
with open_sink(sys.argv[1]) as sink:
    for i in range(100):
        sink.write({"type": "state", "source": "cam", "state": "live", "detail": str(i)})
"""


def test_a_line_that_fails_half_way_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, check=False
    )
    assert "DataError" in done.stderr
    assert "what was written before is kept" in done.stderr
    kept = lines(path)  # every line parses
    assert [record["detail"] for record in kept] == [str(i) for i in range(len(kept))]
    assert 900 < path.stat().st_size <= 1000


STDOUT = """
from microspot.realtime.errors import DataError
from microspot.realtime.sinks.open import open_sink
try:
    open_sink("-").write({"type": "start", "sources": []})
except DataError as error:
    raise SystemExit(error.exit_code)
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_stdout_leaves_the_exit_code_alone() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", STDOUT], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (5, b"")


def test_every_picture_tells_what_is_stored(tmp_path: Path) -> None:
    sinks = [open_sink(str(tmp_path / "v.mp4")), open_sink(str(tmp_path / "e.jsonl"))]
    announce(sinks)
    assert [sink.notes for sink in sinks] == [("recording to v.mp4",)] * 2
    for sink in sinks:
        sink.close()
