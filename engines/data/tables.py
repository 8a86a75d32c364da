"""Tables as spreadsheets write and read them: rows of text under a header.

Tables may be UTF-8 or UTF-16, with comma, semicolon or tab between cells, and have `sep=` lines and
empty rows of Excel. Text that a spreadsheet would take for a formula is written with an apostrophe
before it, and read without.
"""

from __future__ import annotations

import codecs
import csv
import io
import math
from collections.abc import Sequence
from itertools import repeat
from pathlib import Path

from ..errors import DataError

DELIMITERS = ",;\t"
MOST_BYTES = 1 << 26  # no table of intervals is as long; not from the papers
FORMULA = tuple("=+-@\t\r\n＝＋－＠")  # some spreadsheet computes a cell that begins so
MARK = "'"  # says to a spreadsheet that text follows
Rows = list[tuple[int, dict[str, str]]]


def escaped(text: str) -> str:
    """`text` as a cell that no spreadsheet computes."""
    return MARK + text if text.startswith((*FORMULA, MARK)) else text


def plain(cell: str) -> str:
    """The text that `escaped` made `cell` of; other cells keep an apostrophe that begins them."""
    was_escaped = cell.startswith(MARK) and cell[1:].startswith((*FORMULA, MARK))
    return cell[1:] if was_escaped else cell


def read_rows(path: Path, required: Sequence[str]) -> Rows:
    """Rows of a table with a header, each with its line; rows without any text are left out.

    Raises DataError, which names the file, where a required column or a cell of it is missing, or
    where it is no table.
    """
    text = read_text(path)
    announced = _announced(text)
    try:
        if announced:
            rest = text.partition("\n")[2]
            return _parsed(path, rest, announced, required, skipped=1)
        return _parsed(path, text, _delimiter(text, required), required, skipped=0)
    except csv.Error as error:
        raise DataError(f"{path} cannot be read as a table: {error}") from error


def read_columns(path: Path, required: Sequence[str]) -> dict[str, Sequence[str]] | None:
    """The columns of a table by name, where every row is as long as the header and not empty.

    None for any other table, which `read_rows` reads, or says what is wrong with it: this is the
    quick way. Raises DataError for what is no file and no text.
    """
    text = read_text(path)
    announced = _announced(text)
    body = text.partition("\n")[2] if announced else text
    if MARK in body:
        return None  # some cell may be escaped
    body = body.replace("\r\n", "\n").removesuffix("\n")
    if '"' in body or "\r" in body:
        return None  # a cell may hold a delimiter, or the end of a line
    delimiter = announced or _delimiter(text, required)
    header, _, rest = body.partition("\n")
    names = _names(header.split(delimiter))
    if len(set(names)) < len(names) or not set(required) <= set(names):
        return None
    lines = rest.split("\n") if rest else []
    cuts = len(names) - 1
    if max(map(len, lines), default=0) > csv.field_size_limit():
        return None
    if delimiter * cuts in lines or not {cuts}.issuperset(map(str.count, lines, repeat(delimiter))):
        return None
    cells = rest.replace("\n", delimiter).split(delimiter) if rest else []
    return {name: cells[place :: len(names)] for place, name in enumerate(names)}


def _announced(text: str) -> str | None:
    """The delimiter that a first line `sep=;` of Excel names; None without one."""
    first = text.partition("\n")[0]
    if first.lower().startswith("sep=") and len(first.rstrip("\r")) == len("sep=,"):
        return first[4]
    return None


def number(text: str) -> float | None:
    """The number that a cell holds, with a point or a comma; None for any other text."""
    try:
        value = float(text.strip().replace(",", "."))  # many countries write 0,5
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def check_size(path: Path) -> None:
    """Raise DataError for what is no file, or one that no table is as long as."""
    if not path.is_file():  # a read from a pipe would wait for its writer
        reason = "it is no file" if path.exists() else "no such file"
        raise DataError(f"{path} cannot be read as a table: {reason}")
    if path.stat().st_size > MOST_BYTES:
        raise DataError(f"{path} cannot be read as a table: it is longer than {MOST_BYTES} bytes")


def read_text(path: Path) -> str:
    """The text of a table, in UTF-8 or UTF-16. Raises DataError."""
    try:
        check_size(path)
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read as a table: {error.strerror}") from error
    if data.startswith(b"PK\x03\x04"):
        raise DataError(f"{path} is a workbook, not a table: save it as CSV UTF-8")
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
        return text if "\n" in text else text.replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path} line {line}: neither UTF-8 nor UTF-16 text; save it as CSV UTF-8"
        ) from error


def _delimiter(text: str, required: Sequence[str]) -> str:
    """The one under which the header has most of the required columns, by default a comma."""
    header = text.partition("\n")[0]

    def known(delimiter: str) -> int:
        cells = next(csv.reader([header], delimiter=delimiter), [])
        return len(set(required) & set(_names(cells)))

    return max(DELIMITERS, key=known)


def _names(header: Sequence[str]) -> list[str]:
    return [name.strip().lower() for name in header]


def _parsed(path: Path, text: str, delimiter: str, required: Sequence[str], skipped: int) -> Rows:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    names = _names(next(reader, []))
    missing = [name for name in required if name not in names]
    if missing:
        raise DataError(
            f"{path}: column {missing[0]!r} is missing; the header is {','.join(required)}"
        )
    twice = [name for name in required if names.count(name) > 1]
    if twice:
        raise DataError(f"{path}: column {twice[0]!r} stands there twice")
    rows: Rows = []
    for cells in reader:
        if any(cell.strip() for cell in cells):
            line = reader.line_num + skipped
            rows.append((line, _row(path, line, names, cells, required)))
    return rows


def _row(
    path: Path, line: int, names: list[str], cells: list[str], required: Sequence[str]
) -> dict[str, str]:
    row = dict(zip(names, map(plain, cells), strict=False))
    missing = [name for name in required if name not in row]
    if missing:
        raise DataError(f"{path} line {line}: the row ends before column {missing[0]!r}")
    if any(cell.strip() for cell in cells[len(names) :]):
        raise DataError(
            f"{path} line {line}: {len(cells)} cells, but the header has {len(names)}: "
            "quote what holds a delimiter"
        )
    return row
