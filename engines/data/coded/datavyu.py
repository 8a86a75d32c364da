"""Datavyu's CSV: `#` and the format's version, then columns, each followed by its cells.

A column's line is `NAME (MATRIX,true,)-label|NOMINAL,apex_ms|NOMINAL`; a cell's
`00:00:01:500,00:00:01:800,(surprise,1633)`. The codes that count are `label` (or the first one, if
none is called so) and `apex_ms`. A column of stimulus markers, known by its codes, is passed over.
"""

from __future__ import annotations

import re
from pathlib import Path

from ...errors import DataError
from .pairing import CodedInterval
from .words import MARKER_CODES, MARKERS, kind_of, label_of

_COLUMN = re.compile(r"(?P<name>.+?) \((?P<type>\w+),\w+,.*?\)-(?P<codes>.*)")
_CLOCK = r"(\d{2,}):(\d{2}):(\d{2}):(\d{3})"
_CELL = re.compile(rf"{_CLOCK},{_CLOCK},\((.*)\)")
_SPLIT = re.compile(r"(?<!\\),")


def is_one(text: str) -> bool:
    """Whether a text is such a file."""
    return re.match(r"#\d+\s*\n", text) is not None


def parse(path: Path, text: str) -> list[CodedInterval]:
    """The intervals of its columns. Raises DataError with the line."""
    intervals = []
    subject = ""
    kind: str | None = None
    codes: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{path} line {number}"
        if line.startswith("#") or not line.strip():
            continue
        cell = _CELL.fullmatch(line)
        column = _COLUMN.fullmatch(line)
        if cell is not None and codes:
            if kind is not None:
                intervals.append(_interval(where, subject, kind, codes, cell))
        elif column is not None:
            subject = _subject(column["name"])
            codes = [code.partition("|")[0] for code in column["codes"].split(",")]
            stimuli = column["name"].endswith(MARKERS) and codes == list(MARKER_CODES)
            kind = None if stimuli else kind_of(column["name"])
        else:
            raise DataError(f"{where}: neither a column nor a cell of Datavyu")
    return sorted(intervals, key=lambda each: (each.onset_s, each.offset_s))


def _interval(
    where: str, subject: str, kind: str, codes: list[str], cell: re.Match[str]
) -> CodedInterval:
    values = [re.sub(r"\\(.)", r"\1", value) for value in _SPLIT.split(cell[9])]
    named = dict(zip(codes, values, strict=False))
    apex = named.get("apex_ms", "")
    label = label_of(named.get("label", values[0]))
    try:
        apex_s = float(apex) / 1000 if apex else None
        return CodedInterval("", subject, kind, _seconds(cell, 1), _seconds(cell, 5), label, apex_s)
    except (ValueError, DataError) as error:
        raise DataError(f"{where}: {error}") from error


def _subject(column: str) -> str:
    """Of whom a column is: what its name says before `micro` or `macro`."""
    return re.split(r"_?m[ia]cro", column, maxsplit=1, flags=re.IGNORECASE)[0]


def _seconds(cell: re.Match[str], first: int) -> float:
    hours, minutes, seconds, ms = (int(cell[first + i]) for i in range(4))
    return hours * 3600 + minutes * 60 + seconds + ms / 1000
