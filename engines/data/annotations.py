"""The one table format of true and spotted intervals: subject,video,onset,apex,offset,type,label,score,fps.

Frames are inclusive source frames; type is micro or macro; `score` and `fps` may be missing. Text keys stay text.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, fields
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


COLUMNS = tuple(field.name for field in fields(Interval))


def read_table(path: Path) -> list[Interval]:
    """Read a table; DataError names the file, the line and what is wrong there."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = set(REQUIRED) - set(reader.fieldnames or ())
            if missing:
                raise DataError(f"{path}: column {sorted(missing)[0]!r} is missing; the header is {','.join(COLUMNS)}")
            return [_row(path, reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a table: {error}") from error


def write_table(path: Path, rows: Iterable[Interval]) -> None:
    """Write rows with all columns; DataError where the file cannot be written."""
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows([["" if (v := getattr(row, c)) is None else v for c in COLUMNS] for row in rows])
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error}") from error


def _row(path: Path, line: int, row: dict[str, str]) -> Interval:
    def number(name: str) -> float | None:
        text = (row.get(name) or "").strip()
        try:
            return float(text) if text else None
        except ValueError:
            raise DataError(f"{path} line {line}: {name} is {text!r}, expected a number") from None

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
