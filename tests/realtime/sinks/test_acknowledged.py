"""A final event that was read from standard output is in every store, once, whatever happens."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from contextlib import closing
from pathlib import Path

import pytest

from microspot.realtime.errors import DataError
from microspot.realtime.sinks.base import JsonRecord, Sink
from microspot.realtime.sinks.callback import CallbackSink
from microspot.realtime.sinks.open import open_sink
from microspot.realtime.watch import follow
from tests.realtime.test_watch import FakeRecords

KILLS = 50
STORES = ("e.db", "e.jsonl", "e.csv", "e.eaf")

# Forks a run for every folder that it is told of. A run prints its process, then acknowledges
# events until it is killed; standard output is named first among its outputs.
SERVER = """
import os, signal, sys
from microspot.realtime.config import Settings
from microspot.realtime.sinks.open import open_sink
from microspot.realtime.records import Event
from microspot.realtime.watch import follow

class Endless:
    draw = None
    settings = Settings()
    def describe(self):
        return {"type": "start", "sources": [{"source": "cam", "started_utc": None}]}
    def run(self):
        for i in range(10**6):
            at = i * 10**9
            yield Event(f"e{i}", "cam", 0, "final", at, at + 3 * 10**8, i, i + 9, 0.5, at + 10**9)
    def figures(self):
        raise AssertionError("nobody asks")
    def stop(self):
        pass

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        print(os.getpid(), flush=True)
        names = ["-", *sys.argv[1:]]
        os.chdir(line.strip())
        follow(Endless(), [open_sink(name) for name in names])
        os._exit(1)
    os.waitpid(child, 0)
    print("\\nover", flush=True)
"""


def stored(folder: Path) -> dict[str, list[str]]:
    """Ids, or onsets, of the events in each store."""
    with closing(sqlite3.connect(folder / "e.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        database = [name for (name,) in connection.execute("SELECT id FROM events")]
    lines = [json.loads(line) for line in whole_lines(folder / "e.jsonl")]
    table = list(csv.DictReader(whole_lines(folder / "e.csv")))
    slots = ET.parse(folder / "e.eaf").findall(".//ALIGNABLE_ANNOTATION")
    return {
        "e.db": database,
        "e.jsonl": [line["id"] for line in lines if line["type"] == "event"],
        "e.csv": [f"e{row['onset']}" for row in table],
        "e.eaf": [f"e{i}" for i in range(len(slots))],  # one after the other
    }


def whole_lines(path: Path) -> list[str]:
    """Lines that are whole: the process may have been killed amid the last one."""
    return path.read_text().split("\n")[:-1]


def test_what_was_acknowledged_is_in_each_store_once_after_kill_9(tmp_path: Path) -> None:
    chance = random.Random(9)
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, *STORES],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    most = 0
    for number in range(KILLS):
        folder = tmp_path / str(number)
        folder.mkdir()
        print(folder, file=server.stdin, flush=True)
        running = int(server.stdout.readline())
        told = [server.stdout.readline() for _ in range(chance.randrange(1, 12))]
        time.sleep(chance.random() * 0.01)
        os.kill(running, signal.SIGKILL)
        while (line := server.stdout.readline()) != "over\n":
            assert line, "the server ended"
            told.append(line)
        read = [json.loads(line) for line in told if line.endswith("}\n")]
        names = {record["id"] for record in read if record["type"] == "event"}
        most = max(most, len(names))
        for store, kept in stored(folder).items():
            assert names <= set(kept), (number, store)
            assert len(kept) == len(set(kept)), (number, store)
    server.stdin.close()
    server.stdout.close()
    server.wait(60)
    assert most > 5


class FullStore(Sink):
    """A store that is full when the event comes."""

    stores = True

    def write(self, record: JsonRecord) -> None:
        if record["type"] == "event":
            raise DataError("cannot write: the disk is full")


def test_an_event_that_a_store_lost_is_not_told_and_the_other_stores_keep_it(
    tmp_path: Path,
) -> None:
    told: list[JsonRecord] = []
    other = tmp_path / "e.jsonl"
    with pytest.raises(DataError, match="full"):
        follow(
            FakeRecords(), [CallbackSink(told.append, False), FullStore(), open_sink(str(other))]
        )
    assert [record["type"] for record in told] == ["start", "state", "state", "end"]
    kept = [json.loads(line)["type"] for line in other.read_text().splitlines()]
    assert kept == ["start", "state", "state", "event", "end"]
