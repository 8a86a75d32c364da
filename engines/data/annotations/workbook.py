"""Sheets of Excel files as rows of cells; whatever is wrong is told with file, sheet, row, column.

.xlsx is read by openpyxl, .xls by xlrd.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import DataError, UsageError, install
from ..tables import check_size

Cell = Any  # str, int, float, bool, datetime or None
HEADER_ROWS = 40  # looked through for a header that has moved
OLE = b"\xd0\xcf\x11\xe0"  # begins an .xls


def letter(column: int) -> str:
    """A column's name in Excel, of its place from 0 on: A, B, … AA."""
    name = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        name = chr(ord("A") + rest) + name
    return name


def shown(cell: Cell) -> str:
    """A cell's text; a whole number without its decimals, an empty cell as nothing."""
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


@dataclass(frozen=True)
class Row:
    """A row of a sheet. number: as Excel counts, from 1 on; places: of the columns, by name."""

    sheet: Sheet
    number: int
    cells: tuple[Cell, ...]
    places: dict[str, int]

    def cell(self, column: str) -> Cell:
        """The cell of a column; None where the row ends before it."""
        place = self.places[column]
        return self.cells[place] if place < len(self.cells) else None

    def text(self, column: str) -> str:
        """The text of a cell."""
        return shown(self.cell(column))

    def has(self, column: str) -> bool:
        """Whether the sheet has a column."""
        return column in self.places

    def error(self, column: str, message: str) -> DataError:
        """What is wrong with a cell, and where that is."""
        place = letter(self.places[column])
        return DataError(
            f"{self.sheet.where} row {self.number} column {place} ({column}): {message}"
        )

    def number_of(self, column: str) -> float | None:
        """The number in a cell, which text may hold too; None for an empty cell or another text."""
        cell = self.cell(column)
        if isinstance(cell, bool):
            return None
        try:
            value = float(cell) if cell is not None else math.nan
        except (TypeError, ValueError):
            return None
        return value if math.isfinite(value) else None

    def frame(self, column: str) -> int:
        """The frame that a cell names. Raises DataError for what is no whole number."""
        value = self.number_of(column)
        if value is None or not value.is_integer():
            raise self.error(column, f"{self.text(column)!r}, expected a frame")
        return int(value)


@dataclass(frozen=True)
class Sheet:
    """A sheet of a file. rows: cells of each, the first one being row 1 of Excel."""

    path: Path
    name: str
    rows: tuple[tuple[Cell, ...], ...]

    @property
    def where(self) -> str:
        """The file and the sheet, for messages."""
        return f"{self.path} sheet {self.name!r}"

    def table(
        self, required: Sequence[str], optional: Sequence[str] = (), headers: Sequence[int] = (1,)
    ) -> Iterator[Row]:
        """Rows below a header that has the required columns, empty ones left out.

        headers: rows in which the header may stand. Names are compared without regard to case and
        spaces. Raises DataError where no such row has them all.
        """
        header, places = self._header(required, headers)
        names = self._names(header)
        for name in optional:
            if _key(name) in names:
                places[name] = names.index(_key(name))
        for number, cells in enumerate(self.rows[header:], header + 1):
            if any(shown(cell) for cell in cells):
                yield Row(self, number, cells, places)

    def bare(self, columns: Sequence[str]) -> Iterator[Row]:
        """Rows of a sheet without a header, whose columns have these names; empty ones left out."""
        places = {name: place for place, name in enumerate(columns) if name}
        for number, cells in enumerate(self.rows, 1):
            if any(shown(cell) for cell in cells):
                yield Row(self, number, cells, places)

    def _header(
        self, required: Sequence[str], headers: Sequence[int]
    ) -> tuple[int, dict[str, int]]:
        for row in headers:
            names = self._names(row)
            if all(_key(name) in names for name in required):
                return row, {name: names.index(_key(name)) for name in required}
        names = self._names(headers[0])
        missing = next(name for name in required if _key(name) not in names)
        advice = "is this the table?"
        for row in range(1, min(len(self.rows), HEADER_ROWS) + 1):
            if all(_key(name) in self._names(row) for name in required):
                advice = f"the header stands in row {row}: move it to row {headers[0]}"
                break
        place = letter(required.index(missing)) if len(names) == len(required) else "?"
        column = f" column {place}" if place != "?" else ""
        raise DataError(
            f"{self.where} row {headers[0]}{column}: the header has no column {missing!r}; {advice}"
        )

    def _names(self, row: int) -> list[str]:
        cells = self.rows[row - 1] if row <= len(self.rows) else ()
        return [_key(shown(cell)) for cell in cells]


def _key(name: str) -> str:
    return re.sub(r"[\s_]+", "", name).lower()


class Workbook:
    """The sheets of a file by name. Raises DataError for what is no workbook."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sheets = _read(path)

    def sheet(self, *names: str) -> Sheet:
        """The sheet that has one of the names, without regard to case; without names, the first.

        Raises DataError where the file has none of them.
        """
        if not names:
            return next(iter(self.sheets.values()))
        known = {_key(name): sheet for name, sheet in self.sheets.items()}
        for name in names:
            if _key(name) in known:
                return known[_key(name)]
        raise DataError(
            f"{self.path} has no sheet {names[0]!r}; its sheets are "
            f"{', '.join(map(repr, self.sheets))}"
        )


def _read(path: Path) -> dict[str, Sheet]:
    check_size(path)
    with path.open("rb") as file:
        start = file.read(4)
    old = start == OLE or (path.suffix.lower() == ".xls" and start[:2] != b"PK")
    try:
        with warnings.catch_warnings():
            sheets = _read_xls(path) if old else _read_xlsx(path)
    except ImportError as error:
        raise UsageError(f"reading {path} needs {error.name}: {install('datasets')}") from error
    except Exception as error:  # damaged files raise anything
        raise DataError(
            f"{path} cannot be read as a workbook ({type(error).__name__}: {error})"
        ) from error
    if not sheets:
        raise DataError(f"{path} has no sheet with cells")
    return {name: Sheet(path, name, rows) for name, rows in sheets.items()}


Grid = tuple[tuple[Cell, ...], ...]


def _read_xlsx(path: Path) -> dict[str, Grid]:
    import openpyxl

    warnings.simplefilter("ignore")  # of what it does not know, such as lists to choose from
    book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    try:
        found = {}
        for sheet in book.worksheets:
            sheet.reset_dimensions()  # what the file says of its size is often wrong
            found[sheet.title] = tuple(tuple(row) for row in sheet.iter_rows(values_only=True))
        return found
    finally:
        book.close()


def _read_xls(path: Path) -> dict[str, Grid]:
    import xlrd

    with xlrd.open_workbook(str(path), on_demand=True) as book:
        empty = (xlrd.XL_CELL_EMPTY, xlrd.XL_CELL_BLANK, xlrd.XL_CELL_ERROR)
        return {
            sheet.name: tuple(
                tuple(
                    None if cell.ctype in empty or cell.value == "" else cell.value
                    for cell in sheet.row(row)
                )
                for row in range(sheet.nrows)
            )
            for sheet in book.sheets()
        }
