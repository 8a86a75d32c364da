"""Many cameras on many cores: a pipeline per process, one stream of records.

    ProcessGroup -> child: pipeline of its share of the sources -> records through a pipe -> run()

Threads of one interpreter run Python one at a time, so one process never keeps two cores busy: ten
cameras of 30 Hz fell behind in one process and kept up in two, at the same cost a frame. Only the
grouping differs: every source has its own feed and sessions either way, and shares batches with
those of its process. A pipe that the parent does not empty blocks its child, as a slow sink blocks
a pipeline.

Trust: messages cross the pipe pickled, and parent and child unpickle what the other sends. The pipe
is theirs alone. An attacker who took a child over would have taken over a pipeline in the parent's
own process as well, and streams are decoded in workers of their own (`sources.capture`), whose
messages are not pickled.
"""

from __future__ import annotations

import dataclasses
import math
import multiprocessing
import signal
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from typing import Any, Self

from microspot.engines.system.signals import ENDINGS

from ..config import Settings
from ..errors import EngineError, UsageError
from ..meter import Figures
from ..pipeline import Draw, Record, SourceEnd, nothing
from ..records import Event
from ..sinks.base import NONE_OF_FRAMES
from .child import Drawing, LoadEngines, OpenSource, Wishes, run_child

POLL_S = 0.1  # how soon a request to stop is passed on
STOP_S = 10.0  # for all records to come after it
GRACE_S = 5.0  # for the processes to leave by themselves


class _Child:
    """A child process, its pipe, and what it has sent and not ended."""

    def __init__(
        self,
        openers: dict[str, OpenSource],
        load_engines: LoadEngines,
        settings: Settings,
        seconds: float | None,
    ) -> None:
        self.open_sources = set(openers)
        self.final_events = dict.fromkeys(openers, 0)  # by source
        self.provisional: dict[str, Event] = {}  # by id, the events that still need an end
        self.start: dict[str, Any] | None = None  # its `start` record
        self.figures = Figures()
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(
            target=run_child, args=(theirs, openers, load_engines, settings, seconds), daemon=True
        )
        self.process.start()
        theirs.close()  # the child's copy alone is left, so that its death is the end of the pipe

    def receive(self) -> Any:
        """Its next message; None where no more will come. Raises an exception that it sent."""
        try:
            message = self.pipe.recv()
        except (EOFError, OSError):
            return None
        if isinstance(message, Exception):
            raise message
        return message

    def send(self, message: Wishes | Settings | None) -> None:
        """Send what is wanted, then settings that change; None ends the run."""
        with suppress(OSError):  # the child has ended, and `receive` says so
            self.pipe.send(message)

    def why_ended(self) -> str:
        """How its process ended, in words."""
        self.process.join(GRACE_S)
        return f"process ended early (exit code {self.process.exitcode})"

    def count(self, record: Record) -> None:
        """Note what a record ends or leaves open."""
        if isinstance(record, SourceEnd):
            self.open_sources.discard(record.source)
        elif isinstance(record, Event):
            if record.status == "final":
                self.final_events[record.source] += 1
            self.provisional.pop(record.id, None)
            if record.status == "provisional":
                self.provisional[record.id] = record

    def abandon(self, why: str) -> Iterator[Event | SourceEnd]:
        """Ends of the events and sources it leaves open; how many frames these had is not known."""
        for event in self.provisional.values():
            yield dataclasses.replace(event, status="withdrawn")
        self.provisional.clear()
        for name in sorted(self.open_sources):
            self.open_sources.discard(name)
            error = EngineError(f"{name}: its {why}; what was found before is kept")
            yield SourceEnd(name, 0, self.final_events[name], {}, error)


