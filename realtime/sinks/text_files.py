"""JSON lines and CSV tables: each line reaches the disk whole, or not at all."""

from __future__ import annotations

import csv
import errno
import io
import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from microspot.engines.data.annotations import MARKER
from microspot.engines.data.tables import escaped
from microspot.engines.system.pipes import reader_left

from ..errors import DataError
from .base import Sink, is_marker_in_recording, json_line, reason

CSV_COLUMNS = ("subject", "video", "onset", "apex", "offset", "type", "label", "score", "fps")

SYNC = getattr(os, "fdatasync", os.fsync)  # macOS and Windows have fsync alone


class LineFile:
    """A text file written line by line, unbuffered; a line that fails half-way is removed again.

    Raises DataError when the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._size = 0
        try:
            self._file = open(path, "wb", buffering=0)  # noqa: SIM115 (lives as long as the sink)
            self._on_disk = stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)
        except OSError as error:
            raise DataError(f"cannot write {path}: {reason(error)}") from error

    def append(self, line: str) -> None:
        """Write `line` (with its end) whole, down to the disk.

        Raises DataError with the file as it was before.
        """
        data = line.encode("utf-8", "surrogateescape")
        unwritten = memoryview(data)
        try:
            while unwritten:
                written = self._file.write(unwritten)
                unwritten = unwritten[written:]
            if self._on_disk:
                SYNC(self._file.fileno())
        except OSError as error:
            if self._file.seekable() and self.path.is_file():
                self._file.truncate(self._size)
            raise DataError(
                f"cannot write {self.path}: {reason(error)}; what was written before is kept"
            ) from error
        self._size += len(data)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class StandardOutput:
    """Standard output, flushed line by line; never closed by us."""

    def __init__(self) -> None:
        self._stream: IO[str] = sys.stdout

    def append(self, line: str) -> None:
        """Write `line` and flush; raises DataError when it cannot be written."""
        try:
            self._stream.write(line)
            self._stream.flush()
        except OSError as error:
            if reader_left(error):  # `entry_point.run_command` ends with code 0
                raise BrokenPipeError(errno.EPIPE, "the reader has left") from error
            # The unwritten rest stays in Python's buffer and would fail again as Python exits.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            raise DataError(f"cannot write standard output: {reason(error)}") from error

    def close(self) -> None:
        """Do nothing: it belongs to the process."""


class JsonLinesSink(Sink):
    """Every record as one JSON line."""

    def __init__(self, lines: LineFile | StandardOutput, provisional: bool) -> None:
        self.wants_provisional = provisional
        self.stores = isinstance(lines, LineFile)
        self.tells = not self.stores
        self._lines = lines

    def write(self, record: dict[str, Any]) -> None:
        """Append the record."""
        self._lines.append(json_line(record) + "\n")

    def close(self) -> None:
        """Close the file."""
        self._lines.close()


class CsvSink(Sink):
    """Final events and markers in the one table format, with inclusive source frames.

    Type is micro or marker (a row of one frame, whose label is what was sent; none for a marker
    from before the first frame), `video` the source's name. A camera knows faces, not people:
    without a name for the subject, `subject` is empty for face 0 and the face's number for the
    others. `fps` is what the `start` record says of the source, empty where it says nothing. Names
    that a spreadsheet would take for formulas are escaped; `read_table` gives them back.
    """

    stores = True

    def __init__(self, path: Path) -> None:
        self._lines = LineFile(path)
        self._fps: dict[str, Any] = {}
        try:
            self._row(CSV_COLUMNS)
        except DataError:
            self._lines.close()
            raise

    def write(self, record: dict[str, Any]) -> None:
        """Append a row where the record is an event or a marker."""
        if record["type"] == "start":
            self._fps = {entry["source"]: entry.get("fps", "") for entry in record["sources"]}
        if record["type"] == "event":
            subject = record["subject"] or record["face"] or ""
            source = record["source"]
            frames = [record[f"{point}_frame"] for point in ("onset", "apex", "offset")]
            fps = self._fps.get(source, "")
            values = [subject, source, *frames, "micro", record["label"], record["score"], fps]
            self._row(values)
        if is_marker_in_recording(record):
            source = record["source"]
            frames = [record["frame"]] * 3
            self._row(["", source, *frames, MARKER, record["value"], "", self._fps.get(source, "")])

    def _row(self, values: Sequence[Any]) -> None:
        text = io.StringIO()
        cells = [escaped(value) if isinstance(value, str) else value for value in values]
        # With this terminator a carriage return or a line feed within a cell is quoted.
        csv.writer(text, lineterminator="\r\n").writerow(cells)
        self._lines.append(text.getvalue().removesuffix("\r\n") + "\n")

    def close(self) -> None:
        """Close the file."""
        self._lines.close()
