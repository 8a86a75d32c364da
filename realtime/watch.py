"""`microspot watch` as functions that a program can call: from a pipeline to its sinks.

    with load_engines() as engines:
        outcome = watch([open_source("0")], engines, [open_sink("events.csv")], Settings())

`watch` opens a Pipeline over sources; `follow` takes one that is open already. Interruptions and
sinks that fail end the open segments first, so that nothing already seen is lost.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from microspot.engines.commands.entry_point import INTERRUPTED, interrupted
from microspot.engines.runtime.engine import EngineSet
from microspot.engines.system.signals import ENDINGS, HANGUP
from microspot.engines.text.redaction import shown

from .config import Settings
from .errors import MicrospotError, SourceError
from .markers.placement import MarkerInput, MarkerPlacement
from .markers.recorded import RecordedMarkers
from .meter import Figures
from .pipeline import Draw, Pipeline, Record, SourceEnd, SourcesChanged
from .records import (
    Event,
    FrameRecord,
    FrameTime,
    Gap,
    Marker,
    PersonalState,
    SourceState,
    SourceWarning,
    WarningKind,
)
from .sinks.base import Sink, announce
from .sinks.working_sinks import WorkingSinks
from .sources.open import Source
from .supervision.reload import Reload, has_terminal
from .supervision.service_manager import ServiceManager


@dataclass(frozen=True)
class Outcome:
    """How a run ended: exit code of the contract and the lines to print on stderr."""

    code: int
    warnings: tuple[str, ...]


class RecordSource(Protocol):
    """What gives records: a Pipeline or a ProcessGroup."""

    settings: Settings
    draw: Draw | None
    between_rounds: Callable[[], None]
    wants_frames: Collection[str]

    def describe(self) -> dict[str, Any]:
        """The `start` record."""

    def figures(self) -> Figures:
        """What was counted until now; may be called from any thread."""

    def run(self) -> Iterator[Record]:
        """Every record until all sources have ended."""

    def retune(self, settings: Settings) -> None:
        """Go on with other thresholds from the next round on."""

    def stop(self) -> None:
        """End after the current round; may be called from a signal handler."""

    def finish(self) -> Iterator[Record]:
        """The records that end what is open, after an interruption."""


def watch(
    sources: Sequence[Source],
    engines: EngineSet,
    sinks: Sequence[Sink],
    settings: Settings,
    *,
    seconds: float | None = None,
    markers: MarkerInput | None = None,
    reload: Reload | None = None,
) -> Outcome:
    """Run until every source ends or an interruption; write every record to the sinks.

    seconds: stream time after which every source ends; markers: where stimulus markers come from
    (`markers.open.open_markers`), closed by this; reload: gives settings anew, None for never.
    Raises what the first sink to fail raised.
    """
    with Pipeline(sources, engines, settings, seconds=seconds) as pipeline:
        return follow(pipeline, sinks, markers, reload)


def follow(
    records: RecordSource,
    sinks: Sequence[Sink],
    markers: MarkerInput | RecordedMarkers | None = None,
    reload: Reload | None = None,
) -> Outcome:
    """The same as `watch` for a Pipeline or a ProcessGroup that is open already.

    Markers of a recording go with a pipeline of that recording alone.
    """
    working = WorkingSinks(sinks, records.stop, records.settings.frame_batch_ms / 1e3)
    records.draw = working.draw if any(sink.draws for sink in sinks) else None
    records.wants_frames = _wanted(working, markers)
    placed = markers if isinstance(markers, RecordedMarkers) else MarkerPlacement(markers)
    warnings: list[str] = []
    errors: list[MicrospotError] = []
    with ExitStack() as stack:
        for sink in sinks:
            stack.enter_context(sink)
        if markers is not None:
            stack.enter_context(markers)
        announce(sinks)
        for sink in sinks:
            sink.observe(records.figures)
        start = records.describe()
        names = [entry["source"] for entry in start["sources"]]
        try:
            with _interrupts(records.stop, reload) as interrupts:
                working.write(start)
                working.raise_failure()
                manager = stack.enter_context(ServiceManager())
                records.between_rounds = partial(
                    _tend, records, working, names, markers, manager, reload
                )
                _deliver(placed.among(records.run()), working, warnings, errors)
        except KeyboardInterrupt:  # a window was closed
            interrupts.append(signal.SIGINT)
            _deliver(placed.among(records.finish()), working, warnings, errors)
        working.raise_failure()
    warnings += [shown(sink.remark) for sink in sinks if sink.remark]
    if markers is not None and markers.remark:
        warnings.append(shown(markers.remark))
    warnings += [str(error) for error in errors]
    if interrupts:
        return Outcome(INTERRUPTED, tuple(warnings))
    return Outcome(errors[0].exit_code if errors else 0, tuple(warnings))


def _tend(
    records: RecordSource,
    sinks: WorkingSinks,
    sources: Sequence[str],
    markers: MarkerInput | RecordedMarkers | None,
    manager: ServiceManager,
    reload: Reload | None,
) -> None:
    """What is done between rounds: a sign of life, records of frames only while they are wanted.

    Settings are read anew where that is asked for.
    """
    manager.alive()
    records.wants_frames = _wanted(sinks, markers)
    if reload is None or not reload.due():
        return
    settings, said = reload.read(records.settings)
    records.retune(settings)
    words = "; ".join([said, *sinks.reload()])
    for source in sources:
        sinks.write(to_json(SourceWarning(source, WarningKind.SETTINGS, words)))


def _wanted(sinks: WorkingSinks, markers: MarkerInput | RecordedMarkers | None) -> Collection[str]:
    """Which records of frames the sinks want; markers are placed by the times of frames."""
    kinds = sinks.want_frames()
    return kinds if markers is None else {FrameTime.kind, *kinds}


@contextmanager
def _interrupts(stop: Callable[[], None], reload: Reload | None) -> Iterator[list[int]]:
    """The first interruption ends the run after its round, so that nothing decided is lost.

    A second one raises KeyboardInterrupt at once. Interruptions are ctrl-C (on Windows ctrl-Break,
    too), a supervisor's SIGTERM and, unless it is ignored (nohup), the SIGHUP of a terminal that
    closes; where there is none, SIGHUP asks `reload`. Yields the signals received, oldest first.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    reloads = reload is not None and not has_terminal()

    def handle(number: int, _: object) -> None:
        if number == HANGUP and reload is not None and reloads:
            reload.ask()
            return
        if received:
            raise KeyboardInterrupt
        received.append(number)
        stop()

    numbers = [n for n in ENDINGS if n != HANGUP or reloads or not _is_ignored(n)]
    before = {number: signal.signal(number, handle) for number in numbers}
    if interrupted():  # while modules loaded; native code may have swallowed the signal
        signal.raise_signal(signal.SIGINT)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_ignored(number: int) -> bool:
    return signal.getsignal(number) == signal.SIG_IGN


