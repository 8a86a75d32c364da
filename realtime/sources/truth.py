"""What is true of a source: rows of a table, a coded file, or what the source itself knows.

Rows of a table name frames; coded files (BORIS, ELAN, …) name seconds, which become the frames
nearest in time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from microspot.engines.data.annotations import Interval, read_table
from microspot.engines.data.coded.pairing import CodedInterval
from microspot.engines.data.coded.reading import read_coded

from ..errors import DataError, UsageError
from .images.image_folder import ImageFolder
from .open import Source

BEYOND_S = 1.0  # that a coded interval may end after the last frame: tools count from elsewhere

Row = TypeVar("Row", Interval, CodedInterval)
Truth = list[Interval] | list[CodedInterval]


def read_truth(path: Path) -> Truth:
    """The true intervals of a table, or of a file of a coding tool. Raises DataError."""
    coded = read_coded(path)
    return read_table(path) if coded is None else coded


def _some_videos(rows: Sequence[Interval | CodedInterval]) -> str:
    """The first three names of videos in a table."""
    names = sorted({row.video for row in rows})
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")


def of_video(source: Source, table: list[Row]) -> list[Row]:
    """The rows of a source, by its name or, where that gives none, by its name's stem.

    Coded files that do not say which video they are of are of every source.
    """
    for name in (source.name, Path(source.name).stem, ""):
        rows = [row for row in table if row.video == name]
        if rows:
            return [replace(row, video=source.name) for row in rows]
    videos = _some_videos(table)
    raise DataError(f"the truth table has no video {source.name!r}: its videos are {videos}")


def counted_from_0(source: Source, rows: list[Interval], file_numbers: bool) -> list[Interval]:
    """`rows` with frames counted from 0, which they are unless they use `file_numbers`.

    Raises UsageError where the names of images give no numbers, DataError for a number that no
    image has.
    """
    if not file_numbers:
        return rows
    places = numbers_of_files(source)
    if not places:
        raise UsageError(
            f"{source.name}: --file-numbers needs a folder of images whose names end in different "
            "numbers"
        )
    for row in rows:
        for number in (row.onset, row.apex, row.offset):
            if number is not None and number not in places:
                raise DataError(
                    f"{source.name}: the truth names frame {number}, but no image has that "
                    f"number: they go from {min(places)} to {max(places)}"
                )
    return [renumbered(row, places) for row in rows]


def renumbered(row: Interval, places: Mapping[int, int]) -> Interval:
    """A row whose frames are numbers of files, with the places of these files instead."""
    return replace(
        row,
        onset=places[row.onset],
        offset=places[row.offset],
        apex=None if row.apex is None else places[row.apex],
    )


def numbers_of_files(source: Source) -> dict[int, int]:
    """Places of a folder's images by the numbers in which their names end.

    Empty unless every image has a number of its own.
    """
    if not isinstance(source, ImageFolder):
        return {}
    places = {}
    for place, file in enumerate(source.files):
        number = re.search(r"(\d{1,18})\D*$", file.stem)
        if number:
            places[int(number[1])] = place
    return places if len(places) == len(source.files) else {}


def within(source: Source, rows: list[Interval], frames: int) -> list[Interval]:
    """`rows` as they are; raises DataError where one lies beyond the frames of the video.

    An interval beyond them cannot be found and would count as a miss.
    """
    outside = [row for row in rows if row.onset < 0 or row.offset >= frames]
    if not outside:
        return rows
    first = min(row.onset for row in outside)
    last = max(row.offset for row in outside)
    places = numbers_of_files(source)
    advice = "the first frame is 0"
    if places and all(row.onset in places and row.offset in places for row in rows):
        advice = (
            "the truth seems to use the numbers in the names of the images, which begin at "
            f"{min(places)}: add --file-numbers"
        )
    raise DataError(
        f"truth frames {first}-{last} lie beyond the {frames} frames of {source.name}: {advice}"
    )


def known_to(source: Source, times: list[int], classes: int) -> list[Interval]:
    """The truth that the source itself knows, in the frames nearest in time.

    times: capture times (ns) of all frames; classes: of the label set. Raises UsageError for a
    source that knows none.
    """
    movements = getattr(source, "truth", None)
    if movements is None:
        raise UsageError(
            f"{source.name} does not know its truth: give --truth TABLE.csv, "
            "or use sample:synthetic"
        )
    return [
        Interval(
            subject="",
            video=source.name,
            onset=_nearest_frame(times, movement.onset_ns),
            apex=_nearest_frame(times, movement.apex_ns),
            offset=_nearest_frame(times, movement.offset_ns),
            type=movement.kind,
            label=movement.label(classes),
        )
        for movement in movements
        if movement.kind in ("micro", "macro")
    ]


def in_frames(source: Source, rows: list[CodedInterval], times: list[int]) -> list[Interval]:
    """Coded intervals in the frames nearest in time.

    Subjects are left out: a camera knows faces, not people. times: capture times (ns) of all
    frames. Raises DataError for what lies beyond the last one.
    """
    last_s = times[-1] / 1e9 if times else 0.0
    late = [row for row in rows if row.offset_s > last_s + BEYOND_S]
    if late:
        raise DataError(
            f"truth from {late[0].onset_s:g} to {late[0].offset_s:g} s lies beyond the "
            f"{last_s:.1f} s of {source.name}: is it of this video?"
        )
    found = []
    for row in rows:
        onset, offset = (
            _nearest_frame(times, row_s * 1e9) for row_s in (row.onset_s, row.offset_s)
        )
        apex = None if row.apex_s is None else _nearest_frame(times, row.apex_s * 1e9)
        found.append(Interval("", source.name, onset, apex, offset, row.kind, label=row.label))
    return found


def _nearest_frame(times: list[int], at_ns: float) -> int:
    """Index of the frame nearest to a time."""
    return int(np.abs(np.asarray(times) - at_ns).argmin())
