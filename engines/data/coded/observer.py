"""Event logs that The Observer XT exports as text: comma, semicolon or tab, UTF-8 or UTF-16.

A state has a row `State start` and a row `State stop`. The video is the observation.
"""

from __future__ import annotations

from pathlib import Path

from ...errors import DataError
from ..tables import number, read_rows
from .pairing import CodedInterval, Mark, paired
from .words import label_of

TIME = "time_relative_sf"
REQUIRED = (TIME, "observation", "behavior", "event_type")
STATUS = {"state start": "start", "state stop": "stop", "point": "point"}


def is_one(text: str) -> bool:
    """Whether a text is such a log."""
    return TIME in text.partition("\n")[0].lower()


def parse(path: Path, _: str) -> list[CodedInterval]:
    """The intervals of a log. Raises DataError with the line."""
    marks = []
    for line, row in read_rows(path, REQUIRED):
        where = f"{path} line {line}"
        status = STATUS.get(row["event_type"].strip().lower())
        if status is None:
            continue  # of the log itself, such as its start
        at_s = number(row[TIME])
        if at_s is None:
            raise DataError(f"{where}: {TIME} is {row[TIME]!r}, expected seconds")
        label = label_of(row.get("modifier_1") or "")
        subject = row.get("subject") or ""
        marks.append(Mark(row["observation"], subject, row["behavior"], status, at_s, label, where))
    return paired(marks)
