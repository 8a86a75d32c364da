"""Connections that wait for nothing, or for ever, end; whoever speaks is heard meanwhile."""

import asyncio
import base64
import contextlib
import http.client
import logging
import resource
import socket
import ssl
import struct
import time

import pytest
from websockets.exceptions import ConnectionClosed

from microspot.demo.access.binding import Binding
from microspot.demo.access.guard import Guard
from microspot.demo.access.logins import Logins
from microspot.demo.limits import Limits
from microspot.demo.server.deadlines import BAD_TEXT, Awaited, TimedConnection
from microspot.demo.server.serve import FILES_PER_CONNECTION, server
from tests.demo.serving import (
    TIMEOUT_S,
    ask,
    connect_page,
    ended,
    frame,
    messages,
    raw_connections,
    serving,
    until,
    wait_for,
)

SOON_S = 1.0
SOON = dict.fromkeys(("head_s", "body_s", "stall_s", "close_s"), SOON_S) | {
    "handshake_s": 3.0,
    "sweep_s": 0.05,
}
CROWD = 50
PASSWORD = "correct horse"
OWN = "Host: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\n"
FORM = f"POST /demo/login HTTP/1.1\r\n{OWN}Content-Length: 100\r\n\r\n"
PAGE = f"GET /demo/static/live.js HTTP/1.1\r\n{OWN}\r\n"
UPGRADE = (
    f"GET /demo/live HTTP/1.1\r\n{OWN}Connection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\n"
)
IDLE = {
    "nothing": "",
    "half a head": "GET / HTTP/1.1\r\nHost: x",
    "half a body": f"{FORM}password=",
    "half of the next head": f"{PAGE}GET /",
    "half a body that is refused": f"POST /demo/x HTTP/1.1\r\n{OWN}Content-Length: 100\r\n\r\nx",
}


class WaitingConnection(TimedConnection, asyncio.Protocol):
    """A connection that waits for the head of a request."""

    turn = 0
    closing = False

    def __init__(self):
        self.transport = self

    def awaits_while_open(self):
        return Awaited("head", self.turn)

    def is_closing(self):
        return self.closing

    def abort(self):
        """It is gone."""


@pytest.fixture(scope="module")
def port():
    with serving(password=PASSWORD, **SOON) as port:
        yield port


@pytest.mark.parametrize("said", IDLE.values(), ids=IDLE)
def test_idle_connections_are_ended(port, said):
    with raw_connections(port, said.format(port=port), CROWD) as idle:
        wait_for(lambda: all(ended(one) for one in idle))


def test_who_sends_a_byte_now_and_then_is_no_better(port):
    with raw_connections(port, "") as (slow,):

        def said_more():
            with contextlib.suppress(OSError):
                slow.send(b"G")
            return ended(slow)

        wait_for(said_more)


def test_a_connection_that_goes_on_asking_is_kept(port):
    with contextlib.closing(
        http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    ) as connection:
        connection.connect()
        kept = connection.sock
        until_s = time.monotonic() + 2 * SOON_S
        while time.monotonic() < until_s:
            connection.request("GET", "/demo/login")
            assert connection.getresponse().read()
            time.sleep(SOON["sweep_s"])
        assert connection.sock is kept


def test_a_connection_has_its_time_anew_for_every_request_and_none_beyond():
    one = WaitingConnection()
    allowed = {"head": 10, "close": 5, "stall": 7}
    for now, turn in ((0, 1), (9, 2), (18, 3), (28, 3)):
        one.turn = turn
        one.check(now, allowed)
        assert not one.ended
    one.check(28.1, allowed)
    assert one.ended
    one = WaitingConnection()
    one.check(0, allowed)
    one.pause_writing()  # a slow reader
    one.check(8, allowed)
    one.resume_writing()
    one.pause_writing()  # that has read on
    one.check(14, allowed)
    assert not one.ended


