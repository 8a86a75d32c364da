"""How rows of a data set become intervals: what is known to be wrong, and what is found to be."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ..unit_cells import facs_units
from . import quirks
from .quirks import KnownMistakes
from .result import Annotations, Note
from .table import Interval
from .workbook import Row, Sheet, Workbook, shown


class Builder:
    """Collects the intervals of a data set and the notes on its rows.

    fps: of its videos; first: the number of a video's first frame, which becomes 0 (0 where frames
    stay as they are).
    """

    def __init__(self, dataset: str, numbering: str, fps: float, first: int = 0) -> None:
        self.result = Annotations(dataset, numbering)
        self.fps = fps
        self.first = first

    def open(self, path: Path) -> Workbook:
        """A workbook that the result names."""
        self.result.files.append(str(path))
        return Workbook(path)

    def remark(self, text: str) -> None:
        """Say something of the whole set."""
        self.result.remarks.append(text)

    def repaired(self, row: Row, column: str, now: object, reason: str) -> None:
        """Note that a cell is read as something else."""
        self._note(row, column, shown(now), reason)

    def left_out(self, row: Row, column: str, reason: str) -> None:
        """Note that a row is left out."""
        self._note(row, column, None, reason)

    def _note(self, row: Row, column: str, now: str | None, reason: str) -> None:
        sheet: Sheet = row.sheet
        was = row.text(column)
        file = str(sheet.path)
        self.result.notes.append(Note(file, sheet.name, row.number, column, was, now, reason))

    def mended(self, rows: Iterable[Row], known: KnownMistakes, frames: Sequence[str]) -> list[Row]:
        """The rows with the cells replaced that are known to be wrong.

        frames: the columns of onset, apex and offset.
        """
        found = list(rows)
        if known.rows is not None and len(found) != known.rows:
            self.remark(
                f"{len(known.cells)} known mistakes are of the table with {known.rows} rows; this "
                f"one has {len(found)}: they are not mended"
            )
            return found
        for place, cells in known.cells.items():
            for column, value in cells.items() if place < len(found) else ():
                row = found[place]
                if known.rows is None and not _wrong(row, column, frames):
                    continue
                if row.text(column) != shown(value):
                    self.repaired(row, column, value, quirks.BY_MEB)
                    found[place] = with_cell(row, column, value)
        return found

    def rounded(self, row: Row, column: str) -> int:
        """A frame that may be no whole number. Raises DataError for what is no number."""
        value = row.number_of(column)
        if value is None:
            raise row.error(column, f"{row.text(column)!r}, expected a frame")
        whole = math.floor(value + 0.5)
        if whole != value:
            self.repaired(row, column, whole, quirks.ROUNDED_REASON)
        return whole

    def add(
        self,
        row: Row,
        who: tuple[str, str],
        frames: tuple[int, int | None, int],
        kind: str,
        label: str = "",
        columns: tuple[str, str, str] = ("", "", ""),
        units: str | None = None,
    ) -> None:
        """An interval of a row, or a note where its offset lies before its onset.

        who: subject and video; frames and columns: onset, apex (None: not known), offset; units:
        the column of the action units. Frames before the first one raise DataError.
        """
        onset, apex, offset = frames
        if onset < self.first:
            raise row.error(
                columns[0], f"{onset}, but the first frame is {self.first}: is the table shifted?"
            )
        if offset < onset:
            self.left_out(row, columns[2], quirks.BACKWARD_REASON)
            return
        if apex is not None and not onset <= apex <= offset:
            self.repaired(row, columns[1] or columns[2], "", quirks.OUTSIDE_REASON)
            apex = None
        self.result.intervals.append(
            Interval(
                *who,
                onset - self.first,
                None if apex is None else apex - self.first,
                offset - self.first,
                kind,
                label.strip().lower() or None,
                None,
                self.fps,
                self._units(row, units),
            )
        )

    def _units(self, row: Row, column: str | None) -> tuple[tuple[str, float], ...] | None:
        if column is None or not row.has(column) or not row.text(column):
            return None
        units = facs_units(row.text(column))
        if units is None:
            self.repaired(row, column, "", quirks.UNITS_REASON)
        return units


def with_cell(row: Row, column: str, value: object) -> Row:
    """The row with another value in a cell."""
    place = row.places[column]
    cells = [*row.cells, *[None] * (place + 1 - len(row.cells))]
    cells[place] = value
    return replace(row, cells=tuple(cells))


def _wrong(row: Row, column: str, frames: Sequence[str]) -> bool:
    """Whether a cell holds no frame that fits the others of its row."""
    value = row.number_of(column)
    onset, _, offset = (row.number_of(name) for name in frames)
    if value is None or not value:
        return True
    if column == frames[2]:
        return onset is not None and value < onset
    return onset is not None and offset is not None and not onset <= value <= offset
