"""SessionSink: what is written of a recording beside its events: channels.csv and session.json."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

from ...sinks.atomic_file import replace_file
from ...sinks.base import JsonRecord, Sink, is_marker_in_recording
from .channels import Channels
from .section import section
from .summary import summary
from .trials import WINDOW_S

CHANNELS = "channels.csv"
SESSION = "session.json"


class SessionSink(Sink):
    """Writes both files into `folder` when it closes, provided that a run began.

    window_s: of a response, after its marker. Closing raises DataError where a file cannot be
    written.
    """

    wants_frames = ("face", "scores")

    def __init__(self, folder: Path, window_s: float = WINDOW_S) -> None:
        self._folder = folder
        self._window_s = window_s
        self._channels = Channels()
        self._markers: list[tuple[float, str]] = []
        self._onsets_s: dict[str, float] = {}
        self._open = True

    def write(self, record: JsonRecord) -> None:
        """Keep what the files need of a record."""
        kind = record["type"]
        if kind == "start":
            self._channels.tick_s = 1 / record["grid_hz"]
        elif kind == "face":
            self._channels.add_face(record)
        elif kind == "scores":
            self._channels.add_tick(record)
        elif kind == "event":
            self._onsets_s[record["id"]] = record["onset_s"]
        elif is_marker_in_recording(record):
            self._markers.append((record["at_s"], record["value"]))

    @cached_property
    def summary(self) -> dict[str, Any]:
        """What session.json holds; asked for when the run is over."""
        return summary(self._channels, self._markers, self._onsets_s, self._window_s)

    def section(self) -> str:
        """The same as a part of a report."""
        return section(self.summary)

    def close(self) -> None:
        """Write the files."""
        if not self._open or not self._channels.tick_s:  # another error ended the run
            return
        self._open = False
        self._channels.write(self._folder / CHANNELS)
        text = json.dumps(self.summary, indent=1) + "\n"
        replace_file(self._folder / SESSION, text.encode("utf-8", "backslashreplace"))
