"""Many cameras on many cores: a pipeline per process, one stream of records.

    Processes -> child: Pipeline of its share of the sources -> records through a pipe -> run()

Threads of one interpreter run Python one at a time, so one process never keeps two cores busy: ten cameras of 30 Hz
fell behind in one process and kept up in two, at the same cost a frame. Nothing but the grouping differs: every source
has its own feed and sessions either way, and shares batches with those of its process. A pipe that the parent does not
empty holds its child up, as a slow sink holds up a pipeline. Records cross it pickled: who took a child over would have
taken over a pipeline in our own process as well, and streams are decoded in workers of their own (`worker`).
"""

from __future__ import annotations

import dataclasses
import math
import multiprocessing
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Self

import numpy as np

from engines.commands import ENDINGS
from engines.errors import missing_library
from engines.landmarker import available_cores
from engines.runtime.engine import EngineSet
from engines.runtime.select import CPU, choose_backend

from .config import Settings
from .errors import DataError, EngineError, MicrospotError, SourceError, UsageError
from .pipeline import Draw, Pipeline, Record, SourceEnd
from .records import Event, Frame, View
from .sources import Source

POLL_S = 0.1  # how soon a request to stop is passed on
STOP_S = 10.0  # for all records to come after it
GRACE_S = 5.0  # for the processes to leave by themselves
GLANCE_S = 0.1  # between what is told of a source for drawing
NO_IMAGE = np.empty((0, 0, 3), np.uint8)

OpenSource = Callable[[], Source]
LoadEngines = Callable[[], EngineSet]


@dataclass(frozen=True, eq=False)
class _Glance:
    """What a child tells for drawing: a frame without its image, and its views."""

    frame: Frame
    views: list[View]


class _Child:
    """One process and its pipe. It describes itself, waits for word whether to draw, and then sends records."""

    def __init__(self, opens: dict[str, OpenSource], load: LoadEngines, settings: Settings, seconds: float | None):
        self.left, self.events = set(opens), dict.fromkeys(opens, 0)
        self.provisional: dict[str, Event] = {}  # by id, what still needs an end
        self.start: dict[str, Any] | None = None
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, opens, load, settings, seconds), daemon=True)
        self.process.start()
        theirs.close()  # the child's copy alone is left, so that its death is the end of the pipe

    def hear(self) -> Any:
        """Its next message; None where there is none to come. Raises what went wrong in it."""
        try:
            message = self.pipe.recv()
        except (EOFError, OSError):
            return None
        if isinstance(message, Exception):
            raise message
        return message

    def tell(self, draws: bool | None) -> None:
        """Whether to draw; the second message, whatever it is, ends the run."""
        with suppress(OSError):  # it is gone, and `hear` says so
            self.pipe.send(draws)

    def ended(self) -> str:
        """How its process ended, in words."""
        self.process.join(GRACE_S)
        return f"process ended early (exit code {self.process.exitcode})"