def _deliver(
    records: Iterable[Record | Marker],
    sinks: WorkingSinks,
    warnings: list[str],
    errors: list[MicrospotError],
) -> None:
    """Write every record to the sinks; collect the warnings and errors that they hold."""
    try:
        for record in records:
            if isinstance(record, FrameRecord):
                sinks.keep(record)
                continue
            sinks.write(to_json(record))
            if isinstance(record, SourceWarning):
                warnings.append(shown(f"{record.source}: {record.detail}"))
            elif isinstance(record, SourceEnd):
                _collect(record, warnings, errors)
    finally:
        sinks.flush_frames()


def _collect(end: SourceEnd, warnings: list[str], errors: list[MicrospotError]) -> None:
    """What a person is told of how a source ended."""
    if end.suppressed:
        warnings.append(
            f"{end.source}: {end.suppressed} events resemble rejected ones "
            "and were left out (memory)"
        )
    if end.error is not None:
        errors.append(end.error)
    elif end.frames == 0:
        unread = f"{end.source}: no frame could be read; check that it holds video"
        errors.append(SourceError(unread))
    elif not end.face_seen:
        warnings.append(f"{end.source}: {_no_face_warning(end)}")


def _no_face_warning(end: SourceEnd) -> str:
    """The warning for a source in which no face was ever used."""
    counts = ", ".join(f"{count} frames: {reason}" for reason, count in end.rejected.items())
    return (
        f"no face was used ({counts}); a face must be frontal and at least as wide as the setting "
        "min_face_px"
    )


def to_json(record: Record | Marker) -> dict[str, Any]:
    """The JSON line of a record of the command contract, key `type` first."""
    if isinstance(record, Event | PersonalState | FrameRecord | Marker):
        return record.to_json()
    if isinstance(record, SourcesChanged):
        return record.start
    if isinstance(record, Gap):
        return {
            "type": "gap",
            "source": record.source,
            "face": record.face,
            "reason": record.reason,
            "start_s": round(record.start_ns / 1e9, 6),
            "stop_s": round(record.stop_ns / 1e9, 6),
        }
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
        "drops": record.drops,
        "rejected": record.rejected,
    }
    if record.suppressed is not None:
        ended["suppressed"] = record.suppressed
    if record.error:
        ended["error"] = str(record.error)
    return ended
