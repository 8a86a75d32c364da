"""The report of a video with pictures of each event, where they were asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from microspot.engines.clips import SECOND_NS
from microspot.engines.magnification.magnify import Magnification
from microspot.engines.text.redaction import printable

from ...records import Frame, View
from ...sinks.base import JsonRecord
from ...sinks.html_report import ReportSink
from ...sinks.video_writer import require_codec
from .event_pictures import AROUND_S, CODEC, event_pictures
from .steady_crops import SteadyCrops

MOST_EVENTS = 500  # with pictures: what a browser opens, and what memory holds until then


class PicturedReport(ReportSink):
    """A ReportSink with stills and a magnified loop of the first MOST_EVENTS events.

    wait_ns: how long after a frame an event that touches it can become final. Raises DataError
    where PyAV cannot write WebP.
    """

    draws = True

    def __init__(self, path: Path, wait_ns: int, magnification: Magnification) -> None:
        super().__init__(path)
        require_codec(CODEC, path)
        self._magnification = magnification
        self._crops = SteadyCrops(wait_ns + round(AROUND_S * SECOND_NS))
        self.note = f"pictures of faces in {printable(path.name)}"

    def write(self, record: JsonRecord) -> None:
        """Keep the record, and the pictures of an event."""
        super().write(record)
        if record["type"] == "gap":
            self._crops.forget(record["face"])
        elif record["type"] == "event":
            self._picture(record)

    def draw(self, frame: Frame, views: Sequence[View]) -> None:
        """Keep the faces of a frame for as long as an event may want them."""
        self._crops.add(frame, views)

    def _picture(self, event: JsonRecord) -> None:
        if len(self.pictures) >= MOST_EVENTS:
            self.remark = f"the report has pictures of the first {MOST_EVENTS} events"
            return
        found = event_pictures(event, self._crops.of(event["face"]), self._magnification)
        if found is not None:
            self.pictures[event["id"]] = found
