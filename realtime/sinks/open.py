"""From a URI to a sink: `open_sink(uri)` and the kinds that it knows.

An existing file is overwritten.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from microspot.engines.text.redaction import redact_uri

from ..errors import UsageError
from .base import Sink, Write
from .callback import CallbackSink
from .elan import ElanSink
from .html_report import ReportSink
from .text_files import CsvSink, JsonLinesSink, LineFile, StandardOutput
from .video_writer import VideoSink
from .window import WindowSink

# By kind: (URI or callable, whether provisional events are wanted) -> the sink.
SINKS: dict[str, Callable[[Any, bool], Sink]] = {
    "-": lambda uri, provisional: JsonLinesSink(StandardOutput(), provisional),
    ".jsonl": lambda uri, provisional: JsonLinesSink(LineFile(Path(uri)), provisional),
    ".csv": lambda uri, provisional: CsvSink(Path(uri)),
    ".mp4": lambda uri, provisional: VideoSink(Path(uri)),
    ".eaf": lambda uri, provisional: ElanSink(Path(uri)),
    ".html": lambda uri, provisional: ReportSink(Path(uri)),
    "callback": CallbackSink,
    "window": lambda uri, provisional: WindowSink(),
}


def open_sink(uri: str | Write, *, provisional: bool = False) -> Sink:
    """Open the sink of `uri`: '-', 'stdout', 'window', a path with an ending in SINKS, a callable.

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
    """The endings of files, as a list in words."""
    *most, last = [kind for kind in SINKS if kind.startswith(".")]
    return f"{', '.join(most)} or {last}"
