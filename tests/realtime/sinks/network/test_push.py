"""Listeners get every record; strangers get none, and the slow are not waited for."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from microspot.engines.errors import DataError, UsageError
from microspot.realtime.sinks.network import broadcast, push
from microspot.realtime.sinks.network.gate import Gate
from microspot.realtime.sinks.network.push import PushSink
from microspot.realtime.sinks.open import open_sink
from tests.realtime.sinks.test_sinks import START, event

TOKEN = "sixteen-bytes-or-more"
LIFE = [event("a", "provisional"), event("a", "provisional", score=0.95), event("a")]
CHANGES = ["new", "update", "end"]
ENDED_S = 12.0  # before a ping or a comment shows that the connection is alive
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.fixture(params=["ws", "sse"])
def sink(request: pytest.FixtureRequest) -> Iterator[PushSink]:
    made = open_sink(f"{request.param}:127.0.0.1:0")
    assert isinstance(made, PushSink)
    yield made
    made.close()


class Client:
    """A real client of either kind: the records that it was sent, until the server ends."""

    def __init__(self, sink: PushSink, last: int = 0, query: str = "") -> None:
        self.records: list[dict[str, Any]] = []
        self.numbers: list[int] = []
        self.kind = "ws" if "Websocket" in type(sink).__name__ else "sse"
        self.port = sink.port
        self.query = query
        if self.kind == "sse":
            self.http = http.client.HTTPConnection("127.0.0.1", sink.port)
            headers = {"Last-Event-ID": str(last)} if last else {}
            self.http.request("GET", f"/events{query}", headers=headers)
            self.answer = self.http.getresponse()
            assert self.answer.getheader("Content-Type") == "text/event-stream"
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        if self.kind == "ws":
            with connect(f"ws://127.0.0.1:{self.port}/{self.query}") as server:
                for text in server:
                    self.records.append(json.loads(text))
            return
        for line in self.answer:
            if line.startswith(b"id: "):
                self.numbers.append(int(line[4:]))
            if line.startswith(b"data: "):
                self.records.append(json.loads(line[6:]))
        self.http.close()

    def wait(self, count: int) -> list[dict[str, Any]]:
        until = time.monotonic() + 60
        while len(self.records) < count:
            assert time.monotonic() < until, self.records
            time.sleep(0.01)
        return self.records


def test_listeners_get_what_was_and_what_comes_with_its_change(sink: PushSink) -> None:
    sink.take(START)
    sink.take(LIFE[0])
    early = Client(sink)
    early.wait(2)
    for record in LIFE[1:]:
        sink.take(record)
    late = Client(sink)
    for client in (early, late):
        records = client.wait(4)
        assert records[0] == START
        assert records[1:] == [
            record | {"change": change} for record, change in zip(LIFE, CHANGES, strict=True)
        ]


def test_what_waits_is_sent_before_the_server_ends(sink: PushSink) -> None:
    client = Client(sink)
    client_joined(sink)
    for i in range(100):
        sink.take(event(f"e{i}"))
    sink.close()
    client.thread.join(60)
    assert [record["id"] for record in client.records] == [f"e{i}" for i in range(100)]
    assert "push" not in [thread.name for thread in threading.enumerate()]
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", sink.port), 5)


def client_joined(sink: PushSink) -> None:
    until = time.monotonic() + 60
    while not sink.broadcast._listeners:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_an_event_stream_goes_on_after_the_last_one_that_came() -> None:
    with open_sink("sse:localhost:0") as opened:
        assert isinstance(opened, PushSink)
        for i in range(5):
            opened.take(event(f"e{i}"))
        client = Client(opened, last=3)
        assert [record["id"] for record in client.wait(2)] == ["e3", "e4"]
        assert client.numbers == [4, 5]


def status(sink: PushSink, headers: dict[str, str], target: str = "/events") -> int:
    """What a request is answered, under any Host."""
    client = http.client.HTTPConnection("127.0.0.1", sink.port, timeout=60)
    client.putrequest("GET", target, skip_host=True)
    for name, value in ({"Host": f"127.0.0.1:{sink.port}"} | UPGRADE | headers).items():
        client.putheader(name, value)
    client.endheaders()
    code = client.getresponse().status
    client.close()
    return code


def test_another_origin_another_name_and_no_token_are_refused(sink: PushSink) -> None:
    welcome = 101 if "Websocket" in type(sink).__name__ else 200
    own = f"http://localhost:{sink.port}"
    assert status(sink, {"Origin": own}) == welcome
    assert status(sink, {"Origin": "http://evil.example"}) == 403
    assert status(sink, {"Origin": "null"}) == 403
    assert status(sink, {"Host": f"evil.example:{sink.port}"}) == 421
    object.__setattr__(sink.gate, "token", TOKEN.encode())
    assert status(sink, {}) == 401
    assert status(sink, {"Authorization": "Bearer wrong"}) == 401
    assert status(sink, {"Authorization": f"Bearer {TOKEN}"}) == welcome
    assert status(sink, {}, f"/events?token={TOKEN}") == welcome


def test_other_paths_of_the_event_stream_are_none() -> None:
    with open_sink("sse:127.0.0.1:0") as opened:
        assert isinstance(opened, PushSink)
        assert status(opened, {}, "/favicon.ico") == 404


@pytest.mark.parametrize(
    ("host", "origin", "code"),
    [
        ("127.0.0.1:9", None, None),
        ("LOCALHOST:9", "http://127.0.0.1:9", None),
        ("[::1]:9", "http://[::1]:9", None),
        ("localhost", None, 421),  # of another port
        ("localhost:80", None, 421),
        (None, None, 421),
        ("localhost:9", "https://localhost:9", 403),
        ("localhost:9", "http://localhost:10", 403),
    ],
)
def test_who_may_listen(host: str | None, origin: str | None, code: int | None) -> None:
    refusal = Gate(9).refusal(host, origin, None, "/")
    assert (refusal[0] if refusal else None) == code


def test_a_listener_that_does_not_read_is_cut_off_and_never_waited_for(
    sink: PushSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcast, "WAITING", 20)
    lines = {"Host": f"127.0.0.1:{sink.port}"} | UPGRADE
    deaf = socket.create_connection(("127.0.0.1", sink.port))
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    deaf.sendall(f"GET /events HTTP/1.1\r\n{head}\r\n".encode())
    client_joined(sink)
    send_until_cut_off(sink)
    assert ended(deaf)
    deaf.close()


def send_until_cut_off(sink: PushSink) -> None:
    """Large events, until nobody listens any more; none of them may wait for who does not read."""
    big = event("big", detail="x" * 200_000)
    longest = 0.0
    for _ in range(2000):
        began = time.thread_time()
        sink.take(big)
        longest = max(longest, time.thread_time() - began)
        if not sink.broadcast._listeners:
            break
        time.sleep(0.001)
    assert not sink.broadcast._listeners
    assert longest < 1


def ended(deaf: socket.socket) -> bool:
    """Whether the server ends a connection by itself, and not because pings are not answered."""
    until = time.monotonic() + ENDED_S
    deaf.settimeout(ENDED_S)
    try:
        while time.monotonic() < until:
            if not deaf.recv(1 << 20):
                return True
    except TimeoutError:
        return False
    except OSError:
        return True
    return False


def test_a_listener_is_cut_off_when_too_many_records_wait_for_it() -> None:
    shared = broadcast.Broadcast()
    cuts: list[str] = []
    slow = shared.join(lambda: cuts.append("slow"))
    quick = shared.join(lambda: cuts.append("quick"))
    assert slow is not None
    assert quick is not None
    for _ in range(broadcast.WAITING):
        shared.send(event("a"))
        quick.take()
    assert cuts == []
    shared.send(event("a"))
    assert cuts == ["slow"]
    assert slow.waiting == broadcast.WAITING
    assert len(quick.take() or ()) == 1


def test_there_are_only_so_many_listeners(sink: PushSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcast, "MOST_LISTENERS", 1)
    first = Client(sink)
    client_joined(sink)
    if first.kind == "sse":
        assert status(sink, {}) == 503
    else:
        with connect(f"ws://127.0.0.1:{sink.port}/") as second, pytest.raises(ConnectionClosed):
            second.recv(60)
    sink.take(START)
    assert first.wait(1) == [START]


def test_addresses_that_are_none_or_taken_and_short_tokens_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for uri in ("ws:", "ws:80", "sse:127.0.0.1:99999"):
        with pytest.raises(UsageError, match=r"expected (ws|sse):HOST:PORT, such as (ws|sse):127"):
            open_sink(uri)
    with open_sink("ws:127.0.0.1:0") as opened:
        assert isinstance(opened, PushSink)
        taken = f"sse:127.0.0.1:{opened.port}"
        with pytest.raises(DataError, match="in use"):
            open_sink(taken)
    monkeypatch.setenv("MICROSPOT_PUSH_TOKEN", "short")
    with pytest.raises(UsageError, match="16 bytes or more"):
        open_sink("ws:127.0.0.1:0")
    monkeypatch.setenv("MICROSPOT_PUSH_TOKEN", TOKEN)
    with open_sink("ws:[::1]:0") as opened:
        assert isinstance(opened, PushSink)
        assert opened.gate.token == TOKEN.encode()


def test_an_event_stream_that_is_idle_shows_that_it_is_alive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(push, "KEEPALIVE_S", 0.05)
    with open_sink("sse:127.0.0.1:0") as opened:
        assert isinstance(opened, PushSink)
        client = http.client.HTTPConnection("127.0.0.1", opened.port, timeout=60)
        client.request("GET", "/events")
        with client.getresponse() as answer:
            assert [answer.readline(), answer.readline()] == [b": still here\n", b"\n"]
            opened.take(START)
            lines = iter(answer.readline, b"")
            assert next(line for line in lines if line.startswith(b"id")) == b"id: 1\n"
