"""Layouts of databases, the one of events among them, and how a file of a layout is opened.

SQLite with a write-ahead log: others read while a run writes. A commit is on the disk before it
returns (`synchronous` is FULL), and what is deleted is overwritten (`secure_delete`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ...errors import DataError
from ..base import reason

BUSY_S = 10.0  # for another writer to end its transaction


@dataclass(frozen=True)
class Layout:
    """The tables of a kind of file.

    application_id: by which the file is known as ours; migrations: statements that make each
    version of the last one, the first of an empty file.
    """

    application_id: int
    migrations: tuple[tuple[str, ...], ...]

    @property
    def version(self) -> int:
        """The version that this program writes."""
        return len(self.migrations)


_EVENTS: tuple[tuple[str, ...], ...] = (
    (
        # start: the `start` record as JSON, without its sources.
        "CREATE TABLE runs (run TEXT PRIMARY KEY, began_utc TEXT NOT NULL, user TEXT NOT NULL,"
        " start TEXT NOT NULL) STRICT",
        # frames, ended_utc: null until the source ends.
        "CREATE TABLE sources (run TEXT NOT NULL, source TEXT NOT NULL, started_utc TEXT,"
        " fps REAL, frames INTEGER, ended_utc TEXT, PRIMARY KEY (run, source)) STRICT",
        # record: the whole `event` record as JSON; the columns are there to be searched.
        "CREATE TABLE events (id TEXT PRIMARY KEY, run TEXT NOT NULL, source TEXT NOT NULL,"
        " face INTEGER NOT NULL, onset_s REAL NOT NULL, apex_s REAL, offset_s REAL NOT NULL,"
        " onset_frame INTEGER NOT NULL, apex_frame INTEGER, offset_frame INTEGER NOT NULL,"
        " score REAL NOT NULL, label TEXT, recorded_utc TEXT NOT NULL, record TEXT NOT NULL)"
        " STRICT",
        "CREATE INDEX events_by_source ON events (source, onset_s)",
        "CREATE INDEX events_by_age ON events (recorded_utc)",
    ),
    (
        "CREATE TABLE gaps (run TEXT NOT NULL, source TEXT NOT NULL, face INTEGER,"
        " start_s REAL NOT NULL, stop_s REAL NOT NULL, reason TEXT NOT NULL,"
        " recorded_utc TEXT NOT NULL) STRICT",
        "CREATE INDEX gaps_by_source ON gaps (source, start_s)",
        "CREATE INDEX gaps_by_age ON gaps (recorded_utc)",
    ),
    (
        "ALTER TABLE events ADD COLUMN subject TEXT",
        "CREATE INDEX events_by_subject ON events (subject, onset_s)",
    ),
)
EVENTS = Layout(0x6D73706F, _EVENTS)  # "mspo"


@contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Turn errors of SQLite into a DataError of one line."""
    try:
        yield
    except sqlite3.Error as error:
        raise DataError(f"cannot use {path}: {error}") from error


def open_database(path: Path, layout: Layout, *, create: bool) -> sqlite3.Connection:
    """A connection to the database at `path`, brought up to its version; every statement commits.

    It may be used by one thread at a time. create: whether to make a file that is not there. Raises
    DataError where the file cannot be written, is no database of ours, or is of a later version.
    """
    try:
        with path.open("ab" if create else "r+b"):
            pass
    except OSError as error:
        raise DataError(f"cannot use {path}: {_why(error, create)}") from error
    with refusals(path):
        connection = sqlite3.connect(
            path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
    try:
        with refusals(path):
            _check_owner(connection, path, layout)
            for setting in ("synchronous = FULL", "secure_delete = ON", "temp_store = MEMORY"):
                connection.execute(f"PRAGMA {setting}")
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            if mode != "wal":
                raise DataError(f"cannot use {path}: no write-ahead log there; take a local disk")
            _migrate(connection, layout)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
    """All of the statements within, or none of them, on one state of the database.

    kind: DEFERRED lets others write until the first statement does; what is read stays the same.
    """
    connection.execute(f"BEGIN {kind}")
    try:
        yield
    except BaseException:
        if connection.in_transaction:  # SQLite itself ends it where the disk is full
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _why(error: OSError, create: bool) -> str:
    if isinstance(error, FileNotFoundError) and not create:
        return "no such file"
    return reason(error)


def _check_owner(connection: sqlite3.Connection, path: Path, layout: Layout) -> None:
    """Raise DataError for another program's database, or a later microspot's."""
    with transaction(connection, "DEFERRED"):  # else another run may make them between the reads
        (owner,) = connection.execute("PRAGMA application_id").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    if tables and owner != layout.application_id:
        raise DataError(f"{path} is the database of another program: choose another file")
    if version > layout.version:
        raise DataError(
            f"{path} is of version {version}, written by a later microspot: "
            f"this one knows up to {layout.version}"
        )


def _migrate(connection: sqlite3.Connection, layout: Layout) -> None:
    """Bring the tables up to their version, in one transaction: whole, or as they were."""
    with transaction(connection):
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        for statements in layout.migrations[version:]:
            for statement in statements:
                connection.execute(statement)
        if version < layout.version:
            connection.execute(f"PRAGMA application_id = {layout.application_id}")
            connection.execute(f"PRAGMA user_version = {layout.version}")
