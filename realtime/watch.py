"""`microspot watch`: from sources to sinks. Everything the command does, as functions a program can call.

with load_engines() as engines, Pipeline([open_source("0")], engines) as pipeline:
    for record in pipeline.run(): ...
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from engines.redaction import shown
from engines.runtime.engine import EngineSet

from .config import Settings
from .errors import MicrospotError, SourceError
from .pipeline import Draw, Pipeline, Record, SourceEnd
from .records import Event, Frame, Gap, SourceState, View
from .sinks import Sink, announce, unwanted
from .sources import Source


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

    Interruption ends the open stretches first, so that nothing already seen is lost. Raises what a sink raises.
    """
    with Pipeline(sources, engines, settings, seconds=seconds) as pipeline:
        return follow(pipeline, sinks)


def follow(run: Run, sinks: Sequence[Sink]) -> Outcome:
    """`watch` for a run that is open already."""
    drawers = [sink for sink in sinks if sink.draws]

    def draw(frame: Frame, views: list[View]) -> None:
        for sink in drawers:
            sink.draw(frame, views)

    run.draw = draw if drawers else None
    warnings: list[str] = []
    errors: list[MicrospotError] = []
    with ExitStack() as stack:
        for sink in sinks:
            stack.enter_context(sink)
        announce(sinks)
        _write(sinks, run.describe())
        try:
            with _interrupts(run) as interrupts:
                _pass_on(run.run(), sinks, warnings, errors)
        except KeyboardInterrupt:  # a window was closed
            interrupts.append(signal.SIGINT)
            _pass_on(run.finish(), sinks, warnings, errors)
    warnings += [str(error) for error in errors]
    code = 130 if interrupts else errors[0].exit_code if errors else 0
    return Outcome(code, tuple(warnings))


@contextmanager
def _interrupts(run: Run) -> Iterator[list[int]]:
    """The first interruption ends the run after its round, so that nothing decided is lost; a second one at once."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def stop(number: int, _: object) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)
        run.stop()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield received
    finally:
        signal.signal(signal.SIGINT, before)


def _pass_on(
    records: Iterable[Record],
    sinks: Sequence[Sink],
    warnings: list[str],
    errors: list[MicrospotError],
) -> None:
    for record in records:
        _write(sinks, to_json(record))
        if isinstance(record, SourceState) and record.state in ("warning", "damaged"):
            warnings.append(shown(f"{record.source}: {record.detail}"))
        if isinstance(record, SourceEnd):
            if record.error is not None:
                errors.append(record.error)
            elif record.frames == 0:
                errors.append(SourceError(f"{record.source}: no frame could be read; check that it holds video"))
            elif not record.face_seen:
                warnings.append(f"{record.source}: {_unseen(record)}")


def _unseen(end: SourceEnd) -> str:
    """What to say of a source in which no face was ever used."""
    counts = ", ".join(f"{count} frames: {why}" for why, count in end.rejected.items())
    return f"no face was used ({counts}); a face must be frontal, and as wide as the setting min_face_px asks"


def _write(sinks: Sequence[Sink], record: dict[str, Any]) -> None:
    for sink in sinks:
        if not unwanted(record, sink.wants_provisional):
            sink.write(record)


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
        return {"type": "state", "source": record.source, "state": record.state, "detail": record.detail}
    ended = {"type": "end", "source": record.source, "frames": record.frames, "events": record.events}
    ended |= {"drops": record.drops, "rejected": record.rejected}
    return ended | ({"error": str(record.error)} if record.error else {})
