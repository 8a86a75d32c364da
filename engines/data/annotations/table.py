"""The one table format of true and spotted intervals.

    subject,video,onset,apex,offset,type,label,score,fps,units

Frames are inclusive source frames; type is micro or macro; `score`, `fps` and `units` (action
units, see `unit_cells`) may be missing. Text keys stay text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ...errors import DataError
from ..coded.words import MARKER
from ..tables import number, read_columns, read_rows
from ..unit_cells import Units, parse_units

REQUIRED = ("subject", "video", "onset", "apex", "offset", "type", "label")
TYPES = ("micro", "macro")
WHOLE = re.compile(r"[+-]?\d+([.,]0?)?")  # as spreadsheets write whole numbers


@dataclass(frozen=True, slots=True)
class Interval:
    """One row. `apex` and `label` may be None; onset <= offset, both inclusive.

    units: action units and their scores; None where they are not coded, empty where none moved.
    """

    subject: str
    video: str
    onset: int
    apex: int | None
    offset: int
    type: str
    label: str | None = None
    score: float | None = None
    fps: float | None = None
    units: Units | None = None

    def __post_init__(self) -> None:
        if self.offset < self.onset:
            raise DataError(f"{self.video}: offset {self.offset} lies before onset {self.onset}")
        if self.type not in TYPES:
            raise DataError(f"{self.video}: type {self.type!r}, expected micro or macro")


def read_table(path: Path) -> list[Interval]:
    """Read a table; DataError names the file, the line and what is wrong there.

    Rows of stimulus markers are left out.
    """
    columns = read_columns(path, REQUIRED)
    quick = None if columns is None else _plain_rows(columns)
    if quick is not None:
        return quick
    rows = read_rows(path, REQUIRED)
    return [_interval(path, line, row) for line, row in rows if row["type"].strip() != MARKER]


def _plain_rows(columns: dict[str, Sequence[str]]) -> list[Interval] | None:
    """The rows of a table whose cells are all plain, a million in seconds; None for another one.

    What is not plain (a decimal comma, a marker, an error) is left to `_interval`, row by row.
    """
    if "_" in "".join([*columns["onset"], *columns["apex"], *columns["offset"]]):
        return None  # int() would read 1_000
    empty = [None] * len(columns["onset"])

    def numbers(name: str) -> Iterable[float | None]:
        return map(_finite, columns[name]) if name in columns else empty

    try:
        return list(
            map(
                Interval,
                columns["subject"],
                columns["video"],
                map(int, columns["onset"]),
                [int(text) if text else None for text in columns["apex"]],
                map(int, columns["offset"]),
                columns["type"],
                [text or None for text in columns["label"]],
                numbers("score"),
                numbers("fps"),
                map(parse_units, columns["units"]) if "units" in columns else empty,
            )
        )
    except (ValueError, DataError):
        return None


@lru_cache(maxsize=1 << 16)  # rates and rounded scores come again and again
def _finite(text: str) -> float | None:
    """The number of a cell, None for an empty one. Raises ValueError for any other text."""
    if not text:
        return None
    value = float(text)
    if "_" in text or not math.isfinite(value):
        raise ValueError
    return value


def _interval(path: Path, line: int, row: dict[str, str]) -> Interval:
    def given(name: str) -> float | None:
        text = (row.get(name) or "").strip()
        value = number(text)
        if text and value is None:
            raise DataError(f"{path} line {line}: {name} is {text!r}, expected a number")
        return value

    def frame(name: str) -> int | None:
        value = given(name)
        # 1,000 is refused: it is a thousand in some countries, one in others
        if value is not None and not WHOLE.fullmatch(row[name].strip()):
            raise DataError(
                f"{path} line {line}: {name} is {row[name]!r}, expected a whole number: a frame"
            )
        return None if value is None else int(value)

    onset = frame("onset")
    offset = frame("offset")
    apex = frame("apex")
    if onset is None or offset is None:
        raise DataError(f"{path} line {line}: onset and offset must be given")
    try:
        return Interval(
            subject=row["subject"],
            video=row["video"],
            onset=onset,
            apex=apex,
            offset=offset,
            type=row["type"],
            label=row["label"] or None,
            score=given("score"),
            fps=given("fps"),
            units=parse_units(row.get("units") or ""),
        )
    except DataError as error:
        raise DataError(f"{path} line {line}: {error}") from error
