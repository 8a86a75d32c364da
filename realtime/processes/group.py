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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from typing import Any, Self

from microspot.engines.commands.entry_point import ENDINGS

from ..config import Settings
from ..errors import EngineError, UsageError
from ..pipeline import Draw, Record, SourceEnd
from ..records import Event
from .child import LoadEngines, OpenSource, _Glance, _work

POLL_S = 0.1  # how soon a request to stop is passed on
STOP_S = 10.0  # for all records to come after it
GRACE_S = 5.0  # for the processes to leave by themselves


class _Child:
    """One process and its pipe. It describes itself, waits for word whether to draw, and then sends records."""

    def __init__(
        self,
        opens: dict[str, OpenSource],
        load: LoadEngines,
        settings: Settings,
        seconds: float | None,
    ):
        self.left, self.events = set(opens), dict.fromkeys(opens, 0)
        self.provisional: dict[str, Event] = {}  # by id, what still needs an end
        self.start: dict[str, Any] | None = None
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(
            target=_work, args=(theirs, opens, load, settings, seconds), daemon=True
        )
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
            raise UsageError(
                f"{len(opens)} sources in {count} processes: expected at least one of either"
            )
        self.draw: Draw | None = None
        self._opens, self._load, self._settings, self._seconds = (
            dict(opens),
            load,
            settings or Settings(),
            seconds,
        )
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
                    raise EngineError(
                        f"a {child.ended()} while it started; where memory is short, try --processes 1"
                    )
            chosen = {
                child.start["backend"]: child.start["why"]
                for child in self._children
                if child.start
            }
            if len(chosen) > 1:
                raise EngineError(
                    f"processes chose different backends ({'; '.join(chosen.values())}): name one"
                )
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
