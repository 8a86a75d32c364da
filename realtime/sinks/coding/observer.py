"""Events as the event log that The Observer XT exports as text.

UTF-16 with a byte-order mark, commas, every cell in quotes. A state has two rows, `State start`
with its duration and `State stop`; the apex is a `Point`. Absolute times count from the start of
the source, or from 1970 where that is not known.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from microspot.engines.data.coded.words import APEX

from .coded_run import UNDATED, CodedEvent, CodedRun, CodedSource
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


def document(run: CodedRun) -> bytes:
    """The event log of a run."""
    rows: list[Sequence[str]] = [COLUMNS]
    for source in run.sources:
        began = datetime.fromisoformat(source.started_utc or UNDATED)
        marks = [mark for event in run.of(source.name) for mark in _marks(event)]
        for at_ms, _, kind, event in sorted(marks, key=lambda mark: mark[:2]):
            rows.append(_row(source, began, at_ms, kind, event))
    text = "".join(f"{','.join(map(_quoted, row))}\r\n" for row in rows)
    return codecs.BOM_UTF16_LE + text.encode("utf-16-le")


def _marks(event: CodedEvent) -> list[tuple[int, int, str, CodedEvent]]:
    """(ms, order of what is at one time, kind, event): a stop comes before a start."""
    marks = [(event.onset_ms, 2, "State start", event), (event.offset_ms, 0, "State stop", event)]
    if event.apex_ms is not None:
        marks.append((event.apex_ms, 1, "Point", event))
    return marks


def _row(
    source: CodedSource, began: datetime, at_ms: int, kind: str, event: CodedEvent
) -> list[str]:
    now = began.astimezone(UTC) + timedelta(milliseconds=at_ms)
    since = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
    long_ms = event.offset_ms - event.onset_ms if kind == "State start" else 0
    point = kind == "Point"
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
        f"{event.behavior} {APEX}" if point else event.behavior,
        event.label,
        kind,
        annotation_value(event.record) if kind == "State start" else "",
    ]


def _quoted(text: str) -> str:
    doubled = text.replace('"', '""')
    return f'"{doubled}"'
