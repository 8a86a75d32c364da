"""The child's part: a pipeline over its share of the sources, its records through a pipe."""

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
from typing import Any

import numpy as np

from microspot.engines.commands.entry_point import ENDINGS
from microspot.engines.errors import missing_library
from microspot.engines.runtime.engine import EngineSet

from ..config import Settings
from ..errors import DataError, EngineError, MicrospotError, SourceError, UsageError
from ..pipeline import Pipeline, SourceEnd
from ..records import Frame, View
from ..sources.open import Source

GLANCE_S = 0.1  # between what is told of a source for drawing


NO_IMAGE = np.empty((0, 0, 3), np.uint8)


OpenSource = Callable[[], Source]


LoadEngines = Callable[[], EngineSet]


@dataclass(frozen=True, eq=False)
class _Glance:
    """What a child tells for drawing: a frame without its image, and its views."""

    frame: Frame
    views: list[View]


def _work(
    pipe: Connection[Any, Any], opens: dict[str, OpenSource], load: LoadEngines, settings: Settings,
    seconds: float | None,
) -> None:  # fmt: skip
    """The child's part. It ends by the parent's word, with the pipe, or, in the same order, by SIGTERM."""
    for number in ENDINGS:
        signal.signal(number, signal.SIG_IGN)  # also where the parent was not in its main thread
    with suppress(OSError):  # nobody is left to tell
        try:
            sources = [open_() for open_ in opens.values()]
            for name, source in zip(opens, sources, strict=True):
                source.name = name
            with (
                load() as engines,
                Pipeline(sources, engines, settings, seconds=seconds) as pipeline,
            ):
                pipe.send(pipeline.describe())
                try:
                    draws = pipe.recv()
                except EOFError:
                    return
                pipeline.draw = _Glances(pipe) if draws else None
                threading.Thread(target=_obey, args=(pipe, pipeline), daemon=True).start()
                signal.signal(signal.SIGTERM, lambda *_: pipeline.stop())
                for record in pipeline.run():
                    if isinstance(record, SourceEnd) and record.error is not None:
                        record = dataclasses.replace(record, error=_portable(record.error))
                    pipe.send(record)
        except Exception as error:
            pipe.send(_portable(error))


def _portable(error: Exception) -> Any:
    """The error as one that can be pickled, whatever it was, with its traceback as a note."""
    error = missing_library(error) or error
    kinds = (UsageError, SourceError, EngineError, DataError, MicrospotError)
    kind = next((kind for kind in kinds if isinstance(error, kind)), None)
    told = kind(str(error)) if kind else RuntimeError(f"{type(error).__name__}: {error}")
    told.add_note("".join(traceback.format_exception(error)))
    return told


def _obey(pipe: Connection[Any, Any], pipeline: Pipeline) -> None:
    """Stop when told to, and when nobody listens any more."""
    with suppress(EOFError, OSError):
        pipe.recv()
    pipeline.stop()


class _Glances:
    """Draws by telling the parent, of every source every GLANCE_S."""

    def __init__(self, pipe: Connection[Any, Any]) -> None:
        self._pipe, self._told_s = pipe, dict[str, float]()

    def __call__(self, frame: Frame, views: list[View]) -> None:
        now = time.monotonic()
        if now - self._told_s.get(frame.source, -math.inf) >= GLANCE_S:
            self._told_s[frame.source] = now
            self._pipe.send(
                _Glance(Frame(frame.source, frame.index, frame.captured_ns, NO_IMAGE), views)
            )