class ProcessGroup:
    """Runs like a Pipeline, over `count` processes; a context manager.

    openers: by name, what opens each source in its process; load_engines: what loads the engines
    there. Both are pickled.

    Entering waits until all processes are ready. `draw` gets frames without their images ten times
    a second, so no sink may paint on them. Sources of a process that dies end with an error, the
    others go on; an exception in one ends the run, as in a Pipeline. The main module must be
    guarded, as in every program that starts processes.

    Raises what loading and a Pipeline raise, and EngineError where processes chose different
    backends.
    """

    def __init__(
        self,
        openers: Mapping[str, OpenSource],
        load_engines: LoadEngines,
        settings: Settings | None = None,
        count: int = 1,
        *,
        seconds: float | None = None,
    ) -> None:
        if not openers or count < 1:
            raise UsageError(
                f"{len(openers)} sources in {count} processes: expected at least one of either"
            )
        self.draw: Draw | None = None
        self._wants_frames = NONE_OF_FRAMES
        self._running = False
        self.between_rounds = nothing
        self._openers = dict(openers)
        self._load_engines = load_engines
        self.settings = settings or Settings()
        self._seconds = seconds
        self._count = min(count, len(openers))
        self._children: list[_Child] = []
        self._stopping = False

    def __enter__(self) -> Self:
        try:
            self._start_children()
            self._await_starts()
            self._check_backends()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start_children(self) -> None:
        names = list(self._openers)
        with _uninterrupted():
            for i in range(self._count):
                share = {name: self._openers[name] for name in names[i :: self._count]}
                child = _Child(share, self._load_engines, self.settings, self._seconds)
                self._children.append(child)

    def _await_starts(self) -> None:
        for child in self._children:
            child.start = child.receive()
            if child.start is None:
                raise EngineError(
                    f"a {child.why_ended()} while it started; "
                    "where memory is short, try --processes 1"
                )

    def _check_backends(self) -> None:
        reasons = {start["backend"]: start["why"] for start in self._starts()}
        if len(reasons) > 1:
            raise EngineError(
                f"processes chose different backends ({'; '.join(reasons.values())}): name one"
            )

    def _starts(self) -> list[dict[str, Any]]:
        return [child.start for child in self._children if child.start is not None]

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
        """The `start` record of all processes together."""
        starts = self._starts()
        sources = {}
        for start in starts:
            for entry in start["sources"]:
                sources[entry["source"]] = entry
        return starts[0] | {"sources": [sources[name] for name in self._openers]}

    @property
    def wants_frames(self) -> Collection[str]:
        """Which records of every frame are wanted, from now on."""
        return self._wants_frames

    @wants_frames.setter
    def wants_frames(self, kinds: Collection[str]) -> None:
        wanted = frozenset(kinds)
        changed = wanted != self._wants_frames
        self._wants_frames = wanted
        if changed and self._running:
            self._send_wishes()

    def _send_wishes(self) -> None:
        for child in self._children:
            child.send(Wishes(self.draw is not None, self._wants_frames))

    def figures(self) -> Figures:
        """What all processes together had counted, up to a second ago."""
        return Figures.joined(child.figures for child in self._children)

    def run(self) -> Iterator[Record]:
        """Every record, in the order in which they come, until all sources have ended."""
        self._send_wishes()
        self._running = True
        deadline_s = math.inf
        while running := [child for child in self._children if child.open_sources]:
            self.between_rounds()
            if self._stopping and deadline_s == math.inf:
                deadline_s = time.monotonic() + STOP_S
                for child in running:
                    child.send(None)
            if time.monotonic() > deadline_s:
                yield from self.finish()
                return
            ready = wait([child.pipe for child in running], POLL_S)
            for child in running:
                if child.pipe in ready:
                    yield from self._next(child)

    def _next(self, child: _Child) -> Iterator[Record]:
        """The records that the next message of a child gives; a Drawing is drawn, Figures kept."""
        message = child.receive()
        if message is None:
            yield from child.abandon(child.why_ended())
        elif isinstance(message, Drawing):
            if self.draw is not None:
                self.draw(message.frame, message.views)
        elif isinstance(message, Figures):
            child.figures = message
        else:
            child.count(message)
            yield message

    def stop(self) -> None:
        """End after the current rounds; may be called from a signal handler."""
        self._stopping = True

    def retune(self, settings: Settings) -> None:
        """Go on with other thresholds, in every process, from its next round on."""
        self.settings = settings
        for child in self._children:
            child.send(settings)

    def finish(self) -> Iterator[Record]:
        """Ends of what has not ended.

        Records on their way are not waited for: a pipe may be broken off amid a record.
        """
        for child in self._children:
            yield from child.abandon("process was interrupted")


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Processes started within are not ended by a signal that reaches all, as ctrl-C does.

    The parent passes it on in order. A signal that comes within, a few ms, is lost.
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
