"""Events as the event log that The Observer XT exports as text.

UTF-16 with a byte-order mark, commas, every cell in quotes. A state has two rows, `State start`
with its duration and `State stop`; the apex is a `Point`. Absolute times count from the start of
the source, or from 1970 where that is not known.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from .coded_run import (
    POINT,
    START,
    STOP,
    UNDATED,
    CodedEvent,
    CodedRun,
    CodedSource,
    behavior_of,
    marks_of,
    quoted,
)
from .elan import annotation_value

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
    rows: list[Sequence[str]] = [COLUMNS]
    for source in run.sources:
        began = datetime.fromisoformat(source.started_utc or UNDATED)
        for at_ms, kind, event in marks_of(run.of(source.name)):
            rows.append(_row(source, began, at_ms, kind, event))
    text = "".join(f"{','.join(map(quoted, row))}\r\n" for row in rows)
    return codecs.BOM_UTF16_LE + text.encode("utf-16-le")


def _row(
    source: CodedSource, began: datetime, at_ms: int, kind: int, event: CodedEvent
) -> list[str]:
    now = began.astimezone(UTC) + timedelta(milliseconds=at_ms)
    since = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
    long_ms = event.offset_ms - event.onset_ms if kind == START else 0
    return [
        f"{now:%d-%m-%Y %H:%M:%S}.{now.microsecond // 1000:03}",
        f"{now:%d-%m-%Y}",
        f"{now:%H:%M:%S}",
        f"{now.microsecond // 1000:03}",
        f"{since:%H:%M:%S}.{at_ms % 1000:03}",
        f"{since:%H:%M:%S}",
        f"{at_ms % 1000:03}",
        f"{at_ms / 1000:.3f}",
        f"{long_ms / 1000:.3f}",
        source.name,
        EVENT_LOG,
        event.subject,
        behavior_of(kind, event),
        event.label,
        TYPES[kind],
        annotation_value(event.record) if kind == START else "",
    ]
