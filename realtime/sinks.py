"""Where records and pictures go: `open_sink(uri)` and the kinds it knows.

A sink takes the JSON-line records of the command (start, event, gap, state, end) through `write`; those that draw
also take frames through `draw`. Only final events are recorded: a sink that wants provisional and withdrawn ones
says so (`wants_provisional`), and the filter sits here, so that no caller can forget it. An existing file is
overwritten. What was written before a failure stays: each line reaches the disk whole, or not at all.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from engines.data.tables import escaped
from engines.redaction import printable, redact_uri

from . import overlay
from .errors import DataError, UsageError
from .records import Frame, View
from .video import Screen, VideoWriter, reason

CSV_COLUMNS = ("subject", "video", "onset", "apex", "offset", "type", "label", "score", "fps")
Write = Callable[[dict[str, Any]], None]


class Sink:
    """A context manager that takes records and, where `draws` is true, frames with what is known of their faces."""

    wants_provisional = False
    draws = False
    note = ""  # what the people in front of the camera must be told of this sink
    notes: tuple[str, ...] = ()  # what its own pictures tell; see `announce`

    def write(self, record: dict[str, Any]) -> None:
        """Take one record; raises DataError when it cannot be written."""

    def draw(self, frame: Frame, views: Sequence[View]) -> None:
        """Take one frame and the views of its faces; raises DataError when it cannot be written."""

    def close(self) -> None:
        """Finish the output; a second call does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def unwanted(record: dict[str, Any], provisional: bool) -> bool:
    """Whether `record` is an event that a sink without provisional events leaves out."""
    return record["type"] == "event" and record["status"] != "final" and not provisional


class LineFile:
    """A text file written line by line without a buffer of ours; a line that fails half-way is taken back."""

    def __init__(self, path: Path) -> None:
        self.path, self._size = path, 0
        try:
            self._file = open(path, "wb", buffering=0)  # noqa: SIM115 (lives as long as the sink)
        except OSError as error:
            raise DataError(f"cannot write {path}: {reason(error)}") from error

    def append(self, line: str) -> None:
        """Write `line` (with its end) whole; raises DataError with the file as it was before."""
        data = memoryview(line.encode("utf-8", "surrogateescape"))
        self._size += len(data)
        try:
            while data:
                data = data[self._file.write(data) :]
        except OSError as error:
            self._size -= len(line.encode("utf-8", "surrogateescape"))
            if self._file.seekable() and self.path.is_file():
                self._file.truncate(self._size)
            raise DataError(f"cannot write {self.path}: {reason(error)}; what was written before is kept") from error

    def close(self) -> None:
        self._file.close()


class _Stdout:
    """Standard output, flushed line by line; never closed by us."""

    def __init__(self) -> None:
        self._stream: IO[str] = sys.stdout

    def append(self, line: str) -> None:
        try:
            self._stream.write(line)
            self._stream.flush()
        except BrokenPipeError:  # the reader went away: no failure, see `engines.commands`
            raise
        except OSError as error:
            # The unwritten rest stays in Python's buffer and would fail again, noisily, when the interpreter exits.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            raise DataError(f"cannot write standard output: {reason(error)}") from error

    def close(self) -> None:
        pass


class JsonLinesSink(Sink):
    """Every record as one JSON line."""

    def __init__(self, lines: LineFile | _Stdout, provisional: bool) -> None:
        self.wants_provisional = provisional
        self._lines = lines

    def write(self, record: dict[str, Any]) -> None:
        if not unwanted(record, self.wants_provisional):
            self._lines.append(json.dumps(record, allow_nan=False) + "\n")

    def close(self) -> None:
        self._lines.close()


class CsvSink(Sink):
    """Final events in the one table format: inclusive source frames, type micro, `video` the source's name.

    A camera knows faces, not people: `subject` is empty for face 0 and the face's number for the others. `fps` is
    what the `start` record says of the source, empty where it says nothing. Provisional events have no column. Names
    that a spreadsheet would take for formulas are escaped; `read_table` gives them back.
    """

    def __init__(self, path: Path) -> None:
        self._lines = LineFile(path)
        self._fps: dict[str, Any] = {}
        try:
            self._row(CSV_COLUMNS)
        except DataError:
            self._lines.close()
            raise

    def write(self, record: dict[str, Any]) -> None:
        if record["type"] == "start":
            self._fps = {entry["source"]: entry.get("fps", "") for entry in record["sources"]}
        if record["type"] != "event" or record["status"] != "final":
            return
        frames = [record[f"{point}_frame"] for point in ("onset", "apex", "offset")]
        subject, source = record["face"] or "", record["source"]
        self._row([subject, source, *frames, "micro", record["label"], record["score"], self._fps.get(source, "")])

    def _row(self, values: Sequence[Any]) -> None:
        text = io.StringIO()
        cells = [escaped(value) if isinstance(value, str) else value for value in values]
        csv.writer(text, lineterminator="\r\n").writerow(cells)  # so that either of these is quoted in a cell
        self._lines.append(text.getvalue().removesuffix("\r\n") + "\n")

    def close(self) -> None:
        self._lines.close()


