"""The channels of every face, frame by frame, as a table: channels.csv.

time_s, frame, face  when, in which frame of the source, whose place
quality              of the face, 0 to 1
width_px             of the face in the picture
yaw, pitch, roll     degrees to the right of the picture, down, clockwise, by the landmarker's mesh
                     (`engines/alignment/head.py`); between its runs (every 0.5 s where it moves,
                     2 s where it rests) roll alone follows the head
eye_left, eye_right  eye aspect ratio of the subject's eyes, in frames that the landmarker saw
blink                probability at the nearest tick, by the spotter's nuisance head

There is a row for each face and frame in which it was used. What is not known is empty.
"""

from __future__ import annotations

import csv
import io
import math
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...sinks.atomic_file import replace_file
from ...sinks.base import JsonRecord
from .blinks import blink_starts

KEYS = ("at_s", "frame", "face", "quality", "width_px", "yaw", "pitch", "roll")  # of a record
COLUMNS = ("time_s", *KEYS[1:], "eye_left", "eye_right", "blink")
SUMMARISED = ("quality", "width_px", "yaw", "pitch", "roll")
WHOLE = ("frame", "face")

Floats = NDArray[np.float64]


class Channels:
    """Takes `face` and `scores` records; 10 numbers a frame and 3 a tick stay in memory.

    tick_s: the time between two ticks.
    """

    def __init__(self) -> None:
        self.tick_s = 0.0
        self._frames = {name: array("d") for name in COLUMNS[:-1]}
        self._ticks = {name: array("d") for name in ("time_s", "face", "blink")}

    def add_face(self, record: JsonRecord) -> None:
        """Take what was measured of a face in a frame."""
        values = [*(record[key] for key in KEYS), None, None]
        for column, value in zip(self._frames.values(), values, strict=True):
            column.append(_number(value))
        if record["eyes_open"] is not None:
            self._set_eyes(record)

    def _set_eyes(self, record: JsonRecord) -> None:
        """Give the eyes to the row of their own frame, a few rows back at most."""
        columns = self._frames
        for row in reversed(range(len(columns["time_s"]))):
            at_s = columns["time_s"][row]
            if at_s < record["eyes_at_s"]:
                return  # the face was not used in that frame
            if at_s == record["eyes_at_s"] and columns["face"][row] == record["face"]:
                columns["eye_left"][row], columns["eye_right"][row] = record["eyes_open"]
                return

    def add_tick(self, record: JsonRecord) -> None:
        """Take what else moves at a tick."""
        blink = (record["confounders"] or {}).get("blink")
        for column, value in zip(
            self._ticks.values(), (record["at_s"], record["face"], blink), strict=True
        ):
            column.append(_number(value))

    @property
    def seen_s(self) -> Floats:
        """(T,) the time of every scored tick of every face, in order of the records."""
        return _array(self._ticks["time_s"])

    def blinks(self) -> int | None:
        """How many blinks there were, of all faces; None where the weights do not say."""
        _, _, blink = (_array(column) for column in self._ticks.values())
        if len(blink) and np.isnan(blink).all():
            return None
        faces = (self._ticks_of(face) for face in self._faces())
        return sum(len(blink_starts(times_s, share, self.tick_s)) for times_s, share in faces)

    def quantiles(self, shares: Sequence[float]) -> dict[str, list[float]]:
        """Quantiles of each channel that has values, by name."""
        found = {}
        for name in SUMMARISED:
            values = _array(self._frames[name])
            known = values[~np.isnan(values)]
            if len(known):
                found[name] = [round(float(q), 3) for q in np.quantile(known, shares)]
        return found

    def write(self, path: Path) -> None:
        """Write the table; raises DataError where it cannot be written."""
        text = io.StringIO(newline="")
        table = csv.writer(text, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows(self._rows())
        replace_file(path, text.getvalue().encode())

    def _rows(self) -> Iterator[list[str]]:
        columns = [_array(column) for column in self._frames.values()] + [self._blink_of_frames()]
        for values in zip(*columns, strict=True):
            yield [_cell(name, value) for name, value in zip(COLUMNS, values, strict=True)]

    def _blink_of_frames(self) -> Floats:
        """The blink probability at the tick nearest to each row, NaN where none is near."""
        rows_s, rows_face = (_array(self._frames[name]) for name in ("time_s", "face"))
        blink = np.full(len(rows_s), np.nan)
        for face in self._faces():
            times_s, share = self._ticks_of(face)
            rows = np.flatnonzero(rows_face == face)
            after = np.searchsorted(times_s, rows_s[rows]).clip(max=len(times_s) - 1)
            before = (after - 1).clip(min=0)
            is_before = rows_s[rows] - times_s[before] < times_s[after] - rows_s[rows]
            nearest = np.where(is_before, before, after)
            near = np.abs(times_s[nearest] - rows_s[rows]) < self.tick_s
            blink[rows[near]] = share[nearest[near]]
        return blink

    def _faces(self) -> list[int]:
        """The faces that have ticks."""
        return sorted({int(face) for face in self._ticks["face"]})

    def _ticks_of(self, face: int) -> tuple[Floats, Floats]:
        """Times and blink probabilities of a face's ticks."""
        times_s, faces, blink = (_array(column) for column in self._ticks.values())
        return times_s[faces == face], blink[faces == face]


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _array(values: array[float]) -> Floats:
    return np.array(values, np.float64)


def _cell(name: str, value: float) -> str:
    """A value as records have it; empty where it is not known."""
    if math.isnan(value):
        return ""
    return str(int(value)) if name in WHOLE else f"{value:.10g}"
