"""Action units in a cell of a table.

    AU4+AU12        these moved
    AU4:0.91+AU12   with a score from 0 to 1 (a unit without one has score 1)
    none            none moved; an empty cell says nothing

A unit has a number, and may have a side or half before it (L, R, T, B) and an intensity after it (A
to E), as FACS coders write: `L12`, `AU14B`. Figures are of whole units: sides and intensities are
read over.
"""

from __future__ import annotations

import re

from ..errors import DataError

Units = tuple[tuple[str, float], ...]  # names, each once, and scores
NONE = "none"
_UNIT = re.compile(r"(?:AU)?\s*[LRTB]?\s*(?P<number>\d{1,2})[A-E]?(?::(?P<score>\d*\.?\d+))?", re.I)


def parse_units(text: str) -> Units | None:
    """The units of a cell, by number; None for an empty one. Raises DataError for other text."""
    cell = text.strip()
    if not cell:
        return None
    if cell.lower() == NONE:
        return ()
    scores: dict[int, float] = {}
    for part in cell.split("+"):
        unit = _UNIT.fullmatch(part.strip())
        score = float(unit["score"] or 1) if unit else -1.0
        if unit is None or not 0 <= score <= 1:
            raise DataError(
                f"units is {cell!r}: expected none, or units such as AU4+AU12:0.8, scores 0 to 1"
            )
        number = int(unit["number"])
        scores[number] = max(score, scores.get(number, 0.0))
    return tuple((f"AU{number}", scores[number]) for number in sorted(scores))


def facs_units(text: str) -> Units | None:
    """The units of a cell as coders of data sets write it; None for what cannot be read.

    Between units stand +, commas of either width, slashes or semicolons; some stand at the end.
    """
    parts = [part.strip() for part in re.split(r"[+,，;；、/]", text) if part.strip()]
    numbers = [_UNIT.fullmatch(part) for part in parts]
    if not parts or any(unit is None or unit["score"] for unit in numbers):
        return None
    found = sorted({int(unit["number"]) for unit in numbers if unit})
    return tuple((f"AU{number}", 1.0) for number in found)