def test_what_is_closed_does_not_linger():
    """With bytes that are never taken, closing would last for ever."""
    one = WaitingConnection()
    allowed = {"close": 5}
    for now, closing in ((0, False), (1000, False), (1001, True), (1006, True)):
        one.closing = closing
        one.check(now, allowed)
        assert not one.ended
    one.check(1006.1, allowed)
    assert one.ended


def answers(port, certificate):
    """Whether the page comes over TLS."""
    context = ssl.create_default_context(cafile=certificate[0])
    context.check_hostname = False
    with contextlib.closing(
        http.client.HTTPSConnection("127.0.0.1", port, timeout=TIMEOUT_S, context=context)
    ) as connection:
        connection.request("GET", "/demo/static/live.js")
        return connection.getresponse().status == 200


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\n\r\n"], ids=["nothing", "no TLS"])
def test_a_tls_handshake_that_does_not_come_is_ended(certificate, said):
    with (
        serving(binding=Binding(port=0, tls=True), tls=certificate, **SOON) as port,
        raw_connections(port, said, CROWD) as idle,
    ):
        assert answers(port, certificate)
        wait_for(lambda: all(ended(one) for one in idle))


def test_who_does_not_shake_hands_takes_no_place_of_those_who_do(certificate):
    binding = Binding(port=0, tls=True)
    with (
        serving(binding=binding, tls=certificate, connections=10, handshake_s=3600) as port,
        raw_connections(port, b"", CROWD) as idle,
    ):
        assert answers(port, certificate)
        wait_for(lambda: len([one for one in idle if not ended(one)]) <= 10)


HTTPS_ALONE = [
    (Binding(host="192.0.2.1", tls=True, password=PASSWORD), b"max-age=31536000"),
    (Binding(tls=True), None),
    (Binding(), None),
]


@pytest.mark.parametrize(("binding", "told"), HTTPS_ALONE)
def test_browsers_are_told_to_come_by_https_alone(binding, told):
    sent = []

    async def send(message):
        sent.append(message)

    guard = Guard(None, binding, 1, Logins(None, Limits()), Limits())
    asyncio.run(guard({"type": "http", "method": "GET", "path": "/", "headers": []}, None, send))
    assert dict(sent[0]["headers"]).get(b"strict-transport-security") == told


def test_silence_does_not_take_the_places_of_those_who_speak():
    """Silent connections hold all places, none of them over its time: the page still comes."""
    with serving(connections=10, head_s=3600) as port, raw_connections(port, "", CROWD) as idle:
        assert ask(port, "/demo/static/live.js")[0] == 200
        with connect_page(port, "live") as page:
            until(page, "start")
            wait_for(lambda: len([one for one in idle if not ended(one)]) <= 10)
            with raw_connections(port, "", CROWD):
                page.send(frame(1, 1))
                assert until(page, "frame", seq=1)  # who is in stays
                assert ask(port, "/demo/static/live.js")[0] == 200


def test_connections_take_a_part_of_the_files_that_may_be_open(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (200, 200))
    config = server(lambda: None, Limits()).config
    assert config.max_connections == 200 // FILES_PER_CONNECTION
    assert config.limit_concurrency == config.max_connections + Limits().overflow


def test_who_does_not_read_is_ended():
    with serving(**SOON) as port, socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.settimeout(TIMEOUT_S)
        deaf.connect(("127.0.0.1", port))
        deaf.sendall(
            PAGE.replace("live.js", "overlay.jpg").format(port=port).encode() * 50
        )  # more than buffers hold
        deaf.setblocking(False)
        wait_for(lambda: refused(deaf))


def refused(one):
    """Whether the other side is gone, found out by speaking."""
    try:
        one.send(b"G")
    except BlockingIOError:
        return False
    except OSError:
        return True
    return False


def test_a_websocket_that_answers_no_ping_is_ended():
    with (
        serving(ping_s=0.2, **SOON) as port,
        raw_connections(port, f"{UPGRADE}\r\n".format(port=port)) as (deaf,),
    ):
        wait_for(lambda: ended(deaf))


