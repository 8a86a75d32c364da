"""What is odd about each data set's tables, in one place.

Cells that are known to be wrong are replaced where the table is the one they are known of, which
its number of rows tells; each replacement is a note of the reader's. Values "by MEB" are those of
github.com/tvaranka/meb, which its authors took from the frames. Rows are counted from 0 below the
header, as there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

BY_MEB = "known mistake of the table; value by MEB"


@dataclass(frozen=True)
class KnownMistakes:
    """Cells to replace: {row: {column: value}} of a table with so many rows.

    rows: None where the number is not known; then only cells without a frame within the row's own
    interval are replaced.
    """

    rows: int | None
    cells: Mapping[int, Mapping[str, Any]]


CASME = KnownMistakes(
    189,
    {
        40: {"OnsetF": 100, "ApexF1": 120, "OffsetF": 149},
        42: {"OnsetF": 101, "ApexF1": 110, "OffsetF": 119},
        43: {"OnsetF": 57, "ApexF1": 65, "OffsetF": 74},
        54: {"OffsetF": 40},
        140: {"OffsetF": 142},
    },
)
# Of CASME2-coding-updated.xlsx alone: apexes that it does not give, and one offset.
CASME_II_APEXES = {
    29: 279, 35: 68, 43: 77, 45: 81, 51: 166, 53: 100, 60: 78, 117: 187, 118: 89, 126: 80, 136: 88,
    147: 134, 155: 231, 168: 53, 170: 329, 177: 111, 202: 91, 203: 103, 234: 98, 237: 153, 238: 98,
}  # fmt: skip
CASME_II_UPDATED = KnownMistakes(
    None,
    {place: {"ApexFrame": apex} for place, apex in CASME_II_APEXES.items()}
    | {60: {"OffsetFrame": 91, "ApexFrame": CASME_II_APEXES[60]}},
)
SAMM = KnownMistakes(
    159,
    {
        56: {"Offset Frame": 5739},
        125: {"Apex Frame": 1105},
        132: {"Apex Frame": 4945},
        133: {"Apex Frame": 5130},
        # Two codings with "or" between them.
        15: {"Action Units": "R12 + R15"},
        18: {"Action Units": "R12 + R15"},
        41: {"Action Units": "L14"},
        64: {"Action Units": "R14"},
        154: {"Action Units": "R14A"},
    },
)
MMEW_ROWS = [33, *range(35, 43), 142, 143, 145, 146, 148, 154, 156]
MMEW_APEXES = [40, 15, 46, 20, 25, 20, 23, 28, 32, 56, 32, 27, 22, 29, 31, 38]
MMEW_OFFSETS = [75, 54, 59, 98, 80, 93, 58, 61, 68, 88, 80, 85, 61, 108, 72, 106]
MMEW = KnownMistakes(
    300,
    {
        place: {"ApexFrame": apex, "OffsetFrame": offset}
        for place, apex, offset in zip(MMEW_ROWS, MMEW_APEXES, MMEW_OFFSETS, strict=True)
    },
)
MMEW_LABELS = {"others": "repression"}
# Of cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx; row 708 ends at 3460, 3455 frames after its onset.
CAS_ME_3_A = KnownMistakes(
    860,
    {
        128: {"Apex": 123},
        708: {"Offset": 34},
        749: {"Onset": 2647},
        750: {"Onset": 1, "Apex": 1},
        796: {"Offset": 1845},
        798: {"Offset": 2403},
    },
)
FOUR_DME_ROWS = 267
FOUR_DME_SWAPPED = (144, 145)  # each has the other's action units
_UNSURE = re.compile(r"[^+]*\(k\)[^+]*")  # of 4DME: a unit that coders doubt


def without_unsure_units(cell: str) -> str:
    """Action units of 4DME without those marked "(k)"."""
    kept = [part for part in cell.split("+") if not _UNSURE.fullmatch(part)]
    return "+".join(kept)


# CAS(ME)^2: 44 macro rows say 0 for "it does not end before the next": their apex is taken.
CAS_ME_2_NO_OFFSET = 0
CAS_ME_2_NO_APEX = 0
NO_OFFSET_REASON = "offset 0 means that the apex is the last frame"
NO_APEX_REASON = "no apex: half-way between onset and offset"
CAS_ME_2_CODE_DIGITS = 4  # codes are text, 0101, that spreadsheets turn into 101

CASME_II_NO_APEX = "/"

SAMM_LV_UNKNOWN_ONSET = 0
SAMM_LV_UNKNOWN_APEX = -1
SAMM_SUBJECT_DIGITS = 3  # 006: text that spreadsheets turn into 6
UNKNOWN_ONSET_REASON = "onset 0 means that the start is not known"
ROUNDED_REASON = "a frame that is no whole number: rounded"

BELOW_TABLE_REASON = "text below the table"
OUTSIDE_REASON = "the apex lies outside the interval: left out of the row"
BACKWARD_REASON = "the offset lies before the onset"
UNITS_REASON = "action units that cannot be read are left out"


def midpoint(onset: int, offset: int) -> int:
    """The frame half-way between two."""
    return (onset + offset) // 2


def smic_subject(cell: str) -> str:
    """`s3` and `s03` are one subject."""
    digits = re.sub(r"\D", "", cell)
    return f"s{int(digits):02d}" if digits else cell


def samm_subject(cell: str) -> str:
    """`6` and `006` are one subject."""
    return cell.zfill(SAMM_SUBJECT_DIGITS)


def cas_me_3_subject(cell: str) -> str:
    """`spNo.1` and `spNO.1` are one subject, the latter in the tables."""
    return re.sub(r"(?i)^spno\.", "spNO.", cell)
