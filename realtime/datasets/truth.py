"""Rows of a data set's table in frames of their recording, counted from 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from microspot.engines.data.annotations import Interval
from microspot.engines.data.annotations.result import FILE_NUMBERS

from ..sources.open import open_source
from ..sources.truth import numbers_of_files, renumbered
from .stored import Stored


@dataclass(frozen=True)
class LeftOut:
    """A true interval that its recording does not have; frames as its reader counts them."""

    subject: str
    video: str
    onset: int
    offset: int
    reason: str

    def to_json(self) -> dict[str, Any]:
        """The interval and the reason under the names of the fields."""
        return asdict(self)


def truth_of(
    stored: Stored, rows: Sequence[Interval], numbering: str, fps: float | None
) -> tuple[list[Interval], list[LeftOut]]:
    """The rows of a recording in frames counted from 0, and those that lie outside it.

    An interval outside cannot be found and would count as a miss. numbering: of the rows, FROM_0 or
    FILE_NUMBERS; fps: of a folder of images. Raises SourceError where the recording has gone.
    """
    places: Mapping[int, int] = {frame: frame for frame in range(stored.frames)}
    lacking = f"its {stored.frames} frames are counted from 0"
    if numbering == FILE_NUMBERS:
        with open_source(str(stored.recording.path), fps=fps) as source:
            places = numbers_of_files(source)
        lacking = "no image has a number of its own"
        if places:
            lacking = f"its images go from {min(places)} to {max(places)}"
    counted: list[Interval] = []
    left_out: list[LeftOut] = []
    for row in rows:
        if row.onset in places and row.offset in places:
            known = row if row.apex in places else replace(row, apex=None)
            counted.append(renumbered(known, places))
        else:
            reason = f"{stored.recording.path.name} has no such frames: {lacking}"
            left_out.append(LeftOut(row.subject, row.video, row.onset, row.offset, reason))
    return counted, left_out
