"""SMIC-E long: HS (100 Hz), VIS and NIR (25 Hz).

`SMIC-HS-E_annotation.xlsx` has the sheets HS and VIS, `SMIC-VIS-E_annotation.xlsx` and
`SMIC-NIR-E_annotation.xlsx` are tables of their own, whose first sheet is read: what it is called
is not documented. Header in row 1: Subject, Filename, OnsetF, OffsetF, Onset2F, Offset2F, and for
some Onset3F, Offset3F, FirstF, …, Emotion: up to three micro-expressions a clip, of one emotion.

Frames are counters of the camera: FirstF, the clip's first one, is taken off, so that they count
from 0. No apex is given. Five clips of the HS table do not exist; where the folders of the clips
are there (`SMIC-HS-E/HS/s20/s20_ne_01`), rows without one are left out. The layout of the tables
of the short clips (SMIC without "-E") is not documented and not read.
"""

from __future__ import annotations

from pathlib import Path

from . import quirks
from .building import Builder
from .files import find, find_any
from .result import FROM_0, Annotations
from .workbook import Row, Sheet

FPS = {"HS": 100.0, "VIS": 25.0, "NIR": 25.0}
COLUMNS = ("Subject", "Filename", "OnsetF", "OffsetF", "FirstF", "Emotion")
MORE = ("Onset2F", "Offset2F", "Onset3F", "Offset3F")
FRAMES = (("OnsetF", "OffsetF"), ("Onset2F", "Offset2F"), ("Onset3F", "Offset3F"))
NO_FOLDER_REASON = "the clip has no folder"


def read_hs(folder: Path) -> Annotations:
    """The micro-expressions of SMIC-HS-E long. Raises DataError."""
    return _read(folder, "HS")


def read_vis(folder: Path) -> Annotations:
    """The micro-expressions of SMIC-VIS-E long. Raises DataError."""
    return _read(folder, "VIS")


def read_nir(folder: Path) -> Annotations:
    """The micro-expressions of SMIC-NIR-E long. Raises DataError."""
    return _read(folder, "NIR")


def _read(folder: Path, part: str) -> Annotations:
    builder = Builder(f"smic-{part.lower()}", FROM_0, FPS[part])
    sheet = _sheet(builder, folder, part)
    clips = _clips(sheet.path.parent, part)
    for row in sheet.table(COLUMNS, optional=MORE):
        if row.number_of("OnsetF") is None and row.number_of("FirstF") is None:
            column = "Subject" if row.text("Subject") else "Filename"
            builder.left_out(row, column, quirks.BELOW_TABLE_REASON)
            continue
        subject = quirks.smic_subject(row.text("Subject"))
        clip = row.text("Filename")
        if clips and clip.lower() not in clips:
            builder.left_out(row, "Filename", NO_FOLDER_REASON)
            continue
        _add(builder, row, subject, clip)
    return builder.result


def _add(builder: Builder, row: Row, subject: str, clip: str) -> None:
    first = row.frame("FirstF")
    for onset_column, offset_column in FRAMES:
        if not row.has(onset_column) or row.number_of(onset_column) is None:
            continue
        onset, offset = row.frame(onset_column) - first, row.frame(offset_column) - first
        if onset < 0:
            raise row.error(onset_column, f"it lies before FirstF, which is {first}")
        columns = (onset_column, "", offset_column)
        frames = (onset, None, offset)
        builder.add(row, (subject, clip), frames, "micro", row.text("Emotion"), columns)


def _sheet(builder: Builder, folder: Path, part: str) -> Sheet:
    own = f"SMIC-{part}-E_annotation*.xlsx"
    if part == "HS":
        return builder.open(find(folder, (own,))).sheet("HS")
    path = find_any(folder, (own,))
    if path is not None:
        return builder.open(path).sheet()
    patterns = (own, "SMIC-HS-E_annotation*.xlsx") if part == "VIS" else (own,)
    return builder.open(find(folder, patterns)).sheet(part)


def _clips(folder: Path, part: str) -> set[str]:
    """Names of the folders of clips, in small letters; empty where there are none."""
    for root in (folder / f"SMIC-{part}-E" / part, folder / part):
        if root.is_dir():
            return {path.name.lower() for path in root.glob("*/*") if path.is_dir()}
    return set()
