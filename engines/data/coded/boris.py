"""BORIS: projects (.boris), and tables of events that it exports.

In a project a state begins and ends by the same entry, in turn. A table says START, STOP or POINT:
under `Behavior type` in newer versions; under `Status` in older ones, below some lines on the
observation. Times are seconds, in a project with the observation's offset added.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

from ...errors import DataError
from ...text.documents import DocumentError, read_json
from ..tables import number
from .pairing import CodedInterval, Mark, paired
from .words import label_of

MOST_BYTES = 1 << 26  # of a project
NEW = ("behavior type", "media file name")
OLD = ("status", "media file path")
NONE = ("", "None")  # a modifier that was not chosen
Row = dict[str, str]


def is_table(text: str) -> bool:
    """Whether a text is a table of events of BORIS."""
    return _header(text) is not None


def parse_table(path: Path, text: str) -> list[CodedInterval]:
    """The intervals of a table. Raises DataError with the line."""
    first = _header(text)
    assert first is not None
    lines = text.splitlines()[first:]
    reader = csv.reader(lines, delimiter=_delimiter(lines[0]))
    names = [name.strip().lower() for name in next(reader)]
    status, media = NEW if NEW[0] in names else OLD
    marks = []
    for cells in reader:
        row = dict(zip(names, cells, strict=False))
        where = f"{path} line {first + reader.line_num}"
        kind = row.get(status, "").strip().lower()
        at_s = number(row.get("time", ""))
        if kind not in ("start", "stop", "point") or at_s is None:
            raise DataError(f"{where}: expected a time in seconds and START, STOP or POINT")
        video = _file_name(row.get(media, ""))
        subject = row.get("subject", "")
        modifiers = [row[name] for name in names if name.startswith("modifier") and name in row]
        label = _label("|".join(modifiers))
        marks.append(Mark(video, subject, row.get("behavior", ""), kind, at_s, label, where))
    return paired(marks)


def read_project(path: Path) -> list[CodedInterval]:
    """The intervals of all observations of a project. Raises DataError."""
    try:
        project = read_json(path, MOST_BYTES)
    except DocumentError as error:
        raise DataError(str(error)) from error
    intervals: list[CodedInterval] = []
    try:
        ethogram = project["behaviors_conf"].values()
        points = {each["code"] for each in ethogram if "point" in each["type"].lower()}
        for name, observation in project["observations"].items():
            intervals += paired(_marks(name, observation, points))
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise DataError(f"it is no project of BORIS ({type(error).__name__}: {error})") from error
    return intervals


def _marks(name: str, observation: dict[str, Any], points: set[str]) -> list[Mark]:
    media = observation["file"]
    files = media.get("1", []) if isinstance(media, dict) else []
    video = _file_name(files[0]) if files else name
    offset_s = float(observation.get("time offset", 0.0))
    running: set[tuple[str, str, str]] = set()
    marks = []
    for event in observation["events"]:
        at_s, subject, behavior, modifier = float(event[0]), event[1], event[2], event[3]
        state = (subject, behavior, modifier)
        status = "point"
        if behavior not in points:
            status = "stop" if state in running else "start"
            running ^= {state}
        where = f"observation {name!r} at {at_s:g} s"
        mark = Mark(video, subject, behavior, status, at_s + offset_s, _label(modifier), where)
        marks.append(mark)
    return marks


def _header(text: str) -> int | None:
    """Which line of a text, from 0 on, names the columns of a table; None where none does."""
    for number_, line in enumerate(text.splitlines()):
        names = {name.strip().lower() for name in line.split(_delimiter(line))}
        if {"time", "behavior"} <= names and names & {NEW[0], OLD[0]}:
            return number_
        if number_ > 1000:  # lines before the columns, of which there are few
            break
    return None


def _delimiter(line: str) -> str:
    return "\t" if "\t" in line else ","


def _label(modifiers: str) -> str | None:
    """The label among modifiers, which are separated by bars: the first one that was chosen."""
    chosen = [part for part in modifiers.split("|") if part not in NONE]
    return label_of(chosen[0]) if chosen else None


def _file_name(path: str) -> str:
    """The name of a file without folders, whichever system wrote the path."""
    return re.split(r"[/\\]", path)[-1]
