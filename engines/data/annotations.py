"""The one table format of true and spotted intervals: subject,video,onset,apex,offset,type,label,score,fps.

Frames are inclusive source frames; type is micro or macro; `score` and `fps` may be missing. Text keys stay text.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError

REQUIRED = ("subject", "video", "onset", "apex", "offset", "type", "label")
TYPES = ("micro", "macro")


@dataclass(frozen=True)
class Interval:
    """One row. `apex` and `label` may be None; onset <= offset, both inclusive."""

    subject: str
    video: str
    onset: int
    apex: int | None
    offset: int
    type: str
    label: str | None = None
    score: float | None = None
    fps: float | None = None

    def __post_init__(self) -> None:
        if self.offset < self.onset:
            raise DataError(f"{self.video}: offset {self.offset} lies before onset {self.onset}")
        if self.type not in TYPES:
            raise DataError(f"{self.video}: type {self.type!r}, expected micro or macro")


def read_table(path: Path) -> list[Interval]:
    """Read a table; DataError names the file, the line and what is wrong there."""
    return [_interval(path, line, row) for line, row in read_rows(path, REQUIRED)]


def read_rows(path: Path, required: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Rows of a CSV file with a header, and their lines. DataError where a required column, or a cell of it, is not."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if missing := sorted(set(required) - set(reader.fieldnames or ())):
                raise DataError(f"{path}: column {missing[0]!r} is missing; the header is {','.join(required)}")
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a table: {error}") from error
    for line, row in rows:
        if short := [name for name in required if row[name] is None]:
            raise DataError(f"{path} line {line}: the row ends before column {short[0]!r}")
    return rows


def _interval(path: Path, line: int, row: dict[str, str]) -> Interval:
    def number(name: str) -> float | None:
        text = (row.get(name) or "").strip()
        try:
            value = float(text) if text else None
        except ValueError:
            value = math.nan
        if value is not None and not math.isfinite(value):
            raise DataError(f"{path} line {line}: {name} is {text!r}, expected a number")
        return value

    onset, offset, apex = number("onset"), number("offset"), number("apex")
    if onset is None or offset is None:
        raise DataError(f"{path} line {line}: onset and offset must be given")
    try:
        return Interval(
            subject=row["subject"], video=row["video"], onset=int(onset), apex=None if apex is None else int(apex),
            offset=int(offset), type=row["type"], label=row["label"] or None, score=number("score"), fps=number("fps"),
        )  # fmt: skip
    except DataError as error:
        raise DataError(f"{path} line {line}: {error}") from error
