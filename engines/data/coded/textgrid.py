"""Praat TextGrids, read by praatio: interval tiers by their name, apices from tiers called so.

Other tiers of points, such as those of stimulus markers, code no interval.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ...errors import DataError, UsageError, install
from ..tables import read_text
from .pairing import Apex, CodedInterval, with_apices
from .words import is_apex, kind_of, label_of

INTERVALS = "IntervalTier"  # as praatio calls them
_TIERS = re.compile(r"<exists>\s*(?:size\s*=\s*)?(\d+)")  # how many, in the long and short form


def read(path: Path) -> list[CodedInterval]:
    """The intervals of all tiers that code expressions. Raises DataError."""
    intervals = []
    apices = []
    for tier in _grid(path).tiers:
        kind = kind_of(tier.name)
        if kind is None:
            continue
        place = tier.name.lower().rfind(kind)  # what is before it may be named anyhow
        subject = tier.name[:place].strip()
        if is_apex(tier.name[place:]):
            apices += [Apex("", subject, tier.name, float(entry[0])) for entry in tier.entries]
        elif tier.tierType == INTERVALS:
            for start_s, stop_s, text in tier.entries:
                coded = CodedInterval("", subject, kind, start_s, stop_s, label_of(text))
                intervals.append((tier.name, coded))
    return with_apices(intervals, apices)


def _grid(path: Path) -> Any:
    try:
        from praatio import textgrid
    except ImportError as error:
        raise UsageError(f"reading {path} needs praatio: {install('coding')}") from error
    announced = _TIERS.search(read_text(path))
    try:
        grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=False)
    except Exception as error:  # it checks little: a damaged file may raise anything
        raise DataError(f"it is no TextGrid ({type(error).__name__}: {error})") from error
    if announced is None or int(announced[1]) != len(grid.tiers):
        count = announced[1] if announced else "no"
        raise DataError(f"it announces {count} tiers and has {len(grid.tiers)}: is it whole?")
    return grid
