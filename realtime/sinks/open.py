"""Where records and pictures go: `open_sink(uri)` and the kinds it knows.

A sink takes the JSON-line records of the command (start, event, gap, state, end) through `write`; those that draw
also take frames through `draw`. Only final events are recorded: a sink that wants provisional and withdrawn ones
says so (`wants_provisional`), and the filter sits here, so that no caller can forget it. An existing file is
overwritten. What was written before a failure stays: each line reaches the disk whole, or not at all.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from microspot.engines.redaction import redact_uri

from ..errors import UsageError
from .base import Sink, Write
from .callback import CallbackSink
from .text_files import CsvSink, JsonLinesSink, LineFile, _Stdout
from .video_writer import VideoSink
from .window import WindowSink


def _document(path: Path) -> Sink:
    from .elan import ElanSink  # not at the top: both are built on this module
    from .html_report import ReportSink

    return ElanSink(path) if path.suffix.lower() == ".eaf" else ReportSink(path)


SINKS: dict[str, Callable[[Any, bool], Sink]] = {
    "-": lambda uri, provisional: JsonLinesSink(_Stdout(), provisional),
    ".jsonl": lambda uri, provisional: JsonLinesSink(LineFile(Path(uri)), provisional),
    ".csv": lambda uri, provisional: CsvSink(Path(uri)),
    ".mp4": lambda uri, provisional: VideoSink(Path(uri)),
    ".eaf": lambda uri, provisional: _document(Path(uri)),
    ".html": lambda uri, provisional: _document(Path(uri)),
    "callback": CallbackSink,
    "window": lambda uri, provisional: WindowSink(),
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
