"""Beyond this machine listeners need a token and TLS, and cannot keep others out by silence."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from microspot.engines.errors import UsageError
from microspot.realtime.sinks.base import FrameBatch
from microspot.realtime.sinks.network import broadcast, entrance, push
from microspot.realtime.sinks.network.push import PushSink
from microspot.realtime.sinks.open import open_sink
from tests.realtime.sinks.lsl.test_sink import scores
from tests.realtime.sinks.network.test_push import (
    UPGRADE,
    Client,
    client_joined,
    ended,
    send_until_cut_off,
    status,
)
from tests.realtime.sinks.network.test_webhook import certificate
from tests.realtime.sinks.test_sinks import START, event

TOKEN = "sixteen-bytes-or-more"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
KINDS = ("ws", "sse")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def needs(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that is needed beyond this machine, where the loopback lies now."""
    monkeypatch.setattr(entrance, "BRACKETED", ())
    monkeypatch.setenv("MICROSPOT_PUSH_TOKEN", TOKEN)
    monkeypatch.setenv("MICROSPOT_PUSH_CERT", str(files[0]))
    monkeypatch.setenv("MICROSPOT_PUSH_KEY", str(files[1]))


def opened(uri: str) -> PushSink:
    made = open_sink(uri)
    assert isinstance(made, PushSink)
    return made


@pytest.fixture(params=KINDS)
def sink(request: pytest.FixtureRequest, needs: None) -> Iterator[PushSink]:
    with opened(f"{request.param}:localhost:0") as made:
        yield made


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("missing", ["TOKEN", "CERT"])
def test_without_token_or_certificate_nothing_listens_beyond_this_machine(
    kind: str, missing: str, needs: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(f"MICROSPOT_PUSH_{missing}")
    words = (
        rf"--out {kind}:127.0.0.1:0: beyond this machine \(127.0.0.1\) it needs "
        "MICROSPOT_PUSH_TOKEN, and TLS by MICROSPOT_PUSH_CERT and MICROSPOT_PUSH_KEY"
    )
    with pytest.raises(UsageError, match=words):
        open_sink(f"{kind}:127.0.0.1:0")


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_that_no_client_calls_and_files_that_are_no_certificate_are_refused(
    kind: str, needs: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for wildcard in ("0.0.0.0", "[::]"):
        with pytest.raises(UsageError, match="by which clients call this machine"):
            open_sink(f"{kind}:{wildcard}:0")
    (tmp_path / "empty").touch()
    for name in ("none", "empty"):
        monkeypatch.setenv("MICROSPOT_PUSH_CERT", str(tmp_path / name))
        with pytest.raises(UsageError, match="MICROSPOT_PUSH_KEY: no certificate and key can be"):
            open_sink(f"{kind}:localhost:0")


def by_tls(sink: PushSink, chain: Path) -> http.client.HTTPSConnection:
    trusting = ssl.create_default_context(cafile=str(chain))
    return http.client.HTTPSConnection("localhost", sink.port, context=trusting, timeout=60)


def listen(sink: PushSink, chain: Path) -> Generator[dict[str, Any], None, None]:
    """What a real client of either kind gets, who has the token and asks for scores."""
    if "Websocket" in type(sink).__name__:
        trusting = ssl.create_default_context(cafile=str(chain))
        address = f"wss://localhost:{sink.port}/?scores=1"
        with connect(address, additional_headers=BEARER, ssl=trusting) as server:
            for text in server:
                yield json.loads(text)
        return
    client = by_tls(sink, chain)
    client.request("GET", "/events?scores=1", headers=BEARER)
    with client.getresponse() as answer:
        for line in answer:
            if line.startswith(b"data: "):
                yield json.loads(line[6:])


def test_with_token_and_tls_a_listener_gets_events_and_scores(
    sink: PushSink, files: tuple[Path, Path]
) -> None:
    assert sink.note == f"serving events on port {sink.port}"
    with socket.create_connection(("127.0.0.1", sink.port)):  # shakes no hands
        sink.take(START)
        listening = listen(sink, files[0])
        assert next(listening) == START
        sink.take_frames(FrameBatch([scores(1)]))
        sink.take(event("a"))
        sink.take_frames(FrameBatch([scores(2)]))
        found = [next(listening) for _ in range(3)]
        assert [record["type"] for record in found] == ["scores", "event", "scores"]
        listening.close()


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        (BEARER | {"Origin": "https://evil.example"}, 403),
        (BEARER | {"Origin": "http://localhost:{port}"}, 403),  # in the clear
    ],
)
def test_strangers_and_pages_of_other_origins_are_refused(
    sink: PushSink, files: tuple[Path, Path], headers: dict[str, str], code: int
) -> None:
    given = {name: value.format(port=sink.port) for name, value in headers.items()}
    client = by_tls(sink, files[0])
    client.request("GET", "/events", headers=UPGRADE | given)
    with client.getresponse() as answer:
        assert answer.status == code
    client.close()


