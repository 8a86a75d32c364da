"""CAS(ME)^3, parts A and C: 30 Hz.

* Part A: `CAS(ME)3_part_A_v2.xls`, sheet AU+Emotion (Subject, Filename, Onset, Apex, Offset, AU,
  Expression type, Objective class), and `cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx`, sheet label
  (Subject, Filename, Onset, Apex, Offset, AU, Objective class, emotion). The first has the types,
  the second the emotions of micro-expressions; rows are joined on subject, file name and frames,
  and a row of either alone counts. Headers in row 1. The sheet of blinks is not read.
* Part C: `CAS(ME)3_part_C_ME.xlsx`, sheet mockCrimeME: sub, count, onset, offset, au, emotion. A
  subject has one video. No apex is given: the authors advise the frame half-way.

Frames are the numbers in the names of the images and stay so: numbering has holes, and begins at 0
or later. For part C that is not documented and is taken to be alike. Lists of damaged images are
not read.
"""

from __future__ import annotations

from pathlib import Path

from . import quirks
from .building import Builder
from .files import find, find_any
from .result import FILE_NUMBERS, Annotations
from .workbook import Row

FPS = 30.0
TYPE_FILES = ("CAS(ME)3_part_A_v2.xls", "CAS(ME)3_part_A_v2.xlsx")
EMOTION_FILES = ("cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx",)
FRAMES = ("Onset", "Apex", "Offset")
COLUMNS = ("Subject", "Filename", *FRAMES, "AU")
TYPES = {"micro-expression": "micro", "macro-expression": "macro"}
C_FILES = ("CAS(ME)3_part_C_ME.xlsx",)
C_FRAMES = ("onset", "offset")
C_COLUMNS = ("sub", "count", *C_FRAMES, "au", "emotion")

Key = tuple[str, ...]


def _key(row: Row) -> Key:
    subject = quirks.cas_me_3_subject(row.text("Subject"))
    return (subject, *(row.text(name) for name in ("Filename", *FRAMES)))


def read_part_a(folder: Path) -> Annotations:
    """The macro- and micro-expressions of part A. Raises DataError.

    Where one of the two tables is not there, the other is read alone, with a remark.
    """
    builder = Builder("cas-me-3-a", FILE_NUMBERS, FPS)
    types_path = find_any(folder, TYPE_FILES)
    emotions_path = find_any(folder, EMOTION_FILES)
    if types_path is None and emotions_path is None:
        find(folder, (*TYPE_FILES, *EMOTION_FILES))
    emotions: dict[Key, Row] = {}
    if emotions_path is None:
        builder.remark(f"no emotions: {EMOTION_FILES[0]} is not there")
    else:
        raw = list(builder.open(emotions_path).sheet("label").table((*COLUMNS, "emotion")))
        mended = builder.mended(raw, quirks.CAS_ME_3_A, FRAMES)
        # The other table has the mistakes too: rows are joined as both have them.
        emotions = {_key(before): after for before, after in zip(raw, mended, strict=True)}
    if types_path is None:
        builder.remark(f"no macro-expressions: {TYPE_FILES[0]} is not there")
    else:
        table = builder.open(types_path).sheet("AU+Emotion")
        for row in table.table((*COLUMNS, "Expression type")):
            _add_typed(builder, row, emotions)
    for row in emotions.values():
        _add(builder, row, "micro", row.text("emotion"))
    return builder.result


def _add_typed(builder: Builder, row: Row, emotions: dict[Key, Row]) -> None:
    """A row of the table of types, with the emotion of its partner, which is used up."""
    kind = TYPES.get(row.text("Expression type").lower())
    if kind is None:
        word = row.text("Expression type")
        raise row.error("Expression type", f"{word!r}, expected {' or '.join(TYPES)}")
    partner = emotions.pop(_key(row), None) if kind == "micro" else None
    if partner is None:
        _add(builder, row, kind, "")
    else:
        _add(builder, partner, kind, partner.text("emotion"))


def _add(builder: Builder, row: Row, kind: str, label: str) -> None:
    subject = quirks.cas_me_3_subject(row.text("Subject"))
    who = (subject, f"{subject}/{row.text('Filename')}")
    onset, apex, offset = (row.frame(name) for name in FRAMES)
    builder.add(row, who, (onset, apex, offset), kind, label, FRAMES, "AU")


def read_part_c(folder: Path) -> Annotations:
    """The micro-expressions of part C. Raises DataError."""
    builder = Builder("cas-me-3-c", FILE_NUMBERS, FPS)
    builder.remark("no apex is given: half-way between onset and offset, as the authors advise")
    book = builder.open(find(folder, C_FILES))
    for row in book.sheet("mockCrimeME").table(C_COLUMNS):
        subject = row.text("sub").zfill(2)
        onset, offset = (row.frame(name) for name in C_FRAMES)
        apex = quirks.midpoint(onset, offset) if onset <= offset else None
        columns = (C_FRAMES[0], "", C_FRAMES[1])
        frames = (onset, apex, offset)
        builder.add(row, (subject, subject), frames, "micro", row.text("emotion"), columns, "au")
    return builder.result
