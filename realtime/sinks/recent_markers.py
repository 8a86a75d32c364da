"""The newest stimulus markers of every source, for the sinks that paint an overlay."""

from __future__ import annotations

from collections import deque

from .base import JsonRecord

KEPT = 64  # markers of a source; the overlay shows a few seconds


class RecentMarkers:
    """Takes records, and gives the markers among them as the overlay draws them."""

    def __init__(self) -> None:
        self._markers: dict[str, deque[tuple[int, str]]] = {}  # by source

    def take(self, record: JsonRecord) -> None:
        """Keep a record that is a marker."""
        if record["type"] == "marker":
            kept = self._markers.setdefault(record["source"], deque(maxlen=KEPT))
            kept.append((round(record["at_s"] * 1e9), record["value"]))

    def of(self, source: str) -> list[tuple[int, str]]:
        """Stream times in ns and texts of a source's markers, by time."""
        return sorted(self._markers.get(source, ()))
