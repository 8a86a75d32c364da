"""One `realtime.watch` in a thread of its own, telling a page what it finds through a sink.

An engine has one caller at a time, so each run loads its own set (0.1 s after the first).
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Self

from engines.intervals import Intervals, nms
from engines.runtime.engine import EngineSet
from realtime.config import Settings
from realtime.errors import MicrospotError
from realtime.intake import SourceOptions
from realtime.panels import RATE_TOLERANCE
from realtime.records import Frame, View
from realtime.sinks import Sink
from realtime.sources import Source
from realtime.watch import watch

LOG = logging.getLogger("microspot.demo")
Tell = Callable[[dict[str, Any]], None]
Show = Callable[[Frame, Sequence[View]], None]
LoadEngines = Callable[[], EngineSet]


@dataclass(frozen=True)
class Kit:
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
            spec = self.settings.spotter(engines.spotter)
            nms(Intervals.of([0.0, 1.0], [9.0, 9.5], [0.9, 0.8]), spec.t_nms, spec.nms_rule, floor=spec.t_crn)


class PageSink(Sink):
    """Hands records and frames to a page."""

    wants_provisional = True
    draws = True

    def __init__(self, tell: Tell, show: Show, spec: dict[str, Any]) -> None:
        self._tell, self._show, self._spec = tell, show, spec

    def write(self, record: dict[str, Any]) -> None:
        self._tell(record | self._spec if record["type"] == "start" else record)

    def draw(self, frame: Frame, views: Sequence[View]) -> None:
        self._show(frame, views)


class Run:
    """start, then stop. `tell` and `show` are called from the run's thread; the last message is `over`.

    source: opened in the thread; a failure is told as `error`. sinks: opened
    once the source is, and written beside the page. seconds: of stream time.
    """

    def __init__(
        self,
        kit: Kit,
        source: Callable[[], Source],
        tell: Tell,
        show: Show,
        sinks: Callable[[], Sequence[Sink]] = tuple,
        seconds: float | None = None,
    ) -> None:
        self._kit, self._open, self._tell, self._show = kit, source, tell, show
        self._sinks, self._seconds = sinks, seconds
        self._lock = threading.Lock()
        self._source: Source | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="demo run", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End the source, and with it the run. Safe from any thread, also twice; does not wait."""
        with self._lock:
            self._stopped, source = True, self._source
        if source is not None:
            source.close()

    def join(self) -> None:
        """Wait until the thread has ended."""
        self._thread.join()

    async def until(self, over: asyncio.Event) -> None:
        """Begin, and end with `over` or with the task that waits; the thread has ended then."""
        self.start()
        try:
            await over.wait()
        finally:
            self.stop()
            await asyncio.to_thread(self.join)

    def _run(self) -> None:
        try:
            self._watch()
        except MicrospotError as error:
            self._tell({"type": "error", "message": str(error)})
        except Exception:
            LOG.exception("a run of the demo failed")
            self._tell({"type": "error", "message": "the analysis failed: the server's log says why"})
        finally:
            self._tell({"type": "over"})

    def _watch(self) -> None:
        source = self._open()
        with self._lock:
            self._source = source
            if self._stopped:
                source.close()
                return
        with closing(source), self._kit.load() as engines:
            page = PageSink(self._tell, self._show, spec_of(engines, self._kit.settings))
            outcome = watch([source], engines, [*self._sinks(), page], self._kit.settings, seconds=self._seconds)
        for line in outcome.warnings:
            self._tell({"type": "error" if outcome.code else "note", "message": line})


def spec_of(engines: EngineSet, settings: Settings) -> dict[str, Any]:
    """What a page must know to draw: windows in ms, thresholds, labels in order, when a rate is too low."""
    spec = settings.spotter(engines.spotter)
    return {
        "windows_ms": [round(1000 * window / spec.grid_hz) for window in spec.windows],
        "t_cpn": spec.t_cpn, "t_crn": spec.t_crn,
        "labels": list(engines.recognizer_spec.labels) if engines.recognizer_spec else [],
        "low_hz": SourceOptions().low_hz, "rate_tolerance": RATE_TOLERANCE,
    }  # fmt: skip