def test_another_name_than_the_servers_is_refused(sink: PushSink) -> None:
    host = sink.gate.hosts[0]
    assert host == "localhost"
    for name, code in ((f"localhost:{sink.port}", None), (f"127.0.0.1:{sink.port}", 421)):
        refusal = sink.gate.refusal(name, None, BEARER["Authorization"], "/")
        assert (refusal[0] if refusal else None) == code


def test_nothing_is_served_in_the_clear(sink: PushSink) -> None:
    with socket.create_connection(("127.0.0.1", sink.port), 60) as plain:
        plain.sendall(f"GET /events HTTP/1.1\r\nHost: localhost:{sink.port}\r\n\r\n".encode())
        said = b""
        try:
            while data := plain.recv(1024):
                said += data
        except ConnectionResetError:
            pass
    assert b"HTTP/1.1" not in said


def test_a_listener_by_tls_that_does_not_read_is_cut_off(
    sink: PushSink, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcast, "WAITING", 20)
    trusting = ssl.create_default_context(cafile=str(files[0]))
    lines = {"Host": f"localhost:{sink.port}"} | UPGRADE | BEARER
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    raw = socket.create_connection(("127.0.0.1", sink.port))
    with trusting.wrap_socket(raw, server_hostname="localhost") as deaf:
        deaf.sendall(f"GET /events HTTP/1.1\r\n{head}\r\n".encode())
        client_joined(sink)
        send_until_cut_off(sink)
        assert ended(deaf)


@pytest.mark.parametrize("kind", KINDS)
def test_those_that_are_too_many_are_turned_away_and_the_others_served(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push, "MOST_CONNECTIONS", 2)
    monkeypatch.setattr(push, "HANDSHAKE_S", 600.0)
    monkeypatch.setattr(push, "KEEPALIVE_S", 600.0)
    with opened(f"{kind}:127.0.0.1:0") as made:
        with ExitStack() as stack:
            for _ in range(2):
                stack.enter_context(socket.create_connection(("127.0.0.1", made.port), 60))
            with socket.create_connection(("127.0.0.1", made.port), 60) as third:
                assert third.recv(1) == b""
        until = time.monotonic() + 60
        while (code := answered(made)) is None:  # until the places are free again
            assert time.monotonic() < until
            time.sleep(0.05)
        assert code == (101 if kind == "ws" else 200)


def answered(sink: PushSink) -> int | None:
    """What a request is answered; None where it is turned away."""
    try:
        return status(sink, {})
    except (OSError, http.client.HTTPException):
        return None


@pytest.mark.parametrize("kind", KINDS)
def test_who_never_comes_to_the_end_of_a_request_is_cut_off_and_who_listens_is_not(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push, "HANDSHAKE_S", 1.0)
    with opened(f"{kind}:127.0.0.1:0") as made:
        client = Client(made)
        client_joined(made)
        with socket.create_connection(("127.0.0.1", made.port), 60) as dripping:
            dripping.sendall(b"GET /events HTTP/1.1\r\na: ")  # a line without an end
            until = time.monotonic() + 30
            with suppress(OSError):
                while time.monotonic() < until:
                    dripping.sendall(b"b")  # each read in time
                    time.sleep(0.1)
            assert time.monotonic() < until
        made.take(event("a"))
        assert client.wait(1)[0]["id"] == "a"
