"""The child's part: a pipeline over its share of the sources, whose records go through a pipe."""

from __future__ import annotations

import dataclasses
import math
import signal
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np

from microspot.engines.errors import missing_library
from microspot.engines.runtime.engine import EngineSet
from microspot.engines.system.signals import ENDINGS

from ..config import Settings
from ..errors import DataError, EngineError, MicrospotError, SourceError, UsageError
from ..pipeline import Pipeline, SourceEnd
from ..records import Frame, View
from ..sources.open import Source

DRAW_INTERVAL_S = 0.1  # between two drawings of a source
FIGURES_INTERVAL_S = 1.0  # between two Figures
NO_IMAGE = np.empty((0, 0, 3), np.uint8)

OpenSource = Callable[[], Source]
LoadEngines = Callable[[], EngineSet]


@dataclass(frozen=True, eq=False)
class Drawing:
    """What the parent needs to draw a source: a frame without its image, and its views."""

    frame: Frame
    views: list[View]


class Wishes(NamedTuple):
    """What the parent wants besides events: drawings, and which records of every frame."""

    draws: bool
    frames: frozenset[str]


def run_child(
    pipe: Connection[Any, Any],
    openers: dict[str, OpenSource],
    load_engines: LoadEngines,
    settings: Settings,
    seconds: float | None,
) -> None:
    """Open the sources, run a pipeline over them and send its records.

    The messages through `pipe` are: the `start` record; from the parent, its Wishes; then records,
    Drawings and Figures, or an exception; from the parent, new Settings, and new Wishes of what
    frames give. The run ends with its
    sources, with another message of the parent, with the pipe, or by SIGTERM; in each case the open
    segments are ended in order.
    """
    for number in ENDINGS:
        signal.signal(number, signal.SIG_IGN)  # also where the parent was not in its main thread
    with suppress(OSError):  # the parent has closed the pipe
        try:
            sources = _opened(openers)
            with (
                load_engines() as engines,
                Pipeline(sources, engines, settings, seconds=seconds) as pipeline,
            ):
                pipe.send(pipeline.describe())
                _run(pipeline, pipe)
        except Exception as error:
            pipe.send(_picklable(error))


def _opened(openers: dict[str, OpenSource]) -> list[Source]:
    sources = [opener() for opener in openers.values()]
    for name, source in zip(openers, sources, strict=True):
        source.name = name
    return sources


def _run(pipeline: Pipeline, pipe: Connection[Any, Any]) -> None:
    try:
        wishes = pipe.recv()
    except EOFError:
        return
    outlet = Outlet(pipe)
    pipeline.draw = DrawingSender(outlet) if wishes.draws else None
    pipeline.wants_frames = wishes.frames
    threading.Thread(target=_obey, args=(pipe, pipeline), daemon=True).start()
    threading.Thread(target=_send_figures, args=(outlet, pipeline), daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: pipeline.stop())
    for record in pipeline.run():
        if isinstance(record, SourceEnd):
            outlet.send(pipeline.figures())
            if record.error is not None:
                record = dataclasses.replace(record, error=_picklable(record.error))
        outlet.send(record)
    outlet.close()


def _picklable(error: Exception) -> Any:
    """The error as one that can be pickled, whatever it was, with its traceback as a note."""
    error = missing_library(error) or error
    kinds = (UsageError, SourceError, EngineError, DataError, MicrospotError)
    kind = next((kind for kind in kinds if isinstance(error, kind)), None)
    sent = kind(str(error)) if kind else RuntimeError(f"{type(error).__name__}: {error}")
    sent.add_note("".join(traceback.format_exception(error)))
    return sent


def _obey(pipe: Connection[Any, Any], pipeline: Pipeline) -> None:
    """Take new settings and wishes from the parent.

    Stop at any other message, and when the pipe ends.
    """
    with suppress(EOFError, OSError):
        while isinstance(message := pipe.recv(), Settings | Wishes):
            if isinstance(message, Wishes):
                pipeline.wants_frames = message.frames
            else:
                pipeline.retune(message)
    pipeline.stop()


def _send_figures(outlet: Outlet, pipeline: Pipeline) -> None:
    """Send what was counted, now and then, until the pipe ends."""
    with suppress(OSError):
        while outlet.send(pipeline.figures()):
            time.sleep(FIGURES_INTERVAL_S)


class Outlet:
    """The sending end of a pipe, for several threads."""

    def __init__(self, pipe: Connection[Any, Any]) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self._open = True

    def send(self, message: object) -> bool:
        """Send a message whole; False where nothing is sent any more."""
        with self._lock:
            if self._open:
                self._pipe.send(message)
            return self._open

    def close(self) -> None:
        """Send nothing more."""
        with self._lock:
            self._open = False


class DrawingSender:
    """The `draw` of a child's pipeline: sends a Drawing of every source every DRAW_INTERVAL_S."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._sent_s: dict[str, float] = {}  # by source, when its last drawing was sent

    def __call__(self, frame: Frame, views: list[View]) -> None:
        """Send the frame without its image, if the last one of its source is long enough ago."""
        now_s = time.monotonic()
        if now_s - self._sent_s.get(frame.source, -math.inf) >= DRAW_INTERVAL_S:
            self._sent_s[frame.source] = now_s
            without_image = Frame(frame.source, frame.index, frame.captured_ns, NO_IMAGE)
            self._outlet.send(Drawing(without_image, views))
