"""CASME (60 Hz) and CASME II (200 Hz): short clips, each with a micro-expression.

* CASME: `casme.xlsx`, header in row 1: Emotion, Subject, Filename, OnsetF, ApexF1, ApexF2, OffsetF,
  and `AU` where the table has a column of that name (how the columns of units are called is not
  documented).
* CASME II: `CASME2-coding-20140508.xlsx` (also `CASME2-coding-updated.xlsx` and
  `CASME2_label_Ver_2.xls`), first sheet, header in row 1: Subject, Filename, OnsetFrame, ApexFrame,
  OffsetFrame, Action Units, Estimated Emotion. `CASME2-ObjectiveClasses.xlsx` is not read.

Clips of different subjects have the same name, so a video is called `sub01/EP02_01f`, as its
folder. Frames are the numbers in the names of the images (`img46.jpg`) and stay so; for CASME that
is not documented and is taken to be alike.
"""

from __future__ import annotations

from pathlib import Path

from . import quirks
from .building import Builder
from .files import find
from .result import FILE_NUMBERS, Annotations
from .workbook import Row

CASME_FILES = ("casme.xlsx", "casme.xls")
CASME_FPS = 60.0
CASME_FRAMES = ("OnsetF", "ApexF1", "OffsetF")
CASME_COLUMNS = ("Emotion", "Subject", "Filename", *CASME_FRAMES)
FILES = (
    "CASME2-coding-20140508.xlsx",
    "CASME2-coding-updated.xlsx",
    "CASME2-coding*.xlsx",
    "CASME2_label_Ver_2.xls",
)
UPDATED = "updated"
FPS = 200.0
FRAMES = ("OnsetFrame", "ApexFrame", "OffsetFrame")
COLUMNS = ("Subject", "Filename", *FRAMES, "Action Units", "Estimated Emotion")


def read_casme(folder: Path) -> Annotations:
    """The micro-expressions of CASME. Raises DataError."""
    builder = Builder("casme", FILE_NUMBERS, CASME_FPS)
    book = builder.open(find(folder, CASME_FILES))
    rows = book.sheet().table(CASME_COLUMNS, optional=("AU",))
    for row in builder.mended(rows, quirks.CASME, CASME_FRAMES):
        _add(builder, row, CASME_FRAMES, "Emotion", "AU")
    return builder.result


def read_casme_ii(folder: Path) -> Annotations:
    """The micro-expressions of CASME II. Raises DataError."""
    builder = Builder("casme-ii", FILE_NUMBERS, FPS)
    path = find(folder, FILES)
    rows = list(builder.open(path).sheet().table(COLUMNS))
    if UPDATED in path.name.lower():
        rows = builder.mended(rows, quirks.CASME_II_UPDATED, FRAMES)
    for row in rows:
        _add(builder, row, FRAMES, "Estimated Emotion", "Action Units")
    return builder.result


def _add(builder: Builder, row: Row, frames: tuple[str, str, str], label: str, units: str) -> None:
    subject = row.text("Subject").removeprefix("sub").zfill(2)
    clip = row.text("Filename")
    onset, offset = row.frame(frames[0]), row.frame(frames[2])
    unknown = row.text(frames[1]) in ("", quirks.CASME_II_NO_APEX)
    apex = None if unknown else row.frame(frames[1])
    if unknown:
        builder.repaired(row, frames[1], "", "no apex is given")
    who = (subject, f"sub{subject}/{clip}")
    builder.add(row, who, (onset, apex, offset), "micro", row.text(label), frames, units)
