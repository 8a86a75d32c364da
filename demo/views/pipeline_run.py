"""One `realtime.watch` in a thread of its own, whose records go to a page through a sink.

An engine has one caller at a time, so each run loads its own set (0.1 s after the first).
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any, Self

from microspot.engines.runtime.engine import EngineSet
from microspot.realtime.config import Settings
from microspot.realtime.errors import MicrospotError
from microspot.realtime.overlay.cards import RATE_TOLERANCE
from microspot.realtime.overlay.event_text import caption, confounder_words, movement_words
from microspot.realtime.records import Frame, View
from microspot.realtime.sinks.base import Sink
from microspot.realtime.sources.open import Source
from microspot.realtime.sources.options import SourceOptions
from microspot.realtime.spotting.streaming_nms import compile_nms
from microspot.realtime.watch import watch

LOG = logging.getLogger("microspot.demo")
THREAD = "demo run"
TEXT_KEYS = {"message", "detail", "error"}  # of messages: their text may name a path
Send = Callable[[dict[str, Any]], None]
Draw = Callable[[Frame, Sequence[View]], dict[str, Any] | None]
LoadEngines = Callable[[], EngineSet]


@dataclass(frozen=True)
class PipelineSetup:
    """What every run needs: how to load engines, and the settings of the command line."""

    load: LoadEngines
    settings: Settings
    threshold: float  # T_CRN where no page asks for another

    @classmethod
    def checked(cls, load: LoadEngines, settings: Settings) -> Self:
        """A set-up whose engines load. Raises EngineError where they do not."""
        with load() as engines:
            return cls(load, settings, settings.spotter(engines.spotter).t_crn)

    def warm_up(self) -> None:
        """Load and compile what the first run would wait for, so that it loses no frame.

        NMS compiles for 3 s.
        """
        with self.load() as engines:
            compile_nms(self.settings.spotter(engines.spotter))


class PageSink(Sink):
    """Sends records to a page, and the messages that `draw` makes of frames."""

    wants_provisional = True
    draws = True

    def __init__(self, send: Send, draw: Draw, spec: dict[str, Any]) -> None:
        self._send = send
        self._draw = draw
        self._spec = spec

    def write(self, record: dict[str, Any]) -> None:
        """Send a record; `start` carries what the page must know to draw, an event its words."""
        if record["type"] == "start":
            record = record | self._spec
        elif record["type"] == "event":
            beside = filter(None, (movement_words(record), confounder_words(record)))
            record = record | {"caption": caption(record), "beside": ", ".join(beside)}
        self._send(record)

    def draw(self, frame: Frame, views: Sequence[View]) -> None:
        """Send the message of a frame, if it has one."""
        if (message := self._draw(frame, views)) is not None:
            self._send(message)


class PipelineRun:
    """One run of the pipeline, started and ended from the event loop's thread.

    source: opened in the run's thread. send: called in the loop's thread, with records, with
    `error` and `note` messages, and with what `draw` returns. draw: makes a frame's message or
    None, in the run's thread. sinks: opened once the source is, and written beside the page. names:
    what the page is told in place of paths of this machine.
    """

    def __init__(
        self,
        setup: PipelineSetup,
        source: Callable[[], Source],
        send: Send,
        draw: Draw,
        sinks: Callable[[], Sequence[Sink]] = tuple,
        names: Mapping[str, str] | None = None,
    ) -> None:
        self._setup = setup
        self._open_source = source
        self._send = send
        self._draw = draw
        self._open_sinks = sinks
        self._names = names or {}
        self._loop = asyncio.get_running_loop()
        self._finished = asyncio.Event()  # set after the last message
        self._ended = threading.Event()  # set when the owner ends the run
        self._source: Source | None = None

    async def run(self) -> None:
        """Begin, and wait for the last message.

        A task that is cancelled ends the run, and waits for that as well.
        """
        threading.Thread(target=self._in_thread, name=THREAD, daemon=True).start()
        try:
            await self._finished.wait()
        except asyncio.CancelledError:
            self.end()
            await self._finished.wait()
            raise

    def end(self) -> None:
        """End the source, and with it the run.

        Does not wait, though closing a camera or a decoder may take a while.
        """
        self._ended.set()
        source = self._source
        if source is not None:
            threading.Thread(target=source.close, name=f"{THREAD}, ending", daemon=True).start()

    def _in_thread(self) -> None:
        try:
            self._watch()
        except MicrospotError as error:
            self._report({"type": "error", "message": str(error)})
        except Exception:
            LOG.exception("a run of the demo failed")
            message = "the analysis failed: the server's log says why"
            self._report({"type": "error", "message": message})
        finally:
            self._in_loop(self._finished.set)

    def _watch(self) -> None:
        self._source = source = self._open_source()
        with closing(source):
            if self._ended.is_set():
                return
            with self._setup.load() as engines:
                spec = page_spec(engines, self._setup.settings)
                page = PageSink(self._report, self._draw, spec)
                outcome = watch(
                    [source], engines, [*self._open_sinks(), page], self._setup.settings
                )
        # Whoever ends a run knows why it has no frames.
        if outcome.warnings and not self._ended.is_set():
            kind = "error" if outcome.code else "note"
            self._report({"type": kind, "message": "; ".join(outcome.warnings)})

    def _report(self, message: dict[str, Any]) -> None:
        """Send a message from the run's thread, without paths of this machine."""
        for key in message.keys() & TEXT_KEYS:
            for path, name in self._names.items():
                message = message | {key: message[key].replace(path, name)}
        self._in_loop(self._send, message)

    def _in_loop(self, call: Callable[..., Any], *arguments: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed: the server has ended
            self._loop.call_soon_threadsafe(call, *arguments)


def page_spec(engines: EngineSet, settings: Settings) -> dict[str, Any]:
    """What a page must know to draw.

    Windows in ms, thresholds, labels in order, and when a frame rate counts as too low.
    """
    spec = settings.spotter(engines.spotter)
    recognizer = engines.recognizer_spec
    return {
        "windows_ms": [round(1000 * window / spec.grid_hz) for window in spec.windows],
        "t_cpn": spec.t_cpn,
        "t_crn": spec.t_crn,
        "labels": list(recognizer.labels) if recognizer else [],
        "low_hz": SourceOptions().low_hz,
        "rate_tolerance": RATE_TOLERANCE,
    }
