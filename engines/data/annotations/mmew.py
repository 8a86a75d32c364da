"""MMEW (90 Hz) and 4DME (60 Hz): short clips, each with a micro-expression; header in row 1.

* MMEW: `MMEW_Micro_Exp.xlsx`, first sheet: Subject, Filename, OnsetFrame, ApexFrame, OffsetFrame,
  Action Units, Estimated Emotion. "others" are told as repression.
* 4DME: `4DME_Labelling_Micro_release v1.xlsx`, first sheet: sub_ID, fold_name, Emotion, Onset,
  Apex, Offset, AUs; the columns of single emotions and units are not read. Units marked "(k)" are
  left out.

What frames are counted from is not documented for either: they stay as they are.
"""

from __future__ import annotations

from pathlib import Path

from . import quirks
from .building import Builder, with_cell
from .files import find
from .result import FILE_NUMBERS, Annotations
from .workbook import Row

MMEW_FILES = ("MMEW_Micro_Exp.xlsx", "MMEW_Micro_Exp*.xlsx")
MMEW_FPS = 90.0
FRAMES = ("OnsetFrame", "ApexFrame", "OffsetFrame")
COLUMNS = ("Subject", "Filename", *FRAMES, "Action Units", "Estimated Emotion")
FOUR_DME_FILES = ("4DME_Labelling_Micro_release v1.xlsx", "4DME_Labelling_Micro_release*.xlsx")
FOUR_DME_FPS = 60.0
FOUR_DME_FRAMES = ("Onset", "Apex", "Offset")
FOUR_DME_COLUMNS = ("sub_ID", "fold_name", "Emotion", *FOUR_DME_FRAMES, "AUs")


def _apex(row: Row, column: str) -> int | None:
    value = row.number_of(column)
    return None if value is None else int(value)


def read_mmew(folder: Path) -> Annotations:
    """The micro-expressions of MMEW. Raises DataError."""
    builder = Builder("mmew", FILE_NUMBERS, MMEW_FPS)
    rows = builder.open(find(folder, MMEW_FILES)).sheet().table(COLUMNS)
    for row in builder.mended(rows, quirks.MMEW, FRAMES):
        label = row.text("Estimated Emotion").lower()
        if label in quirks.MMEW_LABELS:
            told = quirks.MMEW_LABELS[label]
            builder.repaired(row, "Estimated Emotion", told, f"{label} are told as {told}")
            label = told
        frames = (row.frame("OnsetFrame"), _apex(row, "ApexFrame"), row.frame("OffsetFrame"))
        who = (row.text("Subject"), row.text("Filename"))
        builder.add(row, who, frames, "micro", label, FRAMES, "Action Units")
    return builder.result


def read_4dme(folder: Path) -> Annotations:
    """The micro-expressions of 4DME. Raises DataError."""
    builder = Builder("4dme", FILE_NUMBERS, FOUR_DME_FPS)
    rows = list(builder.open(find(folder, FOUR_DME_FILES)).sheet().table(FOUR_DME_COLUMNS))
    for row in _swapped(builder, rows):
        units = quirks.without_unsure_units(row.text("AUs"))
        sure = row
        if units != row.text("AUs"):
            builder.repaired(row, "AUs", units, "units marked (k) are left out")
            sure = with_cell(row, "AUs", units)
        frames = (row.frame("Onset"), _apex(row, "Apex"), row.frame("Offset"))
        who = (row.text("sub_ID"), row.text("fold_name"))
        builder.add(sure, who, frames, "micro", row.text("Emotion"), FOUR_DME_FRAMES, "AUs")
    return builder.result


def _swapped(builder: Builder, rows: list[Row]) -> list[Row]:
    """The rows, two of which have each other's units in the table as it was released."""
    one, other = quirks.FOUR_DME_SWAPPED
    if len(rows) != quirks.FOUR_DME_ROWS:
        builder.remark(
            f"the released table has {quirks.FOUR_DME_ROWS} rows, in two of which units are "
            f"swapped; this one has {len(rows)}: they are not swapped back"
        )
        return rows
    found = list(rows)
    for place, partner in ((one, other), (other, one)):
        units = rows[partner].text("AUs")
        builder.repaired(rows[place], "AUs", units, quirks.BY_MEB)
        found[place] = with_cell(rows[place], "AUs", units)
    return found
