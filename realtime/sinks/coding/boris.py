"""Events as a BORIS project (.boris), and as the table of events that BORIS exports (.tsv).

BORIS imports no table of events, so a project is the way into it: an observation for each source,
an ethogram with a state for the event and points for its apex and for stimulus markers. The label,
and what a marker says, is a modifier, less the signs that mean something to BORIS there; the
comment has a marker's stream and text as they are. A state begins and ends by the same entry, in
turn, for each subject; times are seconds.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from microspot.engines.data.coded.words import APEX, MARKER, MICRO
from microspot.engines.text.redaction import printable

from .coded_run import KEPT, UNDATED, CodedRun, CodedSource
from .marks import POINT, START, STOP, Mark, marks_of

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
SIGNS = re.compile(r"[|,()]")  # part sets of modifiers, modifiers, and a modifier from its key


def project(run: CodedRun) -> bytes:
    """The project of a run, as JSON."""
    behaviors = sorted({event.behavior for event in run.events} | {MICRO})
    subjects = sorted({event.subject for event in run.events})
    labels = sorted({_modifier(event.label) for event in run.events} - {""})
    stimuli = sorted({_modifier(marker.value) for marker in run.markers} - {""})
    dates = [source.started_utc for source in run.sources if source.started_utc]
    ethogram = [_behavior("State event", name, "label", labels) for name in behaviors]
    ethogram += [_behavior("Point event", f"{name} {APEX}", "label", labels) for name in behaviors]
    if run.markers:
        ethogram.append(_behavior("Point event", MARKER, "value", stimuli))
    content = {
        "time_format": "hh:mm:ss",
        "project_date": _date(dates[0] if dates else None),
        "project_name": "microspot",
        "project_description": "micro-expressions that microspot found",
        "project_format_version": PROJECT_FORMAT,
        "subjects_conf": {
            str(i): {"key": "", "name": name, "description": ""} for i, name in enumerate(subjects)
        },
        "behaviors_conf": {str(i): each for i, each in enumerate(ethogram)},
        "behavioral_categories": [],
        "independent_variables": {},
        "coding_map": {},
        "behaviors_coding_map": [],
        "converters": {},
        "observations": {source.name: _observation(source, run) for source in run.sources},
    }
    return json.dumps(content).encode() + b"\n"


def table(run: CodedRun) -> bytes:
    """The table of a run's events, with tabs between cells, as UTF-8."""
    rows = [_cells(COLUMNS)]
    for source in run.sources:
        media = NOT_AVAILABLE if source.media is None else printable(source.media.name)
        head = _cells(_head(source, media))
        rows += [f"{head}\t{_rest(mark, media)}" for mark in marks_of(run, source.name)]
    return ("\n".join(rows) + "\n").encode()


def _cells(values: Iterable[str]) -> str:
    """Cells of a row, with tabs between them."""
    text = io.StringIO()
    csv.writer(text, delimiter="\t", lineterminator="\n").writerow(values)
    return text.getvalue().removesuffix("\n")


def _modifier(text: str) -> str:
    """A text as a modifier of one set."""
    return SIGNS.sub("_", text).strip()


def _date(utc: str | None) -> str:
    """A date as BORIS has it, without a time zone."""
    return (utc or UNDATED).partition("+")[0].rstrip("Z").partition(".")[0]


def _behavior(kind: str, code: str, modifier: str, values: list[str]) -> dict[str, Any]:
    """An entry of the ethogram; modifier: the name of its set, which may take `values`."""
    modifiers = {}
    if values:
        modifiers["0"] = {"name": modifier, "description": "", "type": 0, "values": values}
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
    events = [_entry(mark) for mark in marks_of(run, source.name)]
    content: dict[str, Any] = {
        "file": [],
        "type": "LIVE",
        "date": _date(source.started_utc),
        "description": "",
        "time offset": 0.0,
        "events": [event[:-1] for event in events],  # a camera has no frames to go to
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


@lru_cache(maxsize=KEPT)
def _entry(mark: Mark) -> tuple[float | int | str, ...]:
    """A mark as an event of an observation of media: the last is its frame."""
    return (
        mark.at_ms / 1000,
        mark.subject,
        mark.behavior,
        _modifier(mark.modifier),
        mark.comment,
        mark.frame,
    )


def _head(source: CodedSource, media: str) -> list[str]:
    """What all rows of a source begin with, up to the mark's own cells."""
    is_file = source.media is not None
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
    ]


@lru_cache(maxsize=KEPT)
def _rest(mark: Mark, media: str) -> str:
    """The rest of a row: what the mark says."""
    cells = (
        mark.subject,
        mark.behavior,
        "",
        _modifier(mark.modifier),
        KINDS[mark.kind],
        f"{mark.at_ms / 1000:.3f}",
        media,
        str(mark.frame),
        NOT_AVAILABLE,
        mark.comment,
    )
    return _cells(cells)
