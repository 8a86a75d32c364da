"""CAS(ME)^2: 30 Hz, 22 subjects, macro- and micro-expressions in long videos.

`CAS(ME)^2code_final.xlsx` (also `code_final.xlsx`) has three sheets, all without a header:

* CASFEcode_final: subject (1 to 22), video (`anger1_1`), onset, apex, offset, action units, emotion
  class, type, self-report
* naming rule1: in its second and third column the name of a subject (`s15`) and its number
* naming rule2: code (`0401`, text) and name of a video (`anger1`)

Frames begin at 1 and become numbers from 0. A video is called as its folder begins, `15_0401`: the
folder has a name after the code.
"""

from __future__ import annotations

from pathlib import Path

from . import quirks
from .building import Builder
from .files import find
from .result import FROM_0, Annotations
from .workbook import Row, Workbook

FILES = ("CAS(ME)^2code_final.xlsx", "CAS(ME)2code_final.xlsx", "*code_final*.xlsx")
FPS = 30.0
COLUMNS = ("subject", "video", "onset", "apex", "offset", "AU", "emotion", "type", "self-report")
FRAMES = ("onset", "apex", "offset")
TYPES = {"macro-expression": "macro", "micro-expression": "micro"}


def read(folder: Path) -> Annotations:
    """The intervals of CAS(ME)^2. Raises DataError."""
    builder = Builder("cas-me-2", FROM_0, FPS, first=1)
    book = builder.open(find(folder, FILES))
    subjects = _subjects(book)
    codes = _codes(book)
    for row in book.sheet("CASFEcode_final").bare(COLUMNS):
        kind = TYPES.get(row.text("type").lower())
        if kind is None:
            raise row.error("type", f"{row.text('type')!r}, expected {' or '.join(TYPES)}")
        name = row.text("video").rpartition("_")[0] or row.text("video")
        if name not in codes:
            raise row.error("video", f"sheet 'naming rule2' has no code for {name!r}")
        if row.text("subject") not in subjects:
            raise row.error("subject", f"sheet 'naming rule1' has no name for it: {row.cells[0]}")
        subject = subjects[row.text("subject")]
        video = f"{subject.lstrip('s')}_{codes[name]}"
        frames = _frames(builder, row, kind)
        builder.add(row, (subject, video), frames, kind, row.text("emotion"), FRAMES, "AU")
    return builder.result


def _frames(builder: Builder, row: Row, kind: str) -> tuple[int, int | None, int]:
    onset, apex, offset = (row.frame(name) for name in FRAMES)
    if offset == quirks.CAS_ME_2_NO_OFFSET and kind == "macro":
        offset = apex
        builder.repaired(row, "offset", offset, quirks.NO_OFFSET_REASON)
    if apex == quirks.CAS_ME_2_NO_APEX:
        apex = quirks.midpoint(onset, offset)
        builder.repaired(row, "apex", apex, quirks.NO_APEX_REASON)
    return onset, apex, offset


def _subjects(book: Workbook) -> dict[str, str]:
    rows = book.sheet("naming rule1").bare(("", "name", "number"))
    return {row.text("number"): row.text("name") for row in rows}


def _codes(book: Workbook) -> dict[str, str]:
    rows = book.sheet("naming rule2").bare(("code", "name"))
    digits = quirks.CAS_ME_2_CODE_DIGITS
    return {row.text("name"): row.text("code").zfill(digits) for row in rows}
