"""Events on their way to another program, kept on the disk until it has taken them.

One file for each address, so that a later run sends what an earlier one could not. It is named by a
digest, since addresses may hold secrets. Events leave it when they are taken, by `forget` and
`--keep`.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from microspot.engines.system.folders import state_home

from ...errors import DataError
from ..base import JsonRecord, json_line
from ..database.erase import Erased, clean, days_ago
from ..database.schema import Layout, open_database, refusals, transaction
from ..run_log import now_utc

SPOOL = Layout(
    0x6D737370,  # "mssp"
    (
        (
            "CREATE TABLE queue (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
            " source TEXT NOT NULL, recorded_utc TEXT NOT NULL, record TEXT NOT NULL) STRICT",
        ),
    ),
)
ENDING = ".spool"


class Waiting(NamedTuple):
    """The oldest event that is not taken: its place in the queue, its id, the body to send."""

    number: int
    id: str
    body: bytes


def path_of(address: str) -> Path:
    """The spool of an address."""
    digest = hashlib.sha256(address.encode("utf-8", "surrogateescape")).hexdigest()
    return state_home() / f"{digest[:16]}{ENDING}"


class Spool:
    """The queue of an address, for the thread that writes and the one that sends.

    An event that waits already is not added again. Raises DataError where it cannot be used.
    """

    def __init__(self, address: str) -> None:
        self.path = path_of(address)
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"cannot use {self.path.parent}: {error.strerror}") from error
        self._lock = threading.Lock()
        self._connection = open_database(self.path, SPOOL, create=True)
        self.path.chmod(0o600)

    def add(self, event: JsonRecord, body: str | None = None) -> None:
        """Add an event; when this returns it is on the disk. body: what is sent, if not it."""
        row = (event["id"], event["source"], now_utc(), body or json_line(event))
        with self._lock, refusals(self.path):
            self._connection.execute(
                "INSERT OR IGNORE INTO queue (id, source, recorded_utc, record)"
                " VALUES (?, ?, ?, ?)",
                row,
            )

    def oldest(self) -> Waiting | None:
        """The event to send next; None where none waits."""
        query = "SELECT number, id, record FROM queue ORDER BY number LIMIT 1"
        with self._lock, refusals(self.path):
            row = self._connection.execute(query).fetchone()
        return None if row is None else Waiting(row[0], row[1], row[2].encode())

    def remove(self, number: int) -> None:
        """Forget an event that was taken."""
        with self._lock, refusals(self.path):
            self._connection.execute("DELETE FROM queue WHERE number = ?", (number,))

    def __len__(self) -> int:
        with self._lock, refusals(self.path):
            (count,) = self._connection.execute("SELECT count(*) FROM queue").fetchone()
        return int(count)

    def close(self) -> None:
        """Close the file, without what was taken; one that is empty is cleaned of all bytes."""
        with self._lock, refusals(self.path):
            clean(self._connection)
            self._connection.close()


def drop_older(path: Path, days: float, *, always: bool = True) -> Erased:
    """Delete from a spool what was recorded more than `days` ago."""
    return _erase(path, "recorded_utc < ?", [days_ago(days)], always)


def forget(names: set[str]) -> int:
    """Delete the events of sources called `names` from every spool; how many that were."""
    condition = f"source IN ({', '.join('?' * len(names))})"
    return sum(_erase(path, condition, sorted(names), True).events for path in _spools())


def _spools() -> Iterator[Path]:
    if state_home().is_dir():
        yield from sorted(state_home().glob(f"*{ENDING}"))


def _erase(path: Path, condition: str, values: list[str], always: bool) -> Erased:
    with closing(open_database(path, SPOOL, create=False)) as connection, refusals(path):
        with transaction(connection):
            events = connection.execute(f"DELETE FROM queue WHERE {condition}", values).rowcount
        return Erased(events, clean(connection) if always or events else True)
