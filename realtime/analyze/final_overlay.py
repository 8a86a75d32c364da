"""The overlay as one sees it afterwards: every final event stands on its own frames.

Live, an event is known a while after it happened. Here a frame waits, as JPEG, until nothing can
change any more about what happened in it, and is drawn then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from microspot.engines.clips import SECOND_NS
from microspot.engines.specs import SpotterSpec

from ..config import Settings
from ..overlay.timeline import SHOWN_S
from ..records import Event, Frame, View
from ..sinks.video_writer import VideoSink
from ..start_record import latency

QUALITY = 95  # of the JPEG of a frame that waits


def longest_wait_ns(spec: SpotterSpec, settings: Settings) -> int:
    """How long after a frame the last event that touches it can become final, in ns."""
    ticks = settings.cluster_ticks + latency(spec, settings.hop)["final"]
    return ticks * SECOND_NS // spec.grid_hz


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A frame without its image, which is `jpeg`, and the views of its faces."""

    frame: Frame
    jpeg: NDArray[np.uint8]
    views: tuple[View, ...]


class FinalOverlaySink(VideoSink):
    """A VideoSink whose frames wait for `wait_ns`; it is told of events by `know`."""

    def __init__(self, path: Path, wait_ns: int, arrows: bool = False) -> None:
        super().__init__(path, arrows)
        self._wait_ns = wait_ns
        self._waiting: deque[_Waiting] = deque()
        self._events: list[Event] = []

    def know(self, event: Event) -> None:
        """Take a final event."""
        self._events.append(event)

    def draw(self, frame: Frame, views: Sequence[View]) -> None:
        """Let a frame wait, and append the overlays of those that have waited long enough."""
        _, jpeg = cv2.imencode(".jpg", frame.image, (cv2.IMWRITE_JPEG_QUALITY, QUALITY))
        image = np.empty((0, 0, 3), np.uint8)
        self._waiting.append(_Waiting(replace(frame, image=image), jpeg, tuple(views)))
        while frame.captured_ns - self._waiting[0].frame.captured_ns > self._wait_ns:
            self._draw_first()

    def close(self) -> None:
        """Append the frames that still wait, and finish the file."""
        while self._waiting:
            self._draw_first()
        super().close()

    def _draw_first(self) -> None:
        first = self._waiting.popleft()
        now_ns = first.frame.captured_ns
        image = np.asarray(cv2.imdecode(first.jpeg, cv2.IMREAD_COLOR), np.uint8)
        frame = replace(first.frame, image=image)
        first_ns = now_ns - SHOWN_S * SECOND_NS
        self._events = [event for event in self._events if event.offset_ns > first_ns]
        super().draw(frame, [self._with_events(view, now_ns) for view in first.views])

    def _with_events(self, view: View, now_ns: int) -> View:
        """The view with the final events that have begun."""
        events = [e for e in self._events if e.face == view.face and e.onset_ns <= now_ns]
        return replace(view, events=tuple(events))
