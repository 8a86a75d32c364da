"""`microspot evaluate`: score with the code that runs live. Same pipeline, same events, then `engines.metrics`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from engines.data.annotations import Interval, read_table
from engines.metrics import match, recognition_report, spotting_report
from engines.redaction import printable, redact_uri
from engines.runtime.engine import EngineSet

from .config import Settings
from .errors import DataError, UsageError
from .pipeline import Pipeline, SourceEnd
from .records import Event
from .sources import Source, open_sources


def evaluate(
    uris: Sequence[str],
    engines: EngineSet,
    settings: Settings,
    *,
    truth: Path | None = None,
    rule: str = "one_to_one",
    iou: float = 0.5,
) -> dict[str, Any]:
    """Precision, recall, F1, false alarms per minute and decision delay of the events on annotated video.

    truth: a table of true intervals whose `video` is the source's name; None takes what the source itself knows
    (sample:synthetic). Raises UsageError where neither is there.
    """
    match([], [], rule, iou)  # refuses a wrong rule before any video runs
    known = None if truth is None else read_table(truth)
    wanted: list[Interval] = []
    found: list[Interval] = []
    delays: list[float] = []
    seconds = 0.0
    for source in open_sources(uris):
        events, times = observe(source, engines, settings)
        wanted += _truth_of(source, known, times)
        found += [as_interval(event) for event in events]
        delays += [(event.emitted_ns - event.offset_ns) / 1e9 for event in events]
        seconds += (times[-1] - times[0]) / 1e9 if len(times) else 0.0
    report = {
        "rule": rule,
        "iou": iou,
        "engines": engines.name,
        "sources": [printable(redact_uri(uri)) for uri in uris],
    }
    report |= spotting_report(wanted, found, rule=rule, iou=iou, minutes=seconds / 60, emits=("micro",))
    report |= {"decision_delay_s": round(float(np.median(delays)), 3) if delays else None}
    return report | (recognition_report(wanted, found, iou) if engines.recognizer_spec else {})


def observe(source: Source, engines: EngineSet, settings: Settings) -> tuple[list[Event], list[int]]:
    """Final events and the capture times (ns) of all frames of a source."""
    events: list[Event] = []
    times: list[int] = []
    with Pipeline([source], engines, settings, draw=lambda frame, _: times.append(frame.captured_ns)) as pipeline:
        for record in pipeline.run():
            if isinstance(record, Event) and record.status == "final":
                events.append(record)
            if isinstance(record, SourceEnd) and record.error is not None:
                raise record.error
    return events, times


def as_interval(event: Event) -> Interval:
    """An event as a row of the table format: inclusive source frames."""
    return Interval(
        subject="", video=event.source, onset=event.onset_frame, apex=event.apex_frame,
        offset=event.offset_frame, type="micro", label=event.label, score=event.score,
    )  # fmt: skip


def _some(rows: list[Interval]) -> str:
    names = sorted({row.video for row in rows})
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")


def _truth_of(source: Source, known: list[Interval] | None, times: list[int]) -> list[Interval]:
    if known is not None:
        rows = [row for row in known if row.video == source.name]
        if not rows and not any(row.video == Path(source.name).stem for row in known):
            raise DataError(f"the truth table has no video {source.name!r}: its videos are {_some(known)}")
        return rows or [replace(row, video=source.name) for row in known if row.video == Path(source.name).stem]
    movements = getattr(source, "truth", None)
    if movements is None:
        raise UsageError(f"{source.name} does not know its truth: give --truth TABLE.csv, or use sample:synthetic")
    captured = np.asarray(times)
    rows = []
    for movement in movements:
        if movement.kind not in ("micro", "macro"):
            continue
        onset, apex, offset = (
            int(np.abs(captured - at).argmin()) for at in (movement.onset_ns, movement.apex_ns, movement.offset_ns)
        )
        rows.append(Interval("", source.name, onset, apex, offset, movement.kind, movement.label3))
    return rows
