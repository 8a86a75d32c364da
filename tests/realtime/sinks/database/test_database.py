"""The database of events: what is in it, who may use it, and that what goes is gone."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from microspot.engines.errors import DataError, UsageError
from microspot.realtime.commands.watch_steps import check_keep
from microspot.realtime.sinks.database import keeper, schema
from microspot.realtime.sinks.database.erase import drop_older, forget
from microspot.realtime.sinks.database.keeper import Keeper
from microspot.realtime.sinks.database.schema import EVENTS, Layout
from microspot.realtime.sinks.open import open_sink
from microspot.realtime.sources.address import names_of
from tests.forked import run_python
from tests.realtime.sinks.test_sinks import RECORDS, START, event, fill


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def left(folder: Path, word: str) -> list[str]:
    """Files of a folder that hold the bytes of a word."""
    return [path.name for path in folder.iterdir() if word.encode() in path.read_bytes()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


def test_final_events_gaps_and_the_run_are_kept(path: Path) -> None:
    fill(open_sink(str(path)))
    ((record, run),) = rows(path, "SELECT record, run FROM events")
    assert json.loads(record) == event("a")
    assert rows(path, "SELECT id, source, onset_s, apex_frame, label FROM events") == [
        ("a", "cam", 1.0, 33, "surprise")
    ]
    assert rows(path, "SELECT source, face, reason, start_s FROM gaps") == [
        ("cam", None, "no face", 2.0)
    ]
    ((start, user),) = rows(path, f"SELECT start, user FROM runs WHERE run = '{run}'")
    assert json.loads(start) == {"backend": "fake", "grid_hz": 30}
    assert user
    ((frames, ended),) = rows(path, "SELECT frames, ended_utc FROM sources")
    assert (frames, ended is not None) == (90, True)


def test_an_event_is_there_once_and_earlier_runs_stay(path: Path) -> None:
    fill(open_sink(str(path)))
    fill(open_sink(str(path)), [START, event("a", score=0.5), event("b", label=None)])
    assert rows(path, "SELECT id, score, label FROM events ORDER BY id") == [
        ("a", 0.5, "surprise"),
        ("b", 0.91, None),
    ]
    assert rows(path, "SELECT count(*) FROM runs") == [(2,)]


def test_others_read_while_a_run_writes(path: Path) -> None:
    with open_sink(str(path)) as opened, closing(sqlite3.connect(path)) as reader:
        opened.take(START)
        opened.take(event("a"))
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM events").fetchone() == (1,)
        opened.take(event("b"))  # does not wait for the reader
        assert reader.execute("SELECT count(*) FROM events").fetchone() == (1,)
        reader.execute("COMMIT")
        assert reader.execute("SELECT count(*) FROM events").fetchone() == (2,)


def test_two_runs_write_one_file(path: Path) -> None:
    def one(name: str) -> None:
        fill(open_sink(str(path)), [START, *(event(f"{name}{i}") for i in range(40))])

    threads = [threading.Thread(target=one, args=[name]) for name in "xy"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rows(path, "SELECT count(*) FROM events") == [(80,)]


def test_a_file_that_another_run_makes_meanwhile_is_ours(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make() -> None:
        schema.open_database(path, EVENTS, create=True).close()

    others: list[threading.Thread] = []

    class Interrupted(sqlite3.Connection):
        """Another run begins between the first reads."""

        def execute(self, sql: str, *given: Any) -> sqlite3.Cursor:
            if "sqlite_master" in sql and not others:
                others.append(threading.Thread(target=make))
                others[0].start()
                others[0].join(0.5)  # it has to wait where all reads are of one state
            return super().execute(sql, *given)

    connect = partial(sqlite3.connect, factory=Interrupted)
    monkeypatch.setattr(schema.sqlite3, "connect", connect)
    make()
    others[0].join()
    assert rows(path, "SELECT count(*) FROM events") == [(0,)]


def test_every_commit_is_on_the_disk_and_what_is_deleted_overwritten(path: Path) -> None:
    with closing(schema.open_database(path, EVENTS, create=True)) as connection:
        settings = [
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "secure_delete", "user_version")
        ]
    assert settings == ["wal", 2, 1, EVENTS.version]


def test_a_file_of_the_first_version_is_brought_up(path: Path) -> None:
    first = Layout(EVENTS.application_id, EVENTS.migrations[:1])
    record = event("old")
    names = ("id", "source", "face", "onset_s", "offset_s", "onset_frame", "offset_frame", "score")
    columns = ", ".join((*names, "run", "recorded_utc", "record"))
    with closing(schema.open_database(path, first, create=True)) as connection:
        connection.execute(
            f"INSERT INTO events ({columns}) VALUES ({', '.join('?' * 11)})",
            (*(record[name] for name in names), "r", "2026-01-01T00:00:00Z", "{}"),
        )
    assert rows(path, "PRAGMA user_version") == [(1,)]
    fill(open_sink(str(path)), [*RECORDS, event("b", subject="P07")])
    assert rows(path, "PRAGMA user_version") == [(EVENTS.version,)]
    assert rows(path, "SELECT id, subject FROM events ORDER BY id") == [
        ("a", None),
        ("b", "P07"),
        ("old", None),
    ]
    assert rows(path, "SELECT count(*) FROM gaps") == [(1,)]


def test_a_later_version_and_another_programs_file_are_refused(path: Path, tmp_path: Path) -> None:
    fill(open_sink(str(path)))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(DataError, match="version 99, written by a later microspot"):
        open_sink(str(path))
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE mine (a)")
    before = other.read_bytes()
    with pytest.raises(DataError, match="another program"):
        open_sink(str(other))
    assert other.read_bytes() == before
    text = tmp_path / "text.db"
    text.write_text("no database at all, and long enough to have a header of one hundred bytes" * 2)
    with pytest.raises(DataError, match="not a database"):
        open_sink(str(text))


def test_unwritable_places_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="its directory does not exist; create it first"):
        open_sink(str(tmp_path / "missing" / "e.db"))
    (tmp_path / "e.db").mkdir()
    with pytest.raises(DataError, match="Is a directory"):
        open_sink(str(tmp_path / "e.db"))


LIMITED = """
import resource, sys
from microspot.realtime.sinks.open import open_sink
from tests.realtime.sinks.test_sinks import START, event
with open_sink(sys.argv[1]) as opened:
    opened.take(START)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
    for i in range(1000):
        opened.take(event(f"e{i}"))
        print(f"e{i}", flush=True)
