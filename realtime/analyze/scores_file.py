"""The scores of every tick of a video as arrays in one file, for plots and thresholds of one's own.

times_s  (T,)    stream time of the tick
face     (T,)    whose scores they are
scores   (T, M)  probability of each window whose last tick it is, NaN where there is none
refined  (T,)    the best refined score of these windows, NaN where there is none
quality  (T,)    of the face, 0 to 1
windows  (M,)    lengths of the windows in ticks
grid_hz          ticks a second
"""

from __future__ import annotations

import math
from array import array
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..sinks.base import JsonRecord, Sink, reason


class ScoresFile(Sink):
    """Writes the arrays when it closes, the same bytes for the same scores.

    end_s: when the last frame came; seen_s: how long faces were seen, all together.
    Closing raises DataError where the file cannot be written.
    """

    wants_frames = ("frame", "scores")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ticks: dict[str, array[float]] = {
            name: array("d") for name in ("times_s", "face", "refined", "quality")
        }
        self._scores = array("f")
        self._windows: list[int] = []
        self._grid_hz = 0
        self._closed = False
        self.end_s = 0.0

    @property
    def seen_s(self) -> float:
        """Seconds, 0 where no face was seen."""
        return len(self._ticks["face"]) / self._grid_hz if self._grid_hz else 0.0

    def write(self, record: JsonRecord) -> None:
        """Keep a tick's scores."""
        if record["type"] == "start":
            self._windows = record["windows"]
            self._grid_hz = record["grid_hz"]
        elif record["type"] == "frame":
            self.end_s = record["at_s"]
        elif record["type"] == "scores":
            self._ticks["times_s"].append(record["at_s"])
            self._ticks["face"].append(record["face"])
            self._ticks["refined"].append(_number(record["refined"]))
            self._ticks["quality"].append(_number(record["quality"]))
            self._scores.extend(map(_number, record["scores"]))

    def close(self) -> None:
        """Write the file."""
        if self._closed:
            return
        self._closed = True
        times_s, face, refined, quality = (_array(part) for part in self._ticks.values())
        scores = np.frombuffer(self._scores, np.float32) if self._scores else np.empty(0, "f4")
        try:
            np.savez_compressed(
                self._path,
                times_s=times_s,
                face=face.astype(np.int32),
                scores=scores.reshape(len(times_s), -1 if len(times_s) else len(self._windows)),
                refined=refined.astype(np.float32),
                quality=quality.astype(np.float32),
                windows=np.array(self._windows, np.int32),
                grid_hz=np.array(self._grid_hz, np.int32),
            )
        except OSError as error:
            raise DataError(f"cannot write {self._path}: {reason(error)}") from error


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _array(values: array[float]) -> NDArray[np.float64]:
    return np.frombuffer(values, np.float64) if values else np.empty(0)
