"""Events as the event log that The Observer XT exports as text.

UTF-16 with a byte-order mark, commas, every cell in quotes. A state has two rows, `State start`
with its duration and `State stop`; the apex is a `Point`, and so is a stimulus marker, its modifier
what it says. Absolute times count from the start of the source, or from 1970 where that is not
known.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from .coded_run import KEPT, UNDATED, CodedRun, quoted
from .marks import POINT, START, STOP, Mark, marks_of

COLUMNS = (
    "Date_Time_Absolute_dmy_hmsf",
    "Date_dmy",
    "Time_Absolute_hms",
    "Time_Absolute_f",
    "Time_Relative_hmsf",
    "Time_Relative_hms",
    "Time_Relative_f",
    "Time_Relative_sf",
    "Duration_sf",
    "Observation",
    "Event_Log",
    "Subject",
    "Behavior",
    "Modifier_1",
    "Event_Type",
    "Comment",
)
EVENT_LOG = "microspot"
TYPES = {STOP: "State stop", POINT: "Point", START: "State start"}


def document(run: CodedRun) -> bytes:
    """The event log of a run."""
    rows = [_line(COLUMNS)]
    for source in run.sources:
        began = datetime.fromisoformat(source.started_utc or UNDATED)
        rows += [_row(source.name, began, mark) for mark in marks_of(run, source.name)]
    return codecs.BOM_UTF16_LE + "".join(rows).encode("utf-16-le")


def _line(row: Sequence[str]) -> str:
    return f"{','.join(map(quoted, row))}\r\n"


@lru_cache(maxsize=KEPT)
def _row(observation: str, began: datetime, mark: Mark) -> str:
    at_ms = mark.at_ms
    now = began.astimezone(UTC) + timedelta(milliseconds=at_ms)
    since = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
    row = [
        f"{now:%d-%m-%Y %H:%M:%S}.{now.microsecond // 1000:03}",
        f"{now:%d-%m-%Y}",
        f"{now:%H:%M:%S}",
        f"{now.microsecond // 1000:03}",
        f"{since:%H:%M:%S}.{at_ms % 1000:03}",
        f"{since:%H:%M:%S}",
        f"{at_ms % 1000:03}",
        f"{at_ms / 1000:.3f}",
        f"{mark.lasts_ms / 1000:.3f}",
        observation,
        EVENT_LOG,
        mark.subject,
        mark.behavior,
        mark.modifier,
        TYPES[mark.kind],
        mark.comment,
    ]
    return _line(row)
