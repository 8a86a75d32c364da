"""Events of analysed videos for programs: typed records, and a table of pandas.

Both are read from the folders of the results, so that they are there after an earlier run as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from microspot.engines.data.unit_cells import NONE
from microspot.engines.errors import install
from microspot.engines.units.findings import ActionUnit, Finding, Region

from ..errors import DataError, UsageError
from ..records import Event
from ..sinks.base import JsonRecord, reason
from .one_video import EVENTS, Analysis
from .session_report.sink import SESSION

if TYPE_CHECKING:
    import pandas

Told = TypeVar("Told", bound=Finding)
ANSWERS = ("condition", "latency_s")  # of an event, by session.json
# What comes first in a table; the shares of labels and confounders, the region and so on follow.
COLUMNS = (
    "video", "folder", "group", "subject", "face", "id", "onset_s", "apex_s", "offset_s",
    "onset_frame", "apex_frame", "offset_frame", "score", "label", "action_units", *ANSWERS,
)  # fmt: skip
LEFT_OUT = ("type", "status", "source", "emitted_s")  # the same in every row, or said otherwise


def events_of(analyses: Iterable[Analysis], out: Path) -> list[Event]:
    """The final events of videos, in their order and by onset. out: the folder of all results.

    Raises DataError where a video's results are not there any more.
    """
    folders = (out / analysis.folder for analysis in analyses)
    return [event_of(record) for folder in folders for record in _records(folder)]


def table(analyses: Iterable[Analysis], out: Path) -> pandas.DataFrame:
    """A row for each event: COLUMNS, then what else its record says, names joined by `_`.

    out: the folder of all results. Raises UsageError without pandas, DataError where a video's
    results are not there any more.
    """
    try:
        import pandas
    except ImportError as error:
        raise UsageError(f"a table of events needs pandas: {install('table')}") from error
    rows = [row for analysis in analyses for row in _rows(analysis, out / analysis.folder)]
    found = pandas.json_normalize(rows, sep="_")
    others = [name for name in found.columns if name not in (*COLUMNS, *LEFT_OUT)]
    return found.reindex(columns=[*COLUMNS, *others])


def _records(folder: Path) -> list[JsonRecord]:
    """The JSON lines of a video's events, by onset."""
    try:
        lines = (folder / EVENTS).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"cannot read {folder / EVENTS}: {reason(error)}") from error
    try:
        records = [record for record in map(json.loads, lines) if record["type"] == "event"]
        return sorted(records, key=lambda record: record["onset_s"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder / EVENTS} is damaged: analyse this video again") from error


def event_of(record: JsonRecord) -> Event:
    """The final Event that a JSON line was made from, its times to the microsecond."""
    units = record.get("action_units")
    region = record.get("region")
    intensity = record["intensity"]
    return Event(
        id=record["id"],
        source=record["source"],
        face=record["face"],
        status=record["status"],
        onset_ns=_ns(record["onset_s"]),
        offset_ns=_ns(record["offset_s"]),
        onset_frame=record["onset_frame"],
        offset_frame=record["offset_frame"],
        score=record["score"],
        emitted_ns=_ns(record["emitted_s"]),
        apex_ns=None if record["apex_s"] is None else _ns(record["apex_s"]),
        apex_frame=record["apex_frame"],
        label=record["label"],
        label_scores=record["label_scores"],
        intensity=None if intensity is None else tuple(intensity),
        confounders=record["confounders"],
        action_units=None if units is None else tuple(_finding(ActionUnit, u) for u in units),
        region=None if region is None else _finding(Region, region),
        subject=record["subject"],
    )


def _rows(analysis: Analysis, folder: Path) -> list[JsonRecord]:
    """The records of a video's events with their units as a cell, and what they answer to."""
    video = {"video": analysis.video, "folder": analysis.folder, "group": analysis.group}
    answers = _answers(folder)
    nothing = dict.fromkeys(ANSWERS)
    return [
        video | record | {"action_units": _units_cell(record)} | answers.get(record["id"], nothing)
        for record in _records(folder)
    ]


def _answers(folder: Path) -> dict[str, dict[str, Any]]:
    """By the id of an event after a marker: its condition, and how late it came."""
    try:
        responses = json.loads((folder / SESSION).read_text(encoding="utf-8"))["responses"]
    except OSError as error:
        raise DataError(f"cannot read {folder / SESSION}: {reason(error)}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder / SESSION} is damaged: analyse this video again") from error
    events = [] if responses is None else responses["latencies_s"]
    return {each["id"]: {name: each[name] for name in ANSWERS} for each in events}


def _units_cell(record: JsonRecord) -> str | None:
    """The action units as tables have them (`engines.data.unit_cells`); None where not told."""
    units = record.get("action_units")
    if units is None:
        return None
    return "+".join(f"{each['au']}:{each['score']:g}" for each in units) or NONE


def _finding(kind: type[Told], told: dict[str, Any]) -> Told:
    """The ActionUnit or Region that a record tells."""
    return kind(told[kind.KEY], told["side"], told["px"], told["size"], told["score"])


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
