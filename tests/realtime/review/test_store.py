"""Decisions on the disk: nothing is lost, nothing is overwritten, no coder sees another's."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from microspot.realtime.errors import DataError, UsageError
from microspot.realtime.review.decisions import Decision, Point
from microspot.realtime.review.results import EventKey
from microspot.realtime.review.store import Store, coders

KEY = EventKey("clip.mp4", "e1")
OTHER = EventKey("clip.mp4", "e2")
ACKNOWLEDGED = 20
# Changes without end, each told once it is on the disk.
ENDLESS = """
import itertools, sys
from pathlib import Path
from microspot.realtime.review.results import EventKey
from microspot.realtime.review.store import Store

with Store(Path(sys.argv[1]), "Anna") as store:
    for number in itertools.count():
        store.change(EventKey("clip.mp4", f"e{number}"), "verdict", "accepted")
        print(number, flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "review.db"


def test_what_stands_is_the_last_change_of_each_field(path: Path) -> None:
    with Store(path, "Anna") as store:
        store.change(KEY, "verdict", "rejected")
        store.change(KEY, "verdict", "accepted")
        store.change(KEY, "onset", [12, 0.4])
        store.change(KEY, "label", "")
        store.change(KEY, "action_units", ["AU4", "AUL12"])
        store.change(OTHER, "note", "speaks")
    expected = Decision("accepted", Point(12, 0.4), label="", action_units=("AU4", "AUL12"))
    with Store(path, "Anna") as store:
        assert store.decisions() == {KEY: expected, OTHER: Decision(note="speaks")}
        assert store.decision(KEY) == expected
        assert store.decision(EventKey("clip.mp4", "e3")) == Decision()


def test_every_undo_takes_back_one_change_and_is_a_row_itself(path: Path) -> None:
    with Store(path, "Anna") as store:
        store.change(KEY, "onset", [10, 0.3])
        store.change(KEY, "onset", [12, 0.4])
        store.change(OTHER, "verdict", "accepted")
        seen = []
        for _ in range(2):
            undone = store.undo()
            assert undone is not None
            seen.append((undone.key, store.decision(KEY).onset))
        assert seen == [(OTHER, Point(12, 0.4)), (KEY, Point(10, 0.3))]
        store.change(KEY, "onset", [20, 0.6])
        assert store.undo() is not None
        assert store.decision(KEY).onset == Point(10, 0.3)
        assert store.undo() is not None
        assert store.decision(KEY) == Decision()
        assert store.undo() is None
        trail = [(change.number, change.field, change.undoes) for change in store.changes()]
    assert trail == [
        (1, "onset", None),
        (2, "onset", None),
        (3, "verdict", None),
        (4, "verdict", 3),
        (5, "onset", 2),
        (6, "onset", None),
        (7, "onset", 6),
        (8, "onset", 1),
    ]


def test_the_trail_can_only_grow(path: Path) -> None:
    with Store(path, "Anna") as store:
        store.change(KEY, "verdict", "accepted")
    connection = sqlite3.connect(path)
    for statement in ("UPDATE changes SET coder = 'Ben'", "DELETE FROM changes"):
        with pytest.raises(sqlite3.IntegrityError, match="only added"):
            connection.execute(statement)
    connection.close()


def test_coders_are_blind_to_each_other(path: Path) -> None:
    with Store(path, "Anna") as anna, Store(path, "Ben") as ben:
        anna.change(KEY, "verdict", "accepted")
        ben.change(OTHER, "verdict", "rejected")
        anna.change(KEY, "note", "brow")
        assert ben.decisions() == {OTHER: Decision("rejected")}
        assert ben.decision(KEY) == Decision()
        assert [change.key for change in ben.changes()] == [OTHER]
        assert ben.undo() is not None
        assert ben.undo() is None
        assert anna.decisions() == {KEY: Decision("accepted", note="brow")}
    assert coders(path) == ["Anna", "Ben"]


def test_a_kill_loses_nothing_that_was_acknowledged(path: Path) -> None:
    command = [sys.executable, "-c", ENDLESS, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        told = [int(writer.stdout.readline()) for _ in range(ACKNOWLEDGED)]
        writer.kill()
        told += map(int, writer.stdout.read().split())
    with Store(path, "Anna") as store:
        kept = store.decisions()
    assert all(kept[EventKey("clip.mp4", f"e{number}")].verdict == "accepted" for number in told)


@pytest.mark.parametrize("coder", ["", "  ", "a\nb", "x" * 65])
def test_a_coder_has_a_name(path: Path, coder: str) -> None:
    with pytest.raises(UsageError, match="give a name"):
        Store(path, coder)


def test_another_database_and_a_missing_one_are_refused(path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        Store(path, "Anna", create=False)
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE mine (x)")
    connection.close()
    with pytest.raises(DataError, match="another program"):
        Store(path, "Anna")
