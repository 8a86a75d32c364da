"""Scores go to listeners that ask for them, beside events, and take no event's place."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidState
from websockets.frames import Frame
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from microspot.realtime.sinks.base import FrameBatch
from microspot.realtime.sinks.network import broadcast, push
from microspot.realtime.sinks.network.broadcast import Broadcast, Listener
from microspot.realtime.sinks.network.push import PushSink
from microspot.realtime.sinks.open import open_sink
from tests.realtime.sinks.lsl.test_sink import frame, scores
from tests.realtime.sinks.network.test_push import (  # noqa: F401 (a fixture)
    Client,
    sink,
    status,
)
from tests.realtime.sinks.test_sinks import START, event

ASKED = "?scores=1"


def batch(*ticks: int) -> FrameBatch:
    """The scores of these ticks."""
    return FrameBatch([scores(tick) for tick in ticks])


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def joined(sink: PushSink, count: int) -> None:  # noqa: F811
    wait_until(lambda: len(sink.broadcast._listeners) == count)


def names(records: list[dict[str, Any]]) -> list[str]:
    """What came: the id of an event, the tick of scores."""
    return [
        record["id"] if record["type"] == "event" else f"tick {round(record['at_s'] * 30)}"
        for record in records
    ]


def test_who_asks_gets_scores_between_events_and_nobody_else_does(
    sink: PushSink,  # noqa: F811
) -> None:
    asking = Client(sink, query=ASKED)
    joined(sink, 1)
    silent = Client(sink)
    other = Client(sink, query="?scores=0")
    joined(sink, 3)
    sink.take_frames(batch(0))
    sink.take_frames(FrameBatch([frame(1)]))
    sink.take(event("a"))
    sink.take_frames(batch(1))
    sink.take(event("b"))
    assert names(asking.wait(4)) == ["tick 0", "a", "tick 1", "b"]
    assert asking.records[0] == scores(0).to_json()
    for client in (silent, other):
        assert names(client.wait(2)) == ["a", "b"]


def test_scores_are_wanted_only_while_somebody_asks(sink: PushSink) -> None:  # noqa: F811
    assert not sink.wants_frames
    Client(sink)
    joined(sink, 1)
    assert not sink.wants_frames
    asking = Client(sink, query=ASKED)
    joined(sink, 2)
    assert sink.wants_frames
    assert asking.records == []


def test_scores_are_not_wanted_any_more_once_who_asked_has_left() -> None:
    shared = Broadcast()
    listener = shared.join(lambda: None, wants_scores=True)
    assert listener is not None
    assert shared.wants_scores
    shared.leave(listener)
    assert not shared.wants_scores


def test_another_wish_than_one_or_none_is_refused(sink: PushSink) -> None:  # noqa: F811
    welcome = 101 if "Websocket" in type(sink).__name__ else 200
    assert status(sink, {}, "/events?scores=0") == welcome
    for value in ("2", "yes", "", "1&scores=x"):
        assert status(sink, {}, f"/events?scores={value}") == 400
    foreign = {"Origin": "http://evil.example"}
    for value in ("1", "x"):
        assert status(sink, foreign, f"/events?scores={value}") == 403


def test_who_comes_later_gets_the_start_and_the_newest_events_whatever_scores_there_were(
    sink: PushSink,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asking = Client(sink, query=ASKED)
    joined(sink, 1)
    sink.take(START)
    for i in range(broadcast.BACKLOG + 5):
        sink.take(event(f"e{i}"))
    for i in range(broadcast.BACKLOG):
        sink.take_frames(batch(i))
    asking.wait(2 * broadcast.BACKLOG + 6)
    late = Client(sink)
    records = late.wait(broadcast.BACKLOG + 1)
    assert records[0] == START
    assert names(records[1:]) == [f"e{i}" for i in range(5, broadcast.BACKLOG + 5)]


def test_an_event_stream_goes_on_after_the_last_event_and_not_after_a_score() -> None:
    with open_sink("sse:127.0.0.1:0") as opened:
        assert isinstance(opened, PushSink)
        client = Client(opened, query=ASKED)
        joined(opened, 1)
        for i in range(3):
            opened.take(event(f"e{i}"))
            opened.take_frames(batch(i))
        client.wait(6)
        assert client.numbers == [1, 2, 3]
        again = Client(opened, last=2, query=ASKED)
        assert names(again.wait(1)) == ["e2"]


def waiting(listener: Listener) -> list[str]:
    """Everything that waits for a listener."""
    texts: list[str] = []
    while messages := listener.take(0.01):
        texts += [message.text for message in messages]
    return texts


def test_who_does_not_keep_up_with_scores_is_cut_off_with_every_event_in_its_queue() -> None:
    shared = Broadcast()
    cuts: list[str] = []
    asking = shared.join(lambda: cuts.append("asking"), wants_scores=True)
    other = shared.join(lambda: cuts.append("other"))
    assert asking is not None
    assert other is not None
    count = 0
    for i in range(broadcast.WAITING + broadcast.WAITING_SCORES):
        if i % 30 == 0:
            shared.send(event(f"e{i}"))
            count += 1
        else:
            shared.send_scores(batch(i))
    assert cuts == []
    assert shared.wants_scores
    shared.send_scores(batch(0))
    assert cuts == ["asking"]
    assert not shared.wants_scores
    texts = waiting(asking)
    assert len(texts) == broadcast.WAITING + broadcast.WAITING_SCORES
    assert sum('"event"' in text for text in texts) == count
    assert len(waiting(other)) == count


def test_events_alone_are_not_given_more_room_than_before() -> None:
    shared = Broadcast()
    cuts: list[str] = []
    assert shared.join(lambda: cuts.append("slow")) is not None
    for i in range(broadcast.WAITING):
        shared.send_scores(batch(i))
        shared.send(event("a"))
    assert cuts == []
    shared.send(event("a"))
    assert cuts == ["slow"]


def test_a_batch_of_any_size_goes_to_who_waits_for_nothing() -> None:
    shared = Broadcast()
    cuts: list[str] = []
    asking = shared.join(lambda: cuts.append("asking"), wants_scores=True)
    assert asking is not None
    many = broadcast.WAITING + broadcast.WAITING_SCORES + 1
    shared.send_scores(batch(*range(many)))
    assert cuts == []
    assert len(asking.take(1) or ()) == many
    shared.send_scores(batch(0))
    assert cuts == ["asking"], "it has not sent what it took"
    assert [asking.take(1) for _ in range(1)] == [None], "its thread is told, and ends"


def test_a_batch_goes_to_a_websocket_by_one_call() -> None:
    sent: list[bytes] = []
    protocol = ServerProtocol(state=State.OPEN)
    connection = SimpleNamespace(
        protocol=protocol,
        protocol_mutex=threading.Lock(),
        socket=SimpleNamespace(sendall=sent.append),
    )
    texts = [f'{{"tick": {i}}}' for i in range(15)]
    push._send_together(connection, [broadcast.Message(None, text) for text in texts])
    assert len(sent) == 1
    client = ClientProtocol(parse_uri("ws://127.0.0.1/"), state=State.OPEN)
    client.receive_data(sent[0])
    frames = [each for each in client.events_received() if isinstance(each, Frame)]
    assert [bytes(each.data).decode() for each in frames] == texts
    protocol.send_close()
    with pytest.raises(InvalidState):  # as when the client has left
        push._send_together(connection, [broadcast.Message(None, "late")])
