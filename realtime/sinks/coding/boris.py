"""Events as a BORIS project (.boris), and as the table of events that BORIS exports (.tsv).

BORIS imports no table of events, so a project is the way into it: an observation for each source,
an ethogram with a state for the event and a point for its apex, the label as a modifier. A state
begins and ends by the same entry, in turn, for each subject; times are seconds.
"""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from microspot.engines.data.coded.words import APEX, MICRO

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
)
from .elan import annotation_value

PROJECT_FORMAT = "7.0"
NOT_AVAILABLE = "NA"
PLAYERS = 8
COLUMNS = (
    "Observation id",
    "Observation date",
    "Description",
    "Observation duration",
    "Observation type",
    "Source",
    "Time offset (s)",
    "Media duration (s)",
    "FPS",
    "Subject",
    "Behavior",
    "Behavioral category",
    "Modifier #1",
    "Behavior type",
    "Time",
    "Media file name",
    "Image index",
    "Image file path",
    "Comment",
)
KINDS = {STOP: "STOP", POINT: "POINT", START: "START"}


def project(run: CodedRun) -> bytes:
    """The project of a run, as JSON."""
    behaviors = sorted({event.behavior for event in run.events} | {MICRO})
    subjects = sorted({event.subject for event in run.events})
    labels = sorted({event.label for event in run.events} - {""})
    dates = [source.started_utc for source in run.sources if source.started_utc]
    states = [_behavior("State event", name, labels) for name in behaviors]
    points = [_behavior("Point event", f"{name} {APEX}", []) for name in behaviors]
    content = {
        "time_format": "hh:mm:ss",
        "project_date": _date(dates[0] if dates else None),
        "project_name": "microspot",
        "project_description": "micro-expressions that microspot found",
        "project_format_version": PROJECT_FORMAT,
        "subjects_conf": {
            str(i): {"key": "", "name": name, "description": ""} for i, name in enumerate(subjects)
        },
        "behaviors_conf": {str(i): each for i, each in enumerate([*states, *points])},
        "behavioral_categories": [],
        "independent_variables": {},
        "coding_map": {},
        "behaviors_coding_map": [],
        "converters": {},
        "observations": {source.name: _observation(source, run) for source in run.sources},
    }
    return json.dumps(content, indent=1).encode() + b"\n"


def table(run: CodedRun) -> bytes:
    """The table of a run's events, with tabs between cells, as UTF-8."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(COLUMNS)
    for source in run.sources:
        for at_ms, kind, event in marks_of(run.of(source.name)):
            writer.writerow(_row(source, at_ms, kind, event))
    return text.getvalue().encode()


def _modifier(kind: int, event: CodedEvent) -> str:
    return "" if kind == POINT else event.label


def _comment(kind: int, event: CodedEvent) -> str:
    return annotation_value(event.record) if kind == START else ""


def _date(utc: str | None) -> str:
    """A date as BORIS has it, without a time zone."""
    return (utc or UNDATED).partition("+")[0].rstrip("Z").partition(".")[0]


def _behavior(kind: str, code: str, labels: list[str]) -> dict[str, Any]:
    """An entry of the ethogram; labels: values that its modifier may take."""
    modifiers = {}
    if labels:
        modifiers["0"] = {"name": "label", "description": "", "type": 0, "values": labels}
    return {
        "type": kind,
        "key": "",
        "code": code,
        "description": "",
        "color": "",
        "category": "",
        "modifiers": modifiers,
        "excluded": "",
        "coding map": "",
    }


def _observation(source: CodedSource, run: CodedRun) -> dict[str, Any]:
    """An observation: of a media file where the source is one, else a live one."""
    events = [
        [
            at_ms / 1000,
            event.subject,
            behavior_of(kind, event),
            _modifier(kind, event),
            _comment(kind, event),
            _frame(kind, event),
        ]
        for at_ms, kind, event in marks_of(run.of(source.name))
    ]
    content: dict[str, Any] = {
        "file": [],
        "type": "LIVE",
        "date": _date(source.started_utc),
        "description": "",
        "time offset": 0.0,
        "events": [event[:5] for event in events],
        "observation time interval": [0, 0],
        "independent_variables": {},
        "visualize_spectrogram": False,
        "visualize_waveform": False,
        "close_behaviors_between_videos": False,
        "media_info": {"offset": {}},
    }
    if source.media is None:
        return content
    media = str(source.media.absolute())
    files: dict[str, list[str]] = {str(i): [] for i in range(1, PLAYERS + 1)}
    return content | {
        "file": files | {"1": [media]},
        "type": "MEDIA",
        "events": events,
        "media_info": {
            "length": {media: source.seconds},
            "fps": {media: source.fps or 0.0},
            "hasVideo": {media: True},
            "hasAudio": {media: False},
            "offset": {"1": 0.0},
        },
    }


def _frame(kind: int, event: CodedEvent) -> int:
    """Index of a frame, from 0 on as BORIS counts."""
    name = {START: "onset", POINT: "apex", STOP: "offset"}[kind]
    frame: int = event.record[f"{name}_frame"]
    return frame


def _row(source: CodedSource, at_ms: int, kind: int, event: CodedEvent) -> list[str]:
    is_file = source.media is not None
    media = source.media.name if source.media is not None else NOT_AVAILABLE
    known = is_file and source.fps is not None
    return [
        source.name,
        _date(source.started_utc).replace("T", " "),
        "",
        f"{source.seconds:.3f}",
        "Media file(s)" if is_file else "Live observation",
        f"player #1:{media}" if is_file else NOT_AVAILABLE,
        "0.0",
        f"{source.seconds:.3f}" if is_file else NOT_AVAILABLE,
        f"{source.fps:.3f}" if known else NOT_AVAILABLE,
        event.subject,
        behavior_of(kind, event),
        "",
        _modifier(kind, event),
        KINDS[kind],
        f"{at_ms / 1000:.3f}",
        media,
        str(_frame(kind, event)),
        NOT_AVAILABLE,
        _comment(kind, event),
    ]
