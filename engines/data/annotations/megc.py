"""Tables of spotted intervals as the grand challenges take them: CSV, one row for each interval.

MEGC2022: `vid,pred_onset,pred_offset,type`; MEGC2023 and later: `vid,onset,offset,type`. Types are
`me` (micro) and `mae` (macro). Frames are inclusive. It is not documented whether they begin at 0
or 1, nor what the rate is: frames stay as they are, and the rate is not told.
"""

from __future__ import annotations

from pathlib import Path

from ...errors import DataError
from ..tables import number, read_rows, read_text
from .files import find
from .result import FILE_NUMBERS, Annotations
from .table import Interval

FILES = ("*.csv",)
TYPES = {"me": "micro", "mae": "macro"}


def read(folder: Path) -> Annotations:
    """The intervals of a table of MEGC: a file, or the first one in a folder. Raises DataError."""
    path = find(folder, FILES)
    older = "pred_onset" in read_text(path).partition("\n")[0].lower()
    columns = ("pred_onset", "pred_offset") if older else ("onset", "offset")
    result = Annotations("megc", FILE_NUMBERS, [str(path)])
    for line, row in read_rows(path, ("vid", *columns, "type")):
        frames = []
        for column in columns:
            value = number(row[column])
            if value is None or not value.is_integer():
                raise DataError(
                    f"{path} line {line}: {column} is {row[column]!r}, expected a frame"
                )
            frames.append(int(value))
        kind = TYPES.get(row["type"].strip().lower())
        if kind is None:
            raise DataError(f"{path} line {line}: type is {row['type']!r}, expected me or mae")
        try:
            result.intervals.append(Interval("", row["vid"], frames[0], None, frames[1], kind))
        except DataError as error:
            raise DataError(f"{path} line {line}: {error}") from error
    return result
