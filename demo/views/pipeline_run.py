"""One `realtime.watch` in a thread of its own, telling a page what it finds through a sink.

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
from microspot.realtime.records import Frame, View
from microspot.realtime.sinks.base import Sink
from microspot.realtime.sources.open import Source
from microspot.realtime.sources.options import SourceOptions
from microspot.realtime.spotting.streaming_nms import compile_nms
from microspot.realtime.watch import watch

LOG = logging.getLogger("microspot.demo")
THREAD = "demo run"
TEXTS = {"message", "detail", "error"}  # keys of a message whose words may name a path
Tell = Callable[[dict[str, Any]], None]
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
        """A kit whose engines load. Raises EngineError where they do not."""
        with load() as engines:
            return cls(load, settings, settings.spotter(engines.spotter).t_crn)

    def warm_up(self) -> None:
        """Load and compile what the first run would wait for, so that it loses no frame (NMS compiles for 3 s)."""
        with self.load() as engines:
            compile_nms(self.settings.spotter(engines.spotter))


class PageSink(Sink):
    """Hands records to a page, and what `draw` makes of frames."""

    wants_provisional = True
    draws = True

    def __init__(self, say: Tell, draw: Draw, spec: dict[str, Any]) -> None:
        self._say, self._draw, self._spec = say, draw, spec

    def write(self, record: dict[str, Any]) -> None:
        self._say(record | self._spec if record["type"] == "start" else record)

    def draw(self, frame: Frame, views: Sequence[View]) -> None:
        if (message := self._draw(frame, views)) is not None:
            self._say(message)


class PipelineRun:
    """Made and ended in the loop's thread; `tell` is called there too, with records, `error`, `note` and drawings.

    source: opened in the run's thread. draw: a frame's message or None, made in the run's thread. sinks: opened once
    the source is, and written beside the page. names: what the page is told in place of paths of this machine.
    """

    def __init__(
        self,
        setup: PipelineSetup,
        source: Callable[[], Source],
        tell: Tell,
        draw: Draw,
        sinks: Callable[[], Sequence[Sink]] = tuple,
        names: Mapping[str, str] | None = None,
    ) -> None:
        self._setup, self._open, self._tell, self._draw = setup, source, tell, draw
        self._sinks, self._names = sinks, names or {}
        self._loop = asyncio.get_running_loop()
        self._over, self._ended = asyncio.Event(), threading.Event()
        self._source: Source | None = None

    async def until_over(self) -> None:
        """Begin, and wait for the last message. A task that is cancelled ends the run, and waits for that as well."""
        threading.Thread(target=self._run, name=THREAD, daemon=True).start()
        try:
            await self._over.wait()
        except asyncio.CancelledError:
            self.end()
            await self._over.wait()
            raise

    def end(self) -> None:
        """End the source, and with it the run; does not wait, though closing may (for a camera, for a decoder)."""
        self._ended.set()
        if (source := self._source) is not None:
            threading.Thread(target=source.close, name=f"{THREAD}, ending", daemon=True).start()

    def _run(self) -> None:
        try:
            self._watch()
        except MicrospotError as error:
            self._say({"type": "error", "message": str(error)})
        except Exception:
            LOG.exception("a run of the demo failed")
            self._say(
                {"type": "error", "message": "the analysis failed: the server's log says why"}
            )
        finally:
            self._in_loop(self._over.set)

    def _watch(self) -> None:
        self._source = source = self._open()
        with closing(source):
            if self._ended.is_set():
                return
            with self._setup.load() as engines:
                page = PageSink(self._say, self._draw, spec_of(engines, self._setup.settings))
                outcome = watch([source], engines, [*self._sinks(), page], self._setup.settings)
        if (
            outcome.warnings and not self._ended.is_set()
        ):  # who ends a run knows why it has no frames
            kind = "error" if outcome.code else "note"
            self._say({"type": kind, "message": "; ".join(outcome.warnings)})

    def _say(self, message: dict[str, Any]) -> None:
        for key in message.keys() & TEXTS:
            for path, name in self._names.items():
                message = message | {key: message[key].replace(path, name)}
        self._in_loop(self._tell, message)

    def _in_loop(self, call: Callable[..., Any], *arguments: Any) -> None:
        with suppress(
            RuntimeError
        ):  # the loop is closed: the server has ended, nobody is left to tell
            self._loop.call_soon_threadsafe(call, *arguments)


def spec_of(engines: EngineSet, settings: Settings) -> dict[str, Any]:
    """What a page must know to draw: windows in ms, thresholds, labels in order, when a rate is too low."""
    spec = settings.spotter(engines.spotter)
    return {
        "windows_ms": [round(1000 * window / spec.grid_hz) for window in spec.windows],
        "t_cpn": spec.t_cpn, "t_crn": spec.t_crn,
        "labels": list(engines.recognizer_spec.labels) if engines.recognizer_spec else [],
        "low_hz": SourceOptions().low_hz, "rate_tolerance": RATE_TOLERANCE,
    }  # fmt: skip
