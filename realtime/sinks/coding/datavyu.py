"""Events as Datavyu's CSV: a column for each subject and behaviour, a cell for each event.

The first line is the version of the format; a line with a column's name and codes is followed by
its cells: onset and offset as HH:MM:SS:mmm, the codes in parentheses. Names of columns are letters,
digits and underscores.
"""

from __future__ import annotations

import re

from microspot.engines.data.coded.words import APEX

from .coded_run import CodedEvent, CodedRun

FORMAT = "#4"
CODES = ("label", f"{APEX}_ms", "score", "id")
UNFIT = re.compile(r"[\\,()\"\n-]")  # what would end a code, or begin an escape


def document(run: CodedRun) -> bytes:
    """The CSV of a run, as UTF-8."""
    codes = ",".join(f"{code}|NOMINAL" for code in CODES)
    lines = [FORMAT]
    for name, events in run.tiers().items():
        lines.append(f"{_column(name)} (MATRIX,true,)-{codes}")
        lines += [_cell(event) for event in events]
    return ("\n".join(lines) + "\n").encode()


def _column(name: str) -> str:
    return re.sub(r"\W+", "_", name)


def _cell(event: CodedEvent) -> str:
    apex = "" if event.apex_ms is None else str(event.apex_ms)
    values = (event.label, apex, str(event.record["score"]), str(event.record["id"]))
    codes = ",".join(UNFIT.sub("_", value) for value in values)
    return f"{_clock(event.onset_ms)},{_clock(event.offset_ms)},({codes})"


def _clock(ms: int) -> str:
    """HH:MM:SS:mmm."""
    seconds, rest = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}:{rest:03}"
