"""What sinks that paint the overlay have in common: its arrows, notes and stimulus markers."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from ..overlay import draw
from ..records import Frame, Pixels, View
from .base import JsonRecord, Sink

KEPT = 64  # markers of a source; the overlay shows a few seconds


class PictureSink(Sink):
    """A sink whose `draw` needs `picture`. arrows: whether events show how the face moved.

    A `write` of its own must call this one, which keeps the newest markers of every source.
    """

    draws = True

    def __init__(self, arrows: bool = False) -> None:
        self._arrows = arrows
        self._markers: dict[str, deque[tuple[int, str]]] = {}  # by source

    def write(self, record: JsonRecord) -> None:
        """Keep a record that is a marker."""
        if record["type"] == "marker":
            kept = self._markers.setdefault(record["source"], deque(maxlen=KEPT))
            kept.append((round(record["at_s"] * 1e9), record["value"]))

    def markers(self, source: str) -> list[tuple[int, str]]:
        """Stream times in ns and texts of a source's markers, by time."""
        return sorted(self._markers.get(source, ()))

    def picture(self, frame: Frame, views: Sequence[View]) -> Pixels:
        """The overlay of a frame."""
        return draw.draw(
            frame.image,
            views,
            now_ns=frame.captured_ns,
            notes=self.notes,
            arrows=self._arrows,
            markers=self.markers(frame.source),
        )