class Processes:
    """Runs like a Pipeline, over `count` processes; a context manager. Entering waits until all are ready.

    opens: by name, what opens each source in its process; load: what loads the engines there. Both are pickled.
    `draw` gets frames without their images ten times a second, so no sink may paint on them. Sources of a process that
    dies end with an error, the others go on; an exception in one ends the run, as in a Pipeline. The main module must
    be guarded, as in every program that starts processes. Raises what loading and a Pipeline raise, and EngineError
    where processes chose different backends.
    """

    def __init__(
        self,
        opens: Mapping[str, OpenSource],
        load: LoadEngines,
        settings: Settings | None = None,
        count: int = 1,
        *,
        seconds: float | None = None,
    ) -> None:
        if not opens or count < 1:
            raise UsageError(f"{len(opens)} sources in {count} processes: expected at least one of either")
        self.draw: Draw | None = None
        self._opens, self._load, self._settings, self._seconds = dict(opens), load, settings or Settings(), seconds
        self._count = min(count, len(opens))
        self._children: list[_Child] = []
        self._stopping = False

    def __enter__(self) -> Self:
        names = list(self._opens)
        try:
            with _uninterrupted():
                for i in range(self._count):
                    share = {name: self._opens[name] for name in names[i :: self._count]}
                    self._children.append(_Child(share, self._load, self._settings, self._seconds))
            for child in self._children:
                child.start = child.hear()
                if child.start is None:
                    raise EngineError(f"a {child.ended()} while it started; where memory is short, try --processes 1")
            chosen = {child.start["backend"]: child.start["why"] for child in self._children if child.start}
            if len(chosen) > 1:
                raise EngineError(f"processes chose different backends ({'; '.join(chosen.values())}): name one")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._children:
            child.pipe.close()  # ends what still runs
            if child.start is None:
                child.process.kill()  # it is loading, and has nothing to lose
        deadline = time.monotonic() + GRACE_S
        for child in self._children:
            child.process.join(max(0.0, deadline - time.monotonic()))
            if child.process.is_alive():
                child.process.kill()
                child.process.join()
        self._children.clear()

    def describe(self) -> dict[str, Any]:
        """The `start` record of all."""
        starts = [child.start for child in self._children if child.start]
        told = {entry["source"]: entry for start in starts for entry in start["sources"]}
        return starts[0] | {"sources": [told[name] for name in self._opens]}

    def run(self) -> Iterator[Record]:
        """Every record, in the order in which they come, until all sources have ended."""
        for child in self._children:
            child.tell(self.draw is not None)
        deadline = math.inf
        while open_ := {child.pipe: child for child in self._children if child.left}:
            if self._stopping and deadline == math.inf:
                deadline = time.monotonic() + STOP_S
                for child in open_.values():
                    child.tell(None)
            if time.monotonic() > deadline:
                yield from self.finish()
                return
            for pipe in wait(list(open_), POLL_S):
                child = open_[pipe]  # type: ignore[index]
                message = child.hear()
                if message is None:
                    yield from _lost(child, child.ended())
                elif not isinstance(message, _Glance):
                    yield _counted(child, message)
                elif self.draw is not None:
                    self.draw(message.frame, message.views)

    def stop(self) -> None:
        """End after the current rounds; may be called from a signal handler."""
        self._stopping = True

    def finish(self) -> Iterator[Record]:
        """Ends of what has not ended. What is on its way is not waited for: a pipe may be broken off amid a record."""
        for child in self._children:
            yield from _lost(child, "process was interrupted")


def _counted(child: _Child, record: Record) -> Record:
    if isinstance(record, SourceEnd):
        child.left.discard(record.source)
    elif isinstance(record, Event):
        child.events[record.source] += record.status == "final"
        child.provisional.pop(record.id, None)
        if record.status == "provisional":
            child.provisional[record.id] = record
    return record


def _lost(child: _Child, why: str) -> Iterator[Event | SourceEnd]:
    """Ends of all that a process leaves behind, events and sources; how many frames these had is not known."""
    for event in child.provisional.values():
        yield dataclasses.replace(event, status="withdrawn")
    child.provisional.clear()
    for name in sorted(child.left):
        child.left.discard(name)
        error = EngineError(f"{name}: its {why}; what was found before is kept")
        yield SourceEnd(name, 0, child.events[name], {}, error)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Processes started within are not ended by what reaches all, as ctrl-C does: the parent passes it on in order.

    One that comes within, a few ms, is lost.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ENDINGS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def how_many(
    cameras: int, settings: Settings, backend: str, asked: int | None = None, *,
    paced: bool = True, pictures: bool = False,
) -> int:  # fmt: skip
    """Processes for so many cameras: as `asked`, else one for every `settings.process_cameras`, at most one a core.

    One, unless more are asked for, on a GPU, which computes all cameras in one batch, and for files alone (`paced`
    says whether any source has a pace of its own), whose records then keep their order. pictures: whether a sink draws
    on images, which do not leave their process: raises UsageError where several are asked for.
    """
    if asked is not None:
        if asked > 1 and pictures:
            raise UsageError(f"--processes {asked}: a window shows pictures of one process; leave out one of the two")
        return min(asked, cameras)
    if pictures or not paced or choose_backend(backend)[0] != CPU:
        return 1
    return min(available_cores(), math.ceil(cameras / settings.process_cameras))


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
            with load() as engines, Pipeline(sources, engines, settings, seconds=seconds) as pipeline:
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
            self._pipe.send(_Glance(Frame(frame.source, frame.index, frame.captured_ns, NO_IMAGE), views))
