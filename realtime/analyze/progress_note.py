"""How far a video has come: a small file beside its results, which whoever waits can read."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from ..sinks.base import JsonRecord, Sink

NAME = "progress.txt"
EVERY_S = 0.5  # between two notes


class ProgressNote(Sink):
    """Notes the stream time in `folder`; a note that cannot be written is left out."""

    wants_frames = ("frame",)

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._written_s = time.monotonic()

    def write(self, record: JsonRecord) -> None:
        """Note the time of a frame, unless a note was just made."""
        now_s = time.monotonic()
        if record["type"] == "frame" and now_s - self._written_s >= EVERY_S:
            self._written_s = now_s
            with suppress(OSError):
                self._path.write_text(f"{record['at_s']:.3f}", encoding="ascii")

    def close(self) -> None:
        """Remove the note."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


def noted_s(folder: Path) -> float:
    """Seconds of the video that are analysed, 0 where nothing is noted."""
    try:
        return float((folder / NAME).read_text(encoding="ascii"))
    except (OSError, ValueError):  # none yet, or it is being written
        return 0.0
