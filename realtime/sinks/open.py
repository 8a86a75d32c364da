"""From a URI to a sink: `open_sink(uri)` and the kinds that it knows.

An existing file is overwritten, except a database, to which a run is added.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from microspot.engines.text.redaction import redact_uri

from ..errors import UsageError
from .base import Sink, Write
from .callback import CallbackSink
from .coding import boris, datavyu, elan, observer, textgrid
from .coding.coded_run import CodingSink, Document
from .database.sink import DatabaseSink
from .html_report import ReportSink
from .lsl.sink import LslSink
from .metrics.sink import MetricsSink
from .mqtt.sink import MqttSink
from .network.push import EventStreamSink, WebsocketSink
from .network.webhook import WebhookSink
from .text_files import CsvSink, JsonLinesSink, LineFile, StandardOutput
from .video_writer import VideoSink
from .window import WindowSink


@dataclass(frozen=True)
class SinkOptions:
    """How a sink was asked to open.

    provisional: whether provisional events are wanted; keep_days: after which stored events are
    deleted, None for never; media: files of the sources, by name, to which documents link; arrows:
    whether pictures show how far each part of the face moved.
    """

    provisional: bool = False
    keep_days: float | None = None
    media: Mapping[str, Path] = field(default_factory=dict)
    arrows: bool = False


ADDRESSES = ("http", "https", "mqtt", "mqtts")  # schemes
KEEPING = (".db", *ADDRESSES)  # kinds that keep events on the disk until they are deleted
# kinds with an address to listen on, or a name in the lab
SERVED = ("ws", "sse", "metrics", "lsl")
PICTURES = (".mp4", "window")  # kinds that draw


def _coding(document: Document, uri: str, options: SinkOptions) -> Sink:
    return CodingSink(Path(uri), document, options.media)


# By kind: (URI or callable, options) -> the sink. Of endings the longest that fits counts.
SINKS: dict[str, Callable[[Any, SinkOptions], Sink]] = {
    "-": lambda uri, options: JsonLinesSink(StandardOutput(), options.provisional),
    ".jsonl": lambda uri, options: JsonLinesSink(LineFile(Path(uri)), options.provisional),
    ".csv": lambda uri, options: CsvSink(Path(uri)),
    ".db": lambda uri, options: DatabaseSink(Path(uri), options.keep_days),
    ".mp4": lambda uri, options: VideoSink(Path(uri), options.arrows),
    ".eaf": partial(_coding, elan.document),
    ".boris": partial(_coding, boris.project),
    ".boris.tsv": partial(_coding, boris.table),
    ".observer.txt": partial(_coding, observer.document),
    ".datavyu.csv": partial(_coding, datavyu.document),
    ".textgrid": partial(_coding, textgrid.document),
    ".html": lambda uri, options: ReportSink(Path(uri)),
    "http": lambda uri, options: WebhookSink(uri, options.keep_days),
    "https": lambda uri, options: WebhookSink(uri, options.keep_days),
    "mqtt": lambda uri, options: MqttSink(uri, options.keep_days),
    "mqtts": lambda uri, options: MqttSink(uri, options.keep_days),
    "ws": lambda uri, options: WebsocketSink(uri),
    "sse": lambda uri, options: EventStreamSink(uri),
    "metrics": lambda uri, options: MetricsSink(uri),
    "lsl": lambda uri, options: LslSink(uri),
    "callback": lambda uri, options: CallbackSink(uri, options.provisional),
    "window": lambda uri, options: WindowSink(options.arrows),
}


def open_sink(
    uri: str | Write,
    *,
    provisional: bool = False,
    keep_days: float | None = None,
    media: Mapping[str, Path] | None = None,
    arrows: bool = False,
) -> Sink:
    """Open the sink of `uri`.

    It is '-', 'stdout', 'window', a path with an ending in SINKS, an http, https, mqtt or mqtts
    address, ws:HOST:PORT or sse:HOST:PORT to listen on, lsl:NAME, env:NAME for an address that
    stands in the environment, or a callable. For the options see SinkOptions. Raises UsageError
    for another kind, DataError when the output cannot be opened.
    """
    if not callable(uri):
        uri = from_environment(uri)
    kind = kind_of(uri)
    if kind not in SINKS:
        kinds = (
            "'-' (JSON lines on stdout), 'window', an https or mqtts address, ws:HOST:PORT, "
            "sse:HOST:PORT, lsl:NAME or a path ending in "
            f"{_endings()}"
        )
        raise UsageError(f"--out {redact_uri(str(uri))}: expected {kinds}")
    return SINKS[kind](uri, SinkOptions(provisional, keep_days, media or {}, arrows))


def kind_of(uri: str | Write) -> str:
    """Of which kind in SINKS the sink of `uri` would be; "" for none."""
    if callable(uri):
        return "callback"
    if uri in ("-", "stdout", "window"):
        return uri.replace("stdout", "-")
    uri = from_environment(uri)
    first = uri.partition(":")[0]
    if first in SERVED:
        return first
    scheme, is_address, _ = uri.partition("://")
    if is_address:
        return scheme.lower() if scheme.lower() in ADDRESSES else ""
    return _ending(Path(uri).name.lower())


def from_environment(uri: str) -> str:
    """The address that env:NAME stands for; any other text as it is."""
    variable = uri.removeprefix("env:")
    return os.environ.get(variable, uri) if variable != uri else uri


def _ending(name: str) -> str:
    """The longest of the known endings that a name has after its first letter; "" for none."""
    fitting = [kind for kind in SINKS if kind.startswith(".") and name[1:].endswith(kind)]
    return max(fitting, key=len, default="")


def _endings() -> str:
    """The endings of files, as a list in words."""
    *most, last = [kind for kind in SINKS if kind.startswith(".")]
    return f"{', '.join(most)} or {last}"
