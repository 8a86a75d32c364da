"""Many cameras on many cores: a pipeline per process, one stream of records.

    Processes -> child: Pipeline of its share of the sources -> records through a pipe -> run()

Threads of one interpreter run Python one at a time, so one process never keeps two cores busy: ten cameras of 30 Hz
fell behind in one process and kept up in two, at the same cost a frame. Nothing but the grouping differs: every source
has its own feed and sessions either way, and shares batches with those of its process.
"""

from __future__ import annotations

import math
import multiprocessing
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, Self

import numpy as np

from engines.landmarker import available_cores
from engines.runtime.engine import EngineSet

from .config import Settings
from .errors import EngineError, MicrospotError, UsageError
from .pipeline import Draw, Pipeline, Record, SourceEnd
from .records import Event, Frame, View
from .sources import Source

POLL_S = 0.1  # how soon a request to stop is passed on
GRACE_S = 5.0  # for a child to leave by itself
GLANCE_S = 0.1  # between what is told of a source for drawing
NO_IMAGE = np.empty((0, 0, 3), np.uint8)

OpenSource = Callable[[], Source]
LoadEngines = Callable[[], EngineSet]


@dataclass(frozen=True, eq=False)
class _Glance:
    """What a child tells for drawing: a frame without its image, and its views."""

    frame: Frame
    views: list[View]


@dataclass(frozen=True)
class _Go:
    """The parent's sinks are ready: begin. draws: whether glances are wanted."""

    draws: bool


class _Stop:
    """The parent wants the run to end after its round."""


class _Over:
    """The child has sent all it had."""


class _Child:
    """One process, its pipe, and the thread that empties the pipe, whatever the parent is doing."""

    def __init__(
        self, opens: Mapping[str, OpenSource], load: LoadEngines, settings: Settings, seconds: float | None,
        inbox: queue.SimpleQueue[tuple[_Child, Any]],
    ) -> None:  # fmt: skip
        self.left, self.events = dict.fromkeys(opens), dict.fromkeys(opens, 0)
        self.start: dict[str, Any] = {}
        self._inbox = inbox
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process: SpawnProcess = context.Process(
            target=_work, args=(theirs, dict(opens), load, settings, seconds), daemon=True, name=", ".join(opens)
        )
        self._process.start()
        theirs.close()  # the child's copy alone is left, so that its death is the end of the pipe
        self._reader = threading.Thread(target=self._read, name=f"records of {self._process.name}", daemon=True)
        self._reader.start()

    def tell(self, message: _Go | _Stop) -> None:
        with suppress(OSError):  # it is gone, and its reader says so
            self._pipe.send(message)

    def died(self) -> str:
        """How its process ended, in words."""
        self._process.join(GRACE_S)
        return f"the process of {self._process.name} died (exit code {self._process.exitcode})"

    def close(self) -> None:
        self.tell(_Stop())
        self._process.join(GRACE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._reader.join()
        self._pipe.close()

    def _read(self) -> None:
        message: Any = None
        while not isinstance(message, _Over):
            try:
                message = self._pipe.recv()
            except (EOFError, OSError):
                message = _Over()
            self._inbox.put((self, message))


class Processes:
    """Runs like a Pipeline, over `count` processes; a context manager. Entering waits until all are ready.

    opens: by the source's name, what opens it in its process; load: what loads the engines there. Both are pickled.
    Sources of a process that dies end with an error, the others go on. A program that uses this must have a guarded
    main module, as every program that starts processes. Raises what loading raises.
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
        self._inbox: queue.SimpleQueue[tuple[_Child, Any]] = queue.SimpleQueue()
        self._children: list[_Child] = []
        self._stopping = self._told = False

    def __enter__(self) -> Self:
        names = list(self._opens)
        try:
            for i in range(self._count):
                share = {name: self._opens[name] for name in names[i :: self._count]}
                self._children.append(_Child(share, self._load, self._settings, self._seconds, self._inbox))
            while not all(child.start for child in self._children):
                child, message = self._inbox.get()
                if isinstance(message, Exception):
                    raise message
                if isinstance(message, _Over):
                    raise EngineError(f"{child.died()} while it started; try fewer with --processes")
                child.start = message
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        while self._children:
            self._children.pop().close()

    def describe(self) -> dict[str, Any]:
        """The `start` record of all."""
        told = {entry["source"]: entry for child in self._children for entry in child.start["sources"]}
        return self._children[0].start | {"sources": [told[name] for name in self._opens]}

    def run(self) -> Iterator[Record]:
        """Every record, in the order in which they come, until all sources have ended."""
        for child in self._children:
            child.tell(_Go(self.draw is not None))
        yield from self._records()

    def stop(self) -> None:
        """End after the current rounds; may be called from a signal handler."""
        self._stopping = True

    def finish(self) -> Iterator[Record]:
        """After an interruption: what is still to come once all have been told to stop."""
        self.stop()
        yield from self._records()

    def _records(self) -> Iterator[Record]:
        while any(child.left for child in self._children):
            if self._stopping and not self._told:
                self._told = True
                for child in self._children:
                    child.tell(_Stop())
            try:
                child, message = self._inbox.get(timeout=POLL_S)
            except queue.Empty:
                continue
            if isinstance(message, Exception):
                raise message
            if isinstance(message, _Over):
                yield from self._lost(child)
            elif isinstance(message, _Glance):
                if self.draw is not None:
                    self.draw(message.frame, message.views)
            else:
                if isinstance(message, SourceEnd):
                    child.left.pop(message.source)
                elif isinstance(message, Event):
                    child.events[message.source] += message.status == "final"
                yield message

    def _lost(self, child: _Child) -> Iterator[SourceEnd]:
        """The ends of what a process that died leaves behind."""
        for name in list(child.left):
            del child.left[name]
            error = EngineError(f"{name}: {child.died()}; what it had found before is kept")
            yield SourceEnd(name, 0, child.events[name], {}, error)


def how_many(
    cameras: int, settings: Settings, asked: int | None = None, *, paced: bool = True, pictures: bool = False
) -> int:
    """Processes for so many cameras: as `asked`, else one for every `settings.process_cameras`, at most one a core.

    paced: whether all come at their own pace; files that do not share one process, so that their records come in the
    same order on every run. pictures: whether a sink draws on images, which do not leave their process: raises
    UsageError where several are asked for.
    """
    if asked is not None:
        if asked > 1 and pictures:
            raise UsageError(f"--processes {asked}: a window shows pictures of one process; leave out one of the two")
        return min(asked, cameras)
    if pictures or not paced:
        return 1
    return min(available_cores(), math.ceil(cameras / settings.process_cameras))


def _work(
    pipe: Connection[Any, Any], opens: dict[str, OpenSource], load: LoadEngines, settings: Settings,
    seconds: float | None,
) -> None:  # fmt: skip
    """The child's part: describe, wait for the word to go, send every record."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl-C reaches all processes; the parent passes it on in order
    with suppress(BrokenPipeError):  # nobody is left to tell
        try:
            with load() as engines, Pipeline([o() for o in opens.values()], engines, settings, seconds=seconds) as line:
                pipe.send(line.describe())
                if isinstance(word := pipe.recv(), _Go):
                    line.draw = _Glances(pipe) if word.draws else None
                    threading.Thread(target=_obey, args=(pipe, line), daemon=True).start()
                    for record in line.run():
                        pipe.send(record)
        except EOFError:
            return
        except Exception as error:
            pipe.send(error if isinstance(error, MicrospotError) else RuntimeError(f"{type(error).__name__}: {error}"))
        pipe.send(_Over())


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
