"""Events deleted for good: no bytes of them are left in the database or beside it.

`secure_delete` overwrites deleted rows with zeros, but pages of the file may still hold copies
from when SQLite moved rows about; so the file is built again (VACUUM) and the write-ahead log, in
which the rows stood as well, cut to nothing.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from ...errors import DataError
from ..run_log import TIME_FORMAT
from .schema import EVENTS, open_database, refusals, transaction


class Erased(NamedTuple):
    """How many events were deleted, and whether no byte of them is left.

    There may be some while others read the file, or write it.
    """

    events: int
    clean: bool


def forget(path: Path, names: set[str]) -> int:
    """Delete all that is known of the sources called `names`; how many events that were.

    Raises DataError where the database knows none of them, and where other programs keep the file
    from being cleaned: the rows are deleted then, and the next call cleans it.
    """
    with closing(open_database(path, EVENTS, create=False)) as connection, refusals(path):
        known = {name for (name,) in connection.execute("SELECT source FROM sources")}
        found = names & known
        if known and not found:
            raise DataError(
                f"{path} has no source {' or '.join(sorted(names))}: it has "
                f"{', '.join(sorted(known))}"
            )
        erased = _erase(connection, "source", sorted(found))
    if not erased.clean:
        raise DataError(
            f"{erased.events} events are deleted, but another program uses {path}: "
            "end it and forget again, so that no bytes are left"
        )
    return erased.events


def drop_older(path: Path, days: float, *, always: bool = True) -> Erased:
    """Delete what was recorded more than `days` ago.

    always: whether to clean the file even where nothing was deleted.
    """
    limit = days_ago(days)
    with closing(open_database(path, EVENTS, create=False)) as connection, refusals(path):
        return _erase(connection, "recorded_utc", [limit], always)


def days_ago(days: float) -> str:
    """The time so many days ago, as records have it."""
    return (datetime.now(UTC) - timedelta(days=days)).strftime(TIME_FORMAT)


def _erase(
    connection: sqlite3.Connection, column: str, values: list[str], always: bool = True
) -> Erased:
    """Delete events and gaps by source, or those recorded before a time; then what they leave."""
    condition = f"source IN ({', '.join('?' * len(values))})"
    if column == "recorded_utc":
        condition = "recorded_utc < ?"
    with transaction(connection):
        events = connection.execute(f"DELETE FROM events WHERE {condition}", values).rowcount
        gaps = connection.execute(f"DELETE FROM gaps WHERE {condition}", values).rowcount
        if column == "source":
            connection.execute(f"DELETE FROM sources WHERE {condition}", values)
        else:
            connection.execute(
                "DELETE FROM sources WHERE run IN (SELECT run FROM runs WHERE began_utc < ?)"
                " AND NOT EXISTS (SELECT 1 FROM events e"
                " WHERE e.run = sources.run AND e.source = sources.source)"
                " AND NOT EXISTS (SELECT 1 FROM gaps g"
                " WHERE g.run = sources.run AND g.source = sources.source)",
                values,
            )
        connection.execute("DELETE FROM runs WHERE run NOT IN (SELECT run FROM sources)")
    if not (always or events or gaps):
        return Erased(0, True)
    return Erased(events, clean(connection))


def clean(connection: sqlite3.Connection) -> bool:
    """Build the file again and empty its log; False where others keep that from being done."""
    try:
        connection.execute("VACUUM")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise
        return False
    (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy
