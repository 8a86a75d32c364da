"""Events in a database, one transaction each: what `write` has returned from is on the disk."""

from __future__ import annotations

import json
import secrets
from functools import partial
from pathlib import Path
from typing import Any

from ..base import JsonRecord, Sink, json_line
from ..run_log import now_utc, user
from .erase import drop_older
from .keeper import Keeper
from .schema import EVENTS, open_database, refusals, transaction

EVENT_COLUMNS = (
    "id",
    "source",
    "face",
    "subject",
    "onset_s",
    "apex_s",
    "offset_s",
    "onset_frame",
    "apex_frame",
    "offset_frame",
    "score",
    "label",
)


class DatabaseSink(Sink):
    """Final events and gaps in a SQLite file, beside those of earlier runs.

    An event that is there already, from an earlier run over the same video, is replaced. keep_days:
    what was recorded longer ago is deleted, now and every hour of the run. Raises DataError where
    the file cannot be used.
    """

    stores = True

    def __init__(self, path: Path, keep_days: float | None = None) -> None:
        self._path = path
        self._run = secrets.token_hex(8)
        self._start: tuple[str, str, str, str] | None = None  # the row of this run
        self._sources: dict[str, dict[str, Any]] = {}
        self._connection = open_database(path, EVENTS, create=True)
        self._keeper: Keeper | None = None
        if keep_days is not None:
            try:
                self._keeper = Keeper(partial(drop_older, path, keep_days))
            except BaseException:
                self._connection.close()
                raise

    def write(self, record: JsonRecord) -> None:
        """Keep a run, an event, a gap or the end of a source."""
        if self._keeper is not None:
            self._keeper.raise_failure()
        kind = record["type"]
        if kind == "start":
            self._begin(record)
        if kind not in ("event", "gap", "end"):
            return
        with refusals(self._path), transaction(self._connection):
            self._keep_run(record["source"])
            if kind == "event":
                self._keep_event(record)
            elif kind == "gap":
                self._keep_gap(record)
            else:
                self._keep_end(record)

    def _begin(self, record: JsonRecord) -> None:
        rest = {name: value for name, value in record.items() if name not in ("type", "sources")}
        self._start = (self._run, now_utc(), user(), json.dumps(rest))
        self._sources = {entry["source"]: entry for entry in record["sources"]}

    def _keep_run(self, source: str) -> None:
        """Make sure that the run and its source have a row: `forget` may have deleted them."""
        run = self._start or (self._run, now_utc(), user(), "{}")
        self._connection.execute("INSERT OR IGNORE INTO runs VALUES (?, ?, ?, ?)", run)
        entry = self._sources.get(source, {})
        self._connection.execute(
            "INSERT OR IGNORE INTO sources (run, source, started_utc, fps) VALUES (?, ?, ?, ?)",
            (self._run, source, entry.get("started_utc"), entry.get("fps")),
        )

    def _keep_event(self, record: JsonRecord) -> None:
        columns = ("run", "recorded_utc", "record", *EVENT_COLUMNS)
        values = [record[name] for name in EVENT_COLUMNS]
        marks = ", ".join("?" * len(columns))
        self._connection.execute(
            f"INSERT OR REPLACE INTO events ({', '.join(columns)}) VALUES ({marks})",
            (self._run, now_utc(), json_line(record), *values),
        )

    def _keep_gap(self, record: JsonRecord) -> None:
        names = ("source", "face", "start_s", "stop_s", "reason")
        self._connection.execute(
            "INSERT INTO gaps VALUES (?, ?, ?, ?, ?, ?, ?)",
            (self._run, *(record[name] for name in names), now_utc()),
        )

    def _keep_end(self, record: JsonRecord) -> None:
        self._connection.execute(
            "UPDATE sources SET frames = ?, ended_utc = ? WHERE run = ? AND source = ?",
            (record["frames"], now_utc(), self._run, record["source"]),
        )

    def close(self) -> None:
        """Close the file; the last one to leave brings the log into it."""
        if self._keeper is not None:
            self._keeper.close()
        self._connection.close()
