"""What a data set holds, for `annotations report`."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ...errors import DataError
from ..tables import escaped
from .result import Annotations
from .table import REQUIRED, Interval

COLUMNS = (*REQUIRED, "score", "fps", "units")


def report(found: Annotations) -> dict[str, Any]:
    """Counts of subjects, videos, types and classes, and every row repaired or left out."""
    micro = [row for row in found.intervals if row.type == "micro"]
    macro = [row for row in found.intervals if row.type == "macro"]
    return {
        "dataset": found.dataset,
        "files": found.files,
        "frames": found.numbering,
        "fps": next((row.fps for row in found.intervals if row.fps), None),
        "subjects": len({row.subject for row in found.intervals if row.subject}),
        "videos": len({(row.subject, row.video) for row in found.intervals}),
        "micro": len(micro),
        "macro": len(macro),
        "micro_classes": dict(sorted(Counter(row.label or "" for row in micro).items())),
        "macro_classes": dict(sorted(Counter(row.label or "" for row in macro).items())),
        "with_units": sum(row.units is not None for row in found.intervals),
        "repaired": [note.to_json() for note in found.notes if note.now is not None],
        "left_out": [note.to_json() for note in found.notes if note.now is None],
        "remarks": found.remarks,
    }


def lines(counts: dict[str, Any]) -> list[str]:
    """A report for people, a line for each figure and each row."""
    told = [
        f"{name:14} {_text(value)}"
        for name, value in counts.items()
        if name not in ("repaired", "left_out", "remarks")
    ]
    for name in ("repaired", "left_out"):
        told.append(f"{name:14} {len(counts[name])} rows" + (":" if counts[name] else ""))
        told += [f"  {_place(note)}" for note in counts[name]]
    return told + [f"{'note':14} {remark}" for remark in counts["remarks"]]


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name or 'no label'} {count}" for name, count in value.items()) or "-"
    return ", ".join(value) if isinstance(value, list) else "-" if value is None else str(value)


def _place(note: dict[str, Any]) -> str:
    change = f"{note['was']!r}" + ("" if note["now"] is None else f" -> {note['now']!r}")
    file = Path(note["file"]).name
    place = f"{file} sheet {note['sheet']!r} row {note['row']} {note['column']}"
    return f"{place}: {change}: {note['reason']}"


def table_rows(intervals: Iterable[Interval]) -> Iterator[list[str]]:
    """The cells of a table of our own format, its header first."""
    yield list(COLUMNS)
    for row in intervals:
        units = None if row.units is None else "+".join(name for name, _ in row.units)
        cells = [row.subject, row.video, row.onset, row.apex, row.offset, row.type]
        cells += [row.label, row.score, row.fps, "none" if units == "" else units]
        yield ["" if cell is None else escaped(str(cell)) for cell in cells]


def write_table(found: Annotations, path: Path) -> None:
    """The intervals as a table of our own format. Raises DataError where it cannot be written."""
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(table_rows(found.intervals))
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror}") from error
