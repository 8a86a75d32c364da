"""The tables of a database of events, their version, and how a file is opened.

SQLite with a write-ahead log: others read while a run writes. A commit is on the disk before it
returns (`synchronous` is FULL), and what is deleted is overwritten (`secure_delete`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...errors import DataError
from ..base import reason

APPLICATION_ID = 0x6D73706F  # "mspo", by which a file is known as ours
BUSY_S = 10.0  # for another writer to end its transaction
# What makes each version of the last one; the first makes it of an empty file.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
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
)
VERSION = len(MIGRATIONS)


@contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Turn errors of SQLite into a DataError of one line."""
    try:
        yield
    except sqlite3.Error as error:
        raise DataError(f"cannot use {path}: {error}") from error


def open_database(path: Path, *, create: bool) -> sqlite3.Connection:
    """A connection to the database at `path`, brought up to VERSION; every statement commits.

    create: whether to make a file that is not there. Raises DataError where the file cannot be
    written, is no database of ours, or is of a later version.
    """
    try:
        with path.open("ab" if create else "r+b"):
            pass
    except OSError as error:
        raise DataError(f"cannot use {path}: {_why(error, create)}") from error
    with refusals(path):
        connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
    try:
        with refusals(path):
            _check_owner(connection, path)
            for setting in ("synchronous = FULL", "secure_delete = ON", "temp_store = MEMORY"):
                connection.execute(f"PRAGMA {setting}")
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            if mode != "wal":
                raise DataError(f"cannot use {path}: no write-ahead log there; take a local disk")
            _migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of the statements within, or none of them."""
    connection.execute("BEGIN IMMEDIATE")
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


def _check_owner(connection: sqlite3.Connection, path: Path) -> None:
    """Raise DataError for another program's database, or a later microspot's."""
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and owner != APPLICATION_ID:
        raise DataError(f"{path} is the database of another program: choose another file")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise DataError(
            f"{path} is of version {version}, written by a later microspot: "
            f"this one knows up to {VERSION}"
        )


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables up to VERSION, in one transaction: whole, or as they were."""
    with transaction(connection):
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        if version < VERSION:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