FRAMES = {
    "bad UTF-8": (b"\x81\x82\0\0\0\0\xff\xfe", 1007),
    "bad UTF-8 in pieces": (b"\x01\x81\0\0\0\0\xff\x80\x81\0\0\0\0\xfe", 1007),
    "half a surrogate": (b"\x81\x83\0\0\0\0\xed\xa0\x80", 1007),
    "no mask": (b"\x81\x01a", 1002),
    "reserved bits": (b"\xf1\x80\0\0\0\0", 1002),
    "unknown opcode": (b"\x83\x80\0\0\0\0", 1002),
    "a long ping": (b"\x89\xfe\x00\xff\0\0\0\0" + bytes(255), 1002),
    "no code": (b"\x88\x81\0\0\0\0a", 1002),
    "a piece of nothing": (b"\x80\x80\0\0\0\0", 1002),
    "a text in a text": (b"\x01\x81\0\0\0\0a\x81\x81\0\0\0\0b", 1002),
}


@pytest.fixture(scope="module")
def noisy():
    """A port without a password, where a stranger gets furthest."""
    with serving(**SOON) as port:
        yield port


@pytest.mark.parametrize(("sent", "code"), FRAMES.values(), ids=FRAMES)
def test_a_malformed_frame_closes_the_websocket_with_a_code_and_nothing_in_the_log(
    noisy, sent, code, caplog
):
    caplog.set_level(logging.WARNING)
    with connect_page(noisy, "live") as page:
        until(page, "start")
        page.socket.sendall(sent)
        with pytest.raises(ConnectionClosed) as closed:
            list(messages(page))
        assert closed.value.rcvd.code == code
    assert [record for record in caplog.records if record.exc_info] == []


def test_a_text_that_our_own_code_cannot_decode_is_told(noisy, caplog):
    """Only uvicorn's own words about a client's text are kept from the log."""
    log = logging.getLogger("uvicorn.error")
    try:
        b"\xff".decode()
    except UnicodeDecodeError:
        log.exception("Exception in ASGI application\n")
        log.exception(BAD_TEXT)
    assert [record.getMessage() for record in caplog.records] == ["Exception in ASGI application\n"]


BAD_CHUNK = f"{OWN}Transfer-Encoding: chunked\r\n\r\nzz\r\n"
REQUESTS = {
    "no HTTP": b"\x16\x03\x01\x02\x00\xff",
    "a bad piece of a body": f"POST /demo/login HTTP/1.1\r\n{BAD_CHUNK}",
    "a bad request after a good one": f"{PAGE}\x00\r\n\r\n",
    "a bad piece after an answer": f"POST /demo/x HTTP/1.1\r\n{BAD_CHUNK}",
    "a websocket that is posted": f"POST{UPGRADE.removeprefix('GET')}\r\n",
    "a websocket with a body": f"{UPGRADE}Content-Length: 5\r\n\r\nhello",
    "a websocket without a key": f"{UPGRADE.rpartition('Sec-')[0]}\r\n",
    "a zero in a path": f"GET /demo/static/%00 HTTP/1.1\r\n{OWN}\r\n",
    "half a body": f"{FORM}password=",
    "a bad cookie": f"GET /demo/x HTTP/1.1\r\n{OWN}Cookie: microspot=\xe9; ;=;[[\r\n\r\n",
}


@pytest.mark.parametrize("locked", [False, True])
@pytest.mark.parametrize("sent", REQUESTS.values(), ids=REQUESTS)
def test_a_malformed_request_leaves_no_traceback(noisy, port, locked, sent, caplog):
    """Also where its sender is gone before the answer."""
    caplog.set_level(logging.WARNING)
    to = port if locked else noisy
    data = sent if isinstance(sent, bytes) else sent.format(port=to).encode("latin-1")
    with raw_connections(to, data) as (one,):
        wait_for(lambda: ended(one))
    with raw_connections(to, data) as (one,):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert ask(to, "/demo/login" if locked else "/demo/model-card")[0] == 200
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []
