"""SAMM and SAMM Long Videos: 200 Hz.

* SAMM: `SAMM_Micro_FACS_Codes_v2.xlsx` (also `SAMM_20181215_Micro_FACS_Codes_v2.xlsx`), sheet
  MICRO_ONLY, header in row 14. Frames are the numbers in the names of the images
  (`006/006_1_2/006_05562.jpg`) and stay so.
* SAMM-LV: `SAMM_LongVideos_V1/V2/V3_Release.xlsx`, sheet FACS_Movement_Only, header in row 10, or
  in row 1 of copies like V3. Frames begin at 1 (`SAMM_longvideos/006_1/006_1_0001.jpg`) and become
  numbers from 0; the two sets' numbers differ by an offset for each video. Emotions of
  micro-expressions come from SAMM's table, where it lies there too: joined by file name and type,
  in order of onset, and only where both tables have as many rows of that name.

It is not documented whether non-integer onsets of V2 are more than badly rounded: they are rounded.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from . import quirks
from .building import Builder
from .files import find, find_any
from .result import FILE_NUMBERS, FROM_0, Annotations
from .workbook import Row, Workbook

FPS = 200.0
SHORT_FILES = ("SAMM_Micro_FACS_Codes_v2.xlsx", "SAMM_*Micro_FACS_Codes*.xlsx")
SHORT_FRAMES = ("Onset Frame", "Apex Frame", "Offset Frame")
SHORT = ("Subject", "Filename", *SHORT_FRAMES, "Action Units", "Estimated Emotion")
SHORT_HEADER = (14,)
LONG_FILES = (
    "SAMM_LongVideos_V3_Release.xlsx",
    "SAMM_LongVideos_V2_Release.xlsx",
    "SAMM_LongVideos_V1_Release.xlsx",
    "SAMM_LongVideos*.xlsx",
)
FRAMES = ("Onset", "Apex", "Offset")
LONG = ("Subject", "Filename", *FRAMES, "Type", "Action Units")
LONG_HEADERS = (10, 1)


def _short_rows(builder: Builder, book: Workbook) -> list[Row]:
    rows = book.sheet("MICRO_ONLY").table(SHORT, headers=SHORT_HEADER)
    return builder.mended(rows, quirks.SAMM, SHORT_FRAMES)


def read_samm(folder: Path) -> Annotations:
    """The micro-expressions of SAMM, frames as file numbers. Raises DataError."""
    builder = Builder("samm", FILE_NUMBERS, FPS)
    book = builder.open(find(folder, SHORT_FILES))
    for row in _short_rows(builder, book):
        subject = quirks.samm_subject(row.text("Subject"))
        onset, offset = row.frame("Onset Frame"), row.frame("Offset Frame")
        apex = row.number_of("Apex Frame")
        frames = (onset, None if apex is None or apex < 0 else int(apex), offset)
        label = row.text("Estimated Emotion")
        who = (subject, row.text("Filename"))
        builder.add(row, who, frames, "micro", label, SHORT_FRAMES, "Action Units")
    return builder.result


def read_samm_lv(folder: Path) -> Annotations:
    """The macro- and micro-expressions of SAMM Long Videos. Raises DataError."""
    builder = Builder("samm-lv", FROM_0, FPS, first=1)
    book = builder.open(find(folder, LONG_FILES))
    rows = list(book.sheet("FACS_Movement_Only").table(LONG, headers=LONG_HEADERS))
    labels = _labels(builder, folder, rows)
    for row in rows:
        kind = _kind(row)
        onset = builder.rounded(row, "Onset")
        if kind == "macro" and onset == quirks.SAMM_LV_UNKNOWN_ONSET:
            builder.left_out(row, "Onset", quirks.UNKNOWN_ONSET_REASON)
            continue
        apex: int | None = builder.rounded(row, "Apex")
        if apex == quirks.SAMM_LV_UNKNOWN_APEX:
            apex = None
        subject = quirks.samm_subject(row.text("Subject"))
        video = "_".join(row.text("Filename").split("_")[:2])
        frames = (onset, apex, builder.rounded(row, "Offset"))
        label = labels.get(row.number, "")
        builder.add(row, (subject, video), frames, kind, label, FRAMES, "Action Units")
    return builder.result


def _kind(row: Row) -> str:
    """`Macro`, or `Micro - 1/2`."""
    word = row.text("Type").lower()
    kind = next((name for name in ("macro", "micro") if word.startswith(name)), None)
    if kind is None:
        raise row.error("Type", f"{row.text('Type')!r}, expected Macro or Micro - 1/2")
    return kind


def _labels(builder: Builder, folder: Path, rows: list[Row]) -> dict[int, str]:
    """Emotions of micro rows, by row number, from the table of SAMM where it is there."""
    path = find_any(folder, SHORT_FILES)
    if path is None:
        builder.remark("no emotions: the table of SAMM (MICRO_ONLY) is not there")
        return {}
    emotions: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for row in _short_rows(builder, builder.open(path)):
        named = (row.frame("Onset Frame"), row.text("Estimated Emotion"))
        emotions[row.text("Filename")].append(named)
    wanted: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for row in rows:
        if _kind(row) == "micro":
            wanted[row.text("Filename")].append((row.number_of("Onset") or 0.0, row.number))
    labels = {}
    for name, places in wanted.items():
        if len(places) != len(emotions[name]):
            counts = f"{len(places)} and {len(emotions[name])}"
            builder.remark(f"{name}: {counts} micro-expressions in the two tables, so no emotion")
            continue
        for (_, number), (_, emotion) in zip(sorted(places), sorted(emotions[name]), strict=True):
            labels[number] = emotion
    return labels
