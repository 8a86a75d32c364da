"""Markers of recordings, from a table: `analyze --markers stimuli.csv`.

    video,at_s,value

at_s is the stream time of the video `video` (its path, or its name with or without its ending);
without that column, or where it is empty, of every video.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from microspot.engines.data.tables import number, read_rows
from microspot.engines.text.redaction import printable

from ..errors import DataError
from ..pipeline import Record, SourceEnd
from ..records import FrameTime, Marker

REQUIRED = ("at_s", "value")
MOST_S = 1e9  # its nanoseconds fit 64 bits


@dataclass(frozen=True)
class TimedMarker:
    """A marker of a recording. video: its name, "" for every one; at_s: stream time."""

    video: str
    at_s: float
    value: str


def read_markers(path: Path) -> tuple[TimedMarker, ...]:
    """The markers of a table, by time. Raises DataError, which names file and line."""
    found = []
    for line, row in read_rows(path, REQUIRED):
        at_s = number(row["at_s"])
        if at_s is None or not 0 <= at_s <= MOST_S:
            raise DataError(
                f"{path} line {line}: at_s {row['at_s']!r}, expected seconds from the first frame "
                "on, such as 12.5"
            )
        found.append(TimedMarker(row.get("video", ""), at_s, printable(row["value"])))
    if not found:
        raise DataError(f"{path}: no marker in it; expected the columns video,at_s,value")
    return tuple(sorted(found, key=lambda marker: marker.at_s))


class RecordedMarkers:
    """Markers with stream times among the records of one recording; a context manager.

    name: of the stream of markers in the records.
    """

    remark = ""

    def __init__(self, markers: Iterable[TimedMarker], name: str) -> None:
        self._waiting = deque(sorted(markers, key=lambda marker: marker.at_s))
        self._name = name
        self._last: FrameTime | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def among(self, records: Iterable[Record]) -> Iterator[Record | Marker]:
        """The records, each marker before the first frame that is later, or the source's end.

        The records must hold the FrameTime of every frame.
        """
        for record in records:
            if isinstance(record, FrameTime):
                yield from self._until(record)
                self._last = record
            elif isinstance(record, SourceEnd) and self._last is not None:
                while self._waiting:
                    yield self._marker(self._last)
            yield record

    def _until(self, frame: FrameTime) -> Iterator[Marker]:
        """The markers from before a frame."""
        while self._waiting and self._waiting[0].at_s * 1e9 < frame.captured_ns:
            at_ns = self._waiting[0].at_s * 1e9
            last = self._last or frame
            near_last = at_ns - last.captured_ns <= frame.captured_ns - at_ns
            yield self._marker(last if near_last else frame)

    def _marker(self, near: FrameTime) -> Marker:
        marker = self._waiting.popleft()
        at_ns = round(marker.at_s * 1e9)
        return Marker(near.source, self._name, marker.value, at_ns, near.index)
