"""Events as Datavyu's CSV: a column for each subject and behaviour, a cell for each event.

The first line is the version of the format; a line with a column's name and codes is followed by
its cells: onset and offset as HH:MM:SS:mmm, the codes in parentheses. Names of columns are letters,
digits and underscores. A stimulus marker is a cell that ends when it begins, which is Datavyu's
point, in a column of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from microspot.engines.data.coded.words import APEX, MARKER_CODES

from .coded_run import KEPT, CodedEvent, CodedRun

FORMAT = "#4"
CODES = ("label", f"{APEX}_ms", "score", "id")
UNFIT = re.compile(r"[\\,()\"\n-]")  # what would end a code, or begin an escape


def document(run: CodedRun) -> bytes:
    """The CSV of a run, as UTF-8."""
    lines = [FORMAT]
    for name, events in run.tiers().items():
        lines.append(_column(name, CODES))
        lines += [_event_cell(event) for event in events]
    for name, markers in run.marker_tiers().items():
        lines.append(_column(name, MARKER_CODES))
        lines += [_cell(each.at_ms, each.at_ms, (each.name, each.value)) for each in markers]
    return ("\n".join(lines) + "\n").encode()


def _column(name: str, codes: Iterable[str]) -> str:
    fit = re.sub(r"\W+", "_", name)
    return f"{fit} (MATRIX,true,)-{','.join(f'{code}|NOMINAL' for code in codes)}"


@lru_cache(maxsize=KEPT)
def _event_cell(event: CodedEvent) -> str:
    apex = "" if event.apex_ms is None else str(event.apex_ms)
    values = (event.label, apex, str(event.record["score"]), str(event.record["id"]))
    return _cell(event.onset_ms, event.offset_ms, values)


def _cell(onset_ms: int, offset_ms: int, values: Iterable[str]) -> str:
    codes = ",".join(UNFIT.sub("_", value) for value in values)
    return f"{_clock(onset_ms)},{_clock(offset_ms)},({codes})"


def _clock(ms: int) -> str:
    """HH:MM:SS:mmm."""
    seconds, rest = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}:{rest:03}"
