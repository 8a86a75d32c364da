"""`microspot watch`: from sources to sinks. Everything the command does, as functions a program can call.

with load_engines() as engines, Pipeline([open_source("0")], engines) as pipeline:
    for record in pipeline.run(): ...
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from microspot.engines.commands.entry_point import ENDINGS, interrupted
from microspot.engines.redaction import shown
from microspot.engines.runtime.engine import EngineSet

from .config import Settings
from .errors import MicrospotError, SourceError
from .pipeline import Draw, Pipeline, Record, SourceEnd
from .records import Event, Frame, Gap, SourceState, SourceWarning, View
from .sinks.base import Sink, announce
from .sources.open import Source


@dataclass(frozen=True)
class Outcome:
    """How a run ended: exit code of the contract and the lines to print on stderr."""

    code: int
    warnings: tuple[str, ...]


class Run(Protocol):
    """A Pipeline, or Processes: what gives records."""

    draw: Draw | None

    def describe(self) -> dict[str, Any]: ...

    def run(self) -> Iterator[Record]: ...

    def stop(self) -> None: ...

    def finish(self) -> Iterator[Record]: ...


def watch(
    sources: Sequence[Source],
    engines: EngineSet,
    sinks: Sequence[Sink],
    settings: Settings,
    *,
    seconds: float | None = None,
) -> Outcome:
    """Run until every source ends (or is interrupted) and write every record to every sink that wants it.

    Interruption and a sink that fails end the open segments first, so that nothing already seen is lost. Raises what
    the first sink to fail raised.
    """
    with Pipeline(sources, engines, settings, seconds=seconds) as pipeline:
        return follow(pipeline, sinks)


def follow(run: Run, sinks: Sequence[Sink]) -> Outcome:
    """`watch` for a run that is open already."""
    outputs = _Outputs(sinks, run.stop)
    run.draw = outputs.draw if any(sink.draws for sink in sinks) else None
    warnings: list[str] = []
    errors: list[MicrospotError] = []
    with ExitStack() as stack:
        for sink in sinks:
            stack.enter_context(sink)
        announce(sinks)
        outputs.write(run.describe())
        outputs.check()
        try:
            with _interrupts(run) as interrupts:
                _pass_on(run.run(), outputs, warnings, errors)
        except KeyboardInterrupt:  # a window was closed
            interrupts.append(signal.SIGINT)
            _pass_on(run.finish(), outputs, warnings, errors)
        outputs.check()
    warnings += [str(error) for error in errors]
    code = 130 if interrupts else errors[0].exit_code if errors else 0
    return Outcome(code, tuple(warnings))


class _Outputs:
    """The sinks that still work. One that fails ends the run, in good order: the others get all that was seen."""

    def __init__(self, sinks: Sequence[Sink], stop: Callable[[], None]) -> None:
        self._working, self._stop = list(sinks), stop
        self._failure: Exception | None = None

    def write(self, record: dict[str, Any]) -> None:
        for sink in self._working.copy():
            self._try(sink, partial(sink.take, record))

    def draw(self, frame: Frame, views: list[View]) -> None:
        for sink in self._working.copy():
            if sink.draws:
                self._try(sink, partial(sink.draw, frame, views))

    def check(self) -> None:
        """Raise what the first sink to fail raised."""
        if self._failure is not None:
            raise self._failure

    def _try(self, sink: Sink, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:
            self._working.remove(sink)
            self._failure = self._failure or error
            self._stop()


@contextmanager
def _interrupts(run: Run) -> Iterator[list[int]]:
    """The first interruption ends the run after its round, so that nothing decided is lost; a second one at once.

    ctrl-C, SIGTERM of a supervisor and, unless it is ignored (nohup), SIGHUP of a terminal that closes.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def stop(number: int, _: object) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)
        run.stop()

    numbers = [n for n in ENDINGS if n != signal.SIGHUP or signal.getsignal(n) != signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in numbers}
    if interrupted():  # before, while native code that swallowed it was loading
        signal.raise_signal(signal.SIGINT)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _pass_on(
    records: Iterable[Record],
    outputs: _Outputs,
    warnings: list[str],
    errors: list[MicrospotError],
) -> None:
    for record in records:
        outputs.write(to_json(record))
        if isinstance(record, SourceWarning):
            warnings.append(shown(f"{record.source}: {record.detail}"))
        if isinstance(record, SourceEnd):
            if record.error is not None:
                errors.append(record.error)
            elif record.frames == 0:
                errors.append(
                    SourceError(
                        f"{record.source}: no frame could be read; check that it holds video"
                    )
                )
            elif not record.face_seen:
                warnings.append(f"{record.source}: {_unseen(record)}")


def _unseen(end: SourceEnd) -> str:
    """What to say of a source in which no face was ever used."""
    counts = ", ".join(f"{count} frames: {why}" for why, count in end.rejected.items())
    return f"no face was used ({counts}); a face must be frontal, and as wide as the setting min_face_px asks"


def to_json(record: Record) -> dict[str, Any]:
    """The JSON line of a record (architecture 7), key `type` first."""
    if isinstance(record, Event):
        return record.to_json()
    if isinstance(record, Gap):
        return {
            "type": "gap", "source": record.source, "face": record.face, "reason": record.reason,
            "start_s": round(record.start_ns / 1e9, 6), "stop_s": round(record.stop_ns / 1e9, 6),
        }  # fmt: skip
    if isinstance(record, SourceState):
        return {
            "type": "state",
            "source": record.source,
            "state": record.state,
            "detail": record.detail,
        }
    if isinstance(record, SourceWarning):
        return {
            "type": "warning",
            "source": record.source,
            "kind": record.kind,
            "detail": record.detail,
        }
    ended = {
        "type": "end",
        "source": record.source,
        "frames": record.frames,
        "events": record.events,
    }
    ended |= {"drops": record.drops, "rejected": record.rejected}
    return ended | ({"error": str(record.error)} if record.error else {})