class VideoSink(Sink):
    """The overlay as an H.264 file with the frames' own times; one source per file."""

    draws = True

    def __init__(self, path: Path) -> None:
        self._writer = VideoWriter(path)
        self.note = f"recording to {printable(path.name)}"
        self.notes = (self.note,)

    def write(self, record: dict[str, Any]) -> None:
        if record["type"] == "start" and len(record["sources"]) > 1:
            name, count = self._writer.path.name, len(record["sources"])
            raise UsageError(f"{name} shows one source, not {count}; name one source, or leave {name} out")

    def draw(self, frame: Frame, views: Sequence[View]) -> None:
        image = overlay.draw(frame.image, views, now_ns=frame.captured_ns, notes=self.notes)
        self._writer.write(image, frame.captured_ns)

    def close(self) -> None:
        self._writer.close()


class Window(Sink):
    """The overlay in a window per source. Raises UsageError without a display.

    q, Escape or closing the window ends the run as ctrl-C does: `draw` raises KeyboardInterrupt.
    """

    draws = True

    def __init__(self) -> None:
        self._screen = Screen()

    def draw(self, frame: Frame, views: Sequence[View]) -> None:
        image = overlay.draw(frame.image, views, now_ns=frame.captured_ns, notes=self.notes)
        self._screen.show(printable(f"microspot: {frame.source}"), image)
        if self._screen.closed:
            raise KeyboardInterrupt

    def close(self) -> None:
        self._screen.close()


class CallbackSink(Sink):
    """Hands every wanted record to a Python callable."""

    def __init__(self, call: Write, provisional: bool) -> None:
        self.wants_provisional = provisional
        self._call = call

    def write(self, record: dict[str, Any]) -> None:
        if not unwanted(record, self.wants_provisional):
            self._call(record)


def _document(path: Path) -> Sink:
    from .elan import ElanSink  # not at the top: both are built on this module
    from .report import ReportSink

    return ElanSink(path) if path.suffix.lower() == ".eaf" else ReportSink(path)


SINKS: dict[str, Callable[[Any, bool], Sink]] = {
    "-": lambda uri, provisional: JsonLinesSink(_Stdout(), provisional),
    ".jsonl": lambda uri, provisional: JsonLinesSink(LineFile(Path(uri)), provisional),
    ".csv": lambda uri, provisional: CsvSink(Path(uri)),
    ".mp4": lambda uri, provisional: VideoSink(Path(uri)),
    ".eaf": lambda uri, provisional: _document(Path(uri)),
    ".html": lambda uri, provisional: _document(Path(uri)),
    "callback": CallbackSink,
    "window": lambda uri, provisional: Window(),
}


def open_sink(uri: str | Write, *, provisional: bool = False) -> Sink:
    """The sink of `uri`: '-' or 'stdout', 'window', a path that ends in one of SINKS, or a Python callable.

    Raises UsageError for another kind, DataError when the output cannot be opened.
    """
    if callable(uri):
        kind = "callback"
    elif uri in ("-", "stdout", "window"):
        kind = uri.replace("stdout", "-")
    else:
        kind = "" if "://" in uri else Path(uri).suffix.lower()
    if kind not in SINKS:
        kinds = f"'-' (JSON lines on stdout), 'window' or a path ending in {_endings()}"
        raise UsageError(f"--out {redact_uri(str(uri))}: expected {kinds}")
    return SINKS[kind](uri, provisional)


def _endings() -> str:
    *most, last = [kind for kind in SINKS if kind.startswith(".")]
    return f"{', '.join(most)} or {last}"


def announce(sinks: Sequence[Sink]) -> None:
    """Let every picture say which of the run's sinks store frames or send events away (architecture 9)."""
    for sink in sinks:
        sink.notes = tuple(s.note for s in sinks if s.note)
