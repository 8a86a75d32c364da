"""Decisions on the disk: nothing is overwritten, every change is one more row.

What stands is the last row of each coder, event and field; what was undone is a row as well, which
names the row that it undoes. So the table is the trail of who changed what, and when.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from microspot.engines.text.redaction import printable

from ..errors import UsageError
from ..sinks.database.schema import Layout, open_database, refusals, transaction
from ..sinks.run_log import now_utc
from .decisions import FIELDS, Decision
from .results import EventKey

FILE = "review.db"  # within the folder of the results
CODER_CHARACTERS = 64

_REVIEW: tuple[tuple[str, ...], ...] = (
    (
        # video, event: an EventKey; value: as JSON, null for as it was spotted; undoes: the number
        # of the row whose change this one takes back.
        "CREATE TABLE changes (number INTEGER PRIMARY KEY AUTOINCREMENT, coder TEXT NOT NULL,"
        " video TEXT NOT NULL, event TEXT NOT NULL, field TEXT NOT NULL, value TEXT,"
        " undoes INTEGER UNIQUE REFERENCES changes (number), changed_utc TEXT NOT NULL) STRICT",
        "CREATE INDEX changes_by_event ON changes (coder, video, event, field, number)",
        "CREATE TRIGGER changes_stay BEFORE UPDATE ON changes"
        " BEGIN SELECT RAISE(ABORT, 'changes are only added'); END",
        "CREATE TRIGGER changes_remain BEFORE DELETE ON changes"
        " BEGIN SELECT RAISE(ABORT, 'changes are only added'); END",
    ),
)
REVIEW = Layout(0x6D737276, _REVIEW)  # "msrv"


@dataclass(frozen=True)
class Change:
    """A row of the trail; value: None for as it was spotted."""

    number: int
    key: EventKey
    field: str
    value: Any
    undoes: int | None
    changed_utc: str


class Store:
    """The decisions of one coder in the database at `path`; those of others can't be asked for.

    What `change` and `undo` have returned from is on the disk. For several threads. Raises
    DataError where the file cannot be used, UsageError for a coder without a name.
    """

    def __init__(self, path: Path, coder: str, *, create: bool = True) -> None:
        self.coder = checked_coder(coder)
        self._path = path
        self._lock = threading.Lock()
        self._connection = open_database(path, REVIEW, create=create)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def decisions(self) -> dict[EventKey, Decision]:
        """What stands, of every event on which the coder said something."""
        values: dict[EventKey, dict[str, Any]] = {}
        for change in self.changes():
            values.setdefault(change.key, {})[change.field] = change.value
        return {key: Decision.of(fields) for key, fields in values.items()}

    def decision(self, key: EventKey) -> Decision:
        """What stands of one event."""
        rows = self._rows("coder = ? AND video = ? AND event = ? ORDER BY number", self.coder, *key)
        changes = [self._change(row) for row in rows]
        return Decision.of({change.field: change.value for change in changes})

    def changes(self) -> list[Change]:
        """The coder's trail, from the first change on."""
        rows = self._rows("coder = ? ORDER BY number", self.coder)
        return [self._change(row) for row in rows]

    def change(self, key: EventKey, field: str, value: Any) -> None:
        """Set a field to what JSON holds; None for as it was spotted."""
        self.change_all(key, {field: value})

    def change_all(self, key: EventKey, values: Mapping[str, Any]) -> None:
        """Set several fields in this order, a row for each: all of them or none."""
        for field in values:
            if field not in FIELDS:
                raise UsageError(f"{field}: expected one of {', '.join(FIELDS)}")

        def write() -> None:
            for field, value in values.items():
                self._insert(key, field, None if value is None else json.dumps(value))

        self._write(write)

    def undo(self) -> Change | None:
        """Take back the coder's last change that still stands; None where there is none."""
        undone: list[Change] = []

        def take_back() -> None:
            rows = self._select(
                "coder = ? AND undoes IS NULL AND number NOT IN"
                " (SELECT undoes FROM changes WHERE undoes IS NOT NULL) ORDER BY number DESC"
                " LIMIT 1",
                self.coder,
            )
            for row in rows:
                change = self._change(row)
                self._insert(change.key, change.field, self._before(change), change.number)
                undone.append(change)

        self._write(take_back)
        return undone[0] if undone else None

    def _before(self, change: Change) -> str | None:
        """The value, as JSON, that a change replaced."""
        rows = self._select(
            "coder = ? AND video = ? AND event = ? AND field = ? AND number < ?"
            " ORDER BY number DESC LIMIT 1",
            self.coder,
            *change.key,
            change.field,
            change.number,
        )
        return rows[0][4] if rows else None

    def _insert(
        self, key: EventKey, field: str, value: str | None, undoes: int | None = None
    ) -> None:
        self._connection.execute(
            "INSERT INTO changes (coder, video, event, field, value, undoes, changed_utc)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (self.coder, *key, field, value, undoes, now_utc()),
        )

    def _write(self, statements: Callable[[], None]) -> None:
        with self._lock, refusals(self._path), transaction(self._connection):
            statements()

    def _rows(self, condition: str, *values: object) -> list[Any]:
        with self._lock, refusals(self._path):
            return self._select(condition, *values)

    def _select(self, condition: str, *values: object) -> list[Any]:
        columns = "number, video, event, field, value, undoes, changed_utc"
        return self._connection.execute(
            f"SELECT {columns} FROM changes WHERE {condition}", values
        ).fetchall()

    @staticmethod
    def _change(row: Any) -> Change:
        number, video, event, field, value, undoes, changed_utc = row
        parsed = None if value is None else json.loads(value)
        return Change(number, EventKey(video, event), field, parsed, undoes, changed_utc)


def checked_coder(name: str) -> str:
    """The name of a coder. Raises UsageError for one that cannot be shown or is too long."""
    if not name.strip() or printable(name) != name or len(name) > CODER_CHARACTERS:
        raise UsageError(f"coder {name!r}: give a name of at most {CODER_CHARACTERS} letters")
    return name


def coders(path: Path) -> list[str]:
    """The coders who said something, by name. Raises DataError where the file cannot be used."""
    with closing(open_database(path, REVIEW, create=False)) as connection, refusals(path):
        return [
            name
            for (name,) in connection.execute("SELECT DISTINCT coder FROM changes ORDER BY coder")
        ]
