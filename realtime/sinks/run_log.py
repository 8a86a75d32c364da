"""The log of a recording: who made it and when, by which engines, thresholds and version.

It lies beside the recording, as `overlay.mp4.run.json` beside `overlay.mp4`, and is whole at any
time: it is replaced when the run begins, and when a source ends.
"""

from __future__ import annotations

import getpass
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from microspot.engines.system.processes import user_number

from .atomic_file import check_writable, replace_file
from .base import JsonRecord

ENDING = ".run.json"
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"  # UTC; later times sort later


class RunLog:
    """The log beside `recording`. Raises DataError where it cannot be written."""

    def __init__(self, recording: Path) -> None:
        self.path = recording.with_name(recording.name + ENDING)
        self._content: dict[str, Any] = {
            "recording": recording.name,
            "user": user(),
            "began_utc": None,
            "ended_utc": None,
            "start": None,
            "ends": [],
        }
        check_writable(self.path)

    def take(self, record: JsonRecord) -> None:
        """Keep the `start` record, and every `end` record with the time that it came."""
        if record["type"] == "start":
            self._content |= {"began_utc": now_utc(), "start": record}
            self._save()
        elif record["type"] == "end":
            self._content["ended_utc"] = now_utc()
            self._content["ends"].append(record)
            self._save()

    def remove(self) -> None:
        """Delete the log: there is no recording."""
        self.path.unlink(missing_ok=True)

    def _save(self) -> None:
        replace_file(self.path, json.dumps(self._content, indent=1).encode() + b"\n")


def user() -> str:
    """The name of the user who runs this, or the number where the system knows no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # ImportError: of `pwd`, which Windows lacks
        number = user_number()
        return "user unknown" if number is None else f"user {number}"


def now_utc() -> str:
    """The time now, to the second, such as 2026-11-30T12:00:00Z."""
    return datetime.now(UTC).strftime(TIME_FORMAT)