"""


def test_a_full_disk_is_a_data_error_and_what_was_written_is_whole(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, check=False
    )
    assert "DataError: cannot use" in done.stderr
    told = done.stdout.split()
    assert 10 < len(told) < 1000
    assert {name for (name,) in rows(path, "SELECT id FROM events")} >= set(told)
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]


def test_what_is_forgotten_is_in_no_byte(path: Path, tmp_path: Path) -> None:
    chance = random.Random(3)
    rest: list[str] = []
    sources = [{"source": "garden-cam"}, {"source": "kitchen-cam"}]
    with open_sink(str(path)) as opened:
        opened.take(START | {"sources": sources})
        for i in range(600):  # rows of many sizes come and go, and SQLite moves them about
            source = chance.choice(["garden-cam", "kitchen-cam"])
            name = f"{source}-{chance.getrandbits(60):x}"
            onset_s = chance.random() * 100
            detail = "x" * chance.choice([10, 500, 900, 3000, 9000])
            opened.take(event(name, source=source, onset_s=onset_s, offset_s=200.0, detail=detail))
            rest.append(name)
            if i % 30 == 29:
                chance.shuffle(rest)
                gone = [(each,) for each in rest[:12]]
                opened._connection.executemany("DELETE FROM events WHERE id = ?", gone)
                rest = rest[12:]
        gap = next(record for record in RECORDS if record["type"] == "gap")
        opened.take(gap | {"source": "garden-cam"})
        garden = sum(name.startswith("garden") for name in rest)
        assert set(left(tmp_path, "garden-cam")) == {"events.db", "events.db-wal"}
        assert forget(path, {"garden-cam"}) == garden
        assert left(tmp_path, "garden-cam") == []
        assert left(tmp_path, "kitchen-cam")
        opened.take(event("later", source="garden-cam"))  # the run goes on, and has its row again
    assert rows(path, "SELECT count(*) FROM sources") == [(2,)]
    assert forget(path, {"garden-cam"}) == 1
    assert forget(path, {"kitchen-cam"}) == len(rest) - garden
    assert rows(path, "SELECT count(*) FROM runs") == [(0,)]
    assert left(tmp_path, "-cam") == []


def test_an_unknown_source_is_told_with_the_known_ones(path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        forget(path, {"cam"})
    assert not path.exists()
    fill(open_sink(str(path)))
    with pytest.raises(DataError, match="no source came: it has cam"):
        forget(path, {"came"})


def test_a_reader_keeps_the_file_from_being_cleaned_and_is_told(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "BUSY_S", 0.1)
    fill(open_sink(str(path)), [START, event("a", source="garden-cam")])
    with closing(sqlite3.connect(path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM events").fetchall()
        with pytest.raises(DataError, match="1 events are deleted, but another program uses"):
            forget(path, {"garden-cam"})
    assert forget(path, {"garden-cam"}) == 0
    assert left(tmp_path, "garden-cam") == []


def test_the_command_forgets_by_the_address_that_watch_was_given(path: Path) -> None:
    fill(open_sink(str(path)), [START, event("a", source="rtsp://***@10.0.0.5/live")])
    address = "rtsp://user:pass@10.0.0.5/live"
    done = run_python("-m", "microspot.realtime", "forget", address, "--db", path)
    said = "microspot: 1 events of rtsp://***@10.0.0.5/live are gone\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, said, "")
    assert rows(path, "SELECT count(*) FROM events") == [(0,)]


def test_names_of_a_source_that_is_gone() -> None:
    assert names_of("/videos/clip.mp4") == {"/videos/clip.mp4", "clip.mp4"}
    assert names_of("rtsp://user:pass@10.0.0.5/live") == {"rtsp://***@10.0.0.5/live"}
    assert names_of("env:NOT_SET") == {"env:NOT_SET"}
    assert names_of("0") == {"0"}


def age(path: Path, days: float) -> None:
    """Make all that is recorded so much older."""
    moved = f"strftime('%Y-%m-%dT%H:%M:%SZ', {{}}, '-{days} days')"
    with closing(sqlite3.connect(path)) as connection:
        for table, column in (("events", "recorded_utc"), ("gaps", "recorded_utc"),
                              ("runs", "began_utc")):  # fmt: skip
            connection.execute(f"UPDATE {table} SET {column} = {moved.format(column)}")
        connection.commit()


def test_what_is_older_than_days_goes(path: Path, tmp_path: Path) -> None:
    fill(open_sink(str(path)), [START | {"sources": [{"source": "old-cam"}]}, *RECORDS[2:4]])
    age(path, 8)
    fill(open_sink(str(path)), [START, event("new")])
    assert drop_older(path, 9) == (0, True)
    assert rows(path, "SELECT count(*) FROM events") == [(2,)]
    assert drop_older(path, 7) == (1, True)
    assert rows(path, "SELECT id FROM events") == [("new",)]
    assert rows(path, "SELECT count(*) FROM gaps") == [(0,)]
    assert rows(path, "SELECT count(*) FROM runs") == [(1,)]
    assert left(tmp_path, "old-cam") == []


def test_a_run_keeps_days_from_its_start_and_while_nothing_comes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(open_sink(str(path)))
    age(path, 8)
    monkeypatch.setattr(keeper, "INTERVAL_S", 0.05)
    with open_sink(str(path), keep_days=7) as opened:
        assert rows(path, "SELECT count(*) FROM events") == [(0,)]
        opened.take(START)
        opened.take(event("b"))
        age(path, 8)
        until = time.monotonic() + 30
        while rows(path, "SELECT count(*) FROM events") != [(0,)]:
            assert time.monotonic() < until
            time.sleep(0.02)
    assert "keep" not in [thread.name for thread in threading.enumerate()]


def test_a_keeper_that_fails_ends_the_run(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(open_sink(str(path)))
    monkeypatch.setattr(keeper, "INTERVAL_S", 0.01)
    watching = Keeper(partial(drop_older, path, 7))
    path.unlink()
    watching.join(30)  # the thread has ended by itself
    with pytest.raises(DataError, match="no such file"):
        watching.raise_failure()
    watching.close()


def test_days_are_a_number_of_a_database() -> None:
    check_keep(None, [])
    check_keep(30, ["a.csv", "events.DB"])
    with pytest.raises(UsageError, match=r"add --out events\.db"):
        check_keep(30, ["a.csv"])
    for days in (0, -1, float("nan"), 1e9):
        with pytest.raises(UsageError, match="--keep"):
            check_keep(days, ["events.db"])
