"""From records to sinks: one output that fails takes nothing from the others."""

from __future__ import annotations

import signal
from collections.abc import Callable, Collection, Iterator
from typing import Any

import numpy as np
import pytest

from microspot.realtime.config import Settings
from microspot.realtime.errors import DataError
from microspot.realtime.meter import Figures
from microspot.realtime.pipeline import SourceEnd
from microspot.realtime.records import Event, Frame, SourceState
from microspot.realtime.sinks.base import Sink
from microspot.realtime.sinks.callback import CallbackSink
from microspot.realtime.watch import follow


class FakeRecords:
    """A state, a second one unless it was stopped, then the event that was open."""

    draw: Any = None
    wants_frames: Collection[str] = ()
    settings = Settings(frame_batch_ms=0)

    def __init__(self) -> None:
        self.stopped = False
        self.between_rounds: Callable[[], None] = lambda: None

    def describe(self) -> dict[str, Any]:
        return {"type": "start", "sources": []}

    def run(self) -> Iterator[Any]:
        yield SourceState("cam", "live")
        if self.draw:
            self.draw(Frame("cam", 0, 0, np.zeros((2, 2, 3), np.uint8)), [])
        if not self.stopped:
            yield SourceState("cam", "never reached")
        yield Event("1", "cam", 0, "final", 0, 1, 0, 1, 0.5, 2)
        yield SourceEnd("cam", 2, 1, {}, face_seen=True)

    def figures(self) -> Figures:
        return Figures()

    def stop(self) -> None:
        self.stopped = True

    def finish(self) -> Iterator[Any]:
        raise AssertionError("nothing interrupted this run")


class Full(Sink):
    """A sink whose disk is full: for records of one type, or when it draws."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.draws = kind == "draw"
        self.closed = False

    def write(self, record: dict[str, Any]) -> None:
        if record["type"] == self.kind:
            raise DataError("cannot write: the disk is full")

    def draw(self, frame: Frame, views: object) -> None:
        raise DataError("cannot write: the disk is full")

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("kind", ["state", "draw"])
def test_an_output_that_fails_ends_the_run_and_takes_nothing_from_the_others(kind: str) -> None:
    full = Full(kind)
    kept: list[dict[str, Any]] = []
    with pytest.raises(DataError, match="full"):
        follow(FakeRecords(), [full, CallbackSink(kept.append, False)])
    assert [record["type"] for record in kept] == ["start", "state", "event", "end"]
    assert full.closed


def test_a_sink_that_refuses_the_start_record_starts_no_source() -> None:
    kept: list[dict[str, Any]] = []
    with pytest.raises(DataError, match="full"):
        follow(FakeRecords(), [Full("start"), CallbackSink(kept.append, False)])
    assert [record["type"] for record in kept] == ["start"]


class Signalled(FakeRecords):
    """Gets a signal while it has records that it has not yet given."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__()
        self.number = number

    def run(self) -> Iterator[Any]:
        signal.raise_signal(self.number)
        yield from super().run()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_lets_the_round_end(number: signal.Signals) -> None:
    def unhandled(number: int, _: object) -> None:
        raise AssertionError(f"signal {number} was not handled")

    kept: list[dict[str, Any]] = []
    before = signal.signal(number, unhandled)
    try:
        outcome = follow(Signalled(number), [CallbackSink(kept.append, False)])
        assert signal.getsignal(number) == unhandled, "the handler from before is restored"
    finally:
        signal.signal(number, before)
    assert outcome.code == 130
    assert [record["type"] for record in kept] == ["start", "state", "event", "end"]


class Asking(FakeRecords):
    """Rounds, before each of which a sink changes its mind; keeps what the run was told of it."""

    def __init__(self, sink: Sink, minds: list[frozenset[str]]) -> None:
        super().__init__()
        self.sink = sink
        self.minds = minds
        self.told: list[Collection[str]] = []

    def run(self) -> Iterator[Any]:
        for mind in self.minds:
            self.sink.wants_frames = mind
            self.between_rounds()
            self.told.append(self.wants_frames)
        yield from super().run()


def test_records_of_frames_are_wanted_only_while_a_sink_wants_them() -> None:
    sink = Sink()
    minds = [frozenset(kinds) for kinds in ((), ("frame", "scores"), ("scores",), (), ("face",))]
    records = Asking(sink, minds)
    follow(records, [Sink(), sink])
    assert records.told == minds
