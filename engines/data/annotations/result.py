"""What a reader of a data set gives: intervals, and what it did to the rows of the table."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from .table import Interval

FROM_0 = "from 0"  # frames are counted from the video's first one, which is 0
FILE_NUMBERS = "file numbers"  # frames are the numbers in the names of the images, as in the table


@dataclass(frozen=True)
class Note:
    """A row that a reader repaired, or left out.

    row: as Excel counts, from 1 on; now: None where the row is left out.
    """

    file: str
    sheet: str
    row: int
    column: str
    was: str
    now: str | None
    reason: str

    def to_json(self) -> dict[str, Any]:
        """The note under the names of its fields."""
        return asdict(self)


@dataclass
class Annotations:
    """The intervals of a data set.

    numbering: FROM_0 or FILE_NUMBERS, which `evaluate` reads with --file-numbers; files: that were
    read; notes: rows that were repaired or left out, each with its reason; remarks: what holds for
    the whole set.
    """

    dataset: str
    numbering: str
    files: list[str] = field(default_factory=list)
    intervals: list[Interval] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
