"""From records to sinks: one output that fails takes nothing from the others."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from microspot.realtime.errors import DataError
from microspot.realtime.pipeline import SourceEnd
from microspot.realtime.records import Event, Frame, SourceState
from microspot.realtime.sinks.base import Sink
from microspot.realtime.sinks.callback import CallbackSink
from microspot.realtime.watch import follow


class Run:
    """Two states, then what was open when it was stopped."""

    draw: Any = None

    def __init__(self) -> None:
        self.stopped = False

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

    def stop(self) -> None:
        self.stopped = True

    def finish(self) -> Iterator[Any]:
        raise AssertionError("the run itself was sound")


class Full(Sink):
    """A sink whose disk is full, from a record of one type on, or when it draws."""

    def __init__(self, kind: str) -> None:
        self.kind, self.draws, self.closed = kind, kind == "draw", False

    def write(self, record: dict[str, Any]) -> None:
        if record["type"] == self.kind:
            raise DataError("cannot write: the disk is full")

    def draw(self, frame: Frame, views: object) -> None:
        raise DataError("cannot write: the disk is full")

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("kind", ["state", "draw"])
def test_an_output_that_fails_ends_the_run_and_takes_nothing_from_the_others(kind: str) -> None:
    full, kept = Full(kind), list[dict[str, Any]]()
    with pytest.raises(DataError, match="full"):
        follow(Run(), [full, CallbackSink(kept.append, False)])
    assert [record["type"] for record in kept] == ["start", "state", "event", "end"]
    assert full.closed


def test_an_output_that_cannot_begin_begins_nothing() -> None:
    run, kept = Run(), list[dict[str, Any]]()
    with pytest.raises(DataError, match="full"):
        follow(run, [Full("start"), CallbackSink(kept.append, False)])
    assert [record["type"] for record in kept] == ["start"]


class Signalled(Run):
    """A run that is told to end while it has records that it has not yet given."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__()
        self.number = number

    def run(self) -> Iterator[Any]:
        signal.raise_signal(self.number)
        yield from super().run()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_breaks_no_round_off(number: signal.Signals) -> None:
    def untaken(number: int, _: object) -> None:
        raise AssertionError(f"signal {number} broke the run off")

    kept, before = list[dict[str, Any]](), signal.signal(number, untaken)
    try:
        outcome = follow(Signalled(number), [CallbackSink(kept.append, False)])
        assert signal.getsignal(number) == untaken, "it is given back"
    finally:
        signal.signal(number, before)
    assert outcome.code == 130
    assert [record["type"] for record in kept] == ["start", "state", "event", "end"]
