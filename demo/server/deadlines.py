"""Connections do not wait for ever, and their number is bounded.

Each connection has so long for what it is expected to do next. uvicorn itself waits without end for
the head and the body of a request, for a client that reads nothing, and for one that does not
close. Here all connections are checked regularly, and one that takes too long ends.

Where there are too many, the one that has been waited for longest ends, of the address that has
most of them: a client that holds all places with silence loses them to clients that speak. A TLS
handshake counts as a connection as well, so it is made here and not by asyncio before anything is
counted.
"""

from __future__ import annotations

import asyncio
import logging
import math
import socket
import ssl
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple, cast

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from ..limits import Limits


class Awaited(NamedTuple):
    """What a client is to do next, "" for nothing.

    `turn` is the request, or a count; the time starts anew with each turn.
    """

    what: str
    turn: object = None


class TimedConnection(ABC):
    """A connection that is waited for only so long; mixed into uvicorn's protocols."""

    transport: asyncio.Transport
    client: tuple[str, int] | None
    ended = False
    awaited: Awaited | None = None  # at the last check
    since_s = math.inf  # of the loop's clock, when that began
    stalls = 0  # how often the client read too slowly
    stalled = False  # whether it reads too slowly now

    def awaits(self) -> Awaited:
        """What the client is to do next."""
        if self.transport.is_closing():
            return Awaited("close")
        return Awaited("stall", self.stalls) if self.stalled else self.awaits_while_open()

    @abstractmethod
    def awaits_while_open(self) -> Awaited:
        """What the client is to do next on a connection that is open and read from."""

    def pause_writing(self) -> None:
        """Note that the client reads more slowly than it is written to."""
        self.stalls += 1
        self.stalled = True
        super().pause_writing()  # type: ignore[misc]

    def resume_writing(self) -> None:
        """Note that the client has caught up."""
        self.stalled = False
        super().resume_writing()  # type: ignore[misc]

    def check(self, now_s: float, allowed_s: dict[str, float]) -> None:
        """End a connection that has been waited for too long. now_s: of the loop's clock."""
        awaited = self.awaits()
        if awaited != self.awaited:
            self.awaited = awaited
            self.since_s = now_s
        elif now_s - self.since_s > allowed_s.get(awaited.what, math.inf):
            self.end()

    def end(self) -> None:
        """End the connection at once, whatever is still unsent."""
        self.ended = True
        self.transport.abort()


class Config(uvicorn.Config):
    """uvicorn's configuration, with what the connections need to know."""

    limits: Limits
    max_connections: int  # open at once
    backlog_size: int  # connections that wait to be accepted
    handshake: ssl.SSLContext | None = None


class HttpConnection(TimedConnection, H11Protocol):
    """A connection that carries requests."""

    config: Config

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection."""
        super().connection_made(transport)
        admit(self, self.connections, self.config.max_connections)

    def awaits_while_open(self) -> Awaited:
        """A head, a body, or nothing while the request is answered."""
        if self.cycle is None or self.cycle.response_complete:
            return Awaited("head", self.cycle)
        return Awaited("body" if self.cycle.more_body else "", self.cycle)

    def send_400_response(self, msg: str) -> None:
        """Answer a malformed request, or just end the connection where an answer has begun.

        A request that turns bad in its middle may have been answered already.
        """
        if self.conn.our_state is h11.IDLE:
            return super().send_400_response(msg)
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        return self.transport.close()


class PageConnection(TimedConnection, WebSocketsSansIOProtocol):
    """A connection that has become a websocket; pings check that it still lives."""

    def awaits_while_open(self) -> Awaited:
        """The head of the handshake, then nothing."""
        return Awaited("" if self.handshake_complete else "head")


class TlsHandshake(asyncio.Protocol, TimedConnection):
    """A connection until TLS is agreed on; then it carries requests."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._config = config
        self._connections = server_state.connections
        self._early = bytearray()  # what came with the end of the handshake
        self._http = HttpConnection(config, server_state, app_state, _loop)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection and begin the handshake."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.pause_reading()
        self.client = transport.get_extra_info("peername")[:2]
        self._connections.add(cast(Any, self))
        admit(self, self._connections, self._config.max_connections)
        self._task = asyncio.get_running_loop().create_task(self._shake_hands())

    async def _shake_hands(self) -> None:
        context = self._config.handshake
        assert context is not None
        try:
            encrypted = await asyncio.get_running_loop().start_tls(
                self.transport,
                self,
                context,
                server_side=True,
                ssl_handshake_timeout=self._config.limits.handshake_s,
            )
        except OSError:  # ssl.SSLError and TimeoutError are some
            return self.transport.abort()
        finally:
            self._connections.discard(cast(Any, self))
        if encrypted is None or encrypted.is_closing():
            return self.transport.abort()
        encrypted.set_protocol(self._http)
        self._http.connection_made(encrypted)
        return self._http.data_received(bytes(self._early)) if self._early else None

    def data_received(self, data: bytes) -> None:
        """Keep what came with the end of the handshake."""
        self._early += data

    def awaits_while_open(self) -> Awaited:
        """The handshake."""
        return Awaited("handshake")

    def shutdown(self) -> None:
        """End the connection, as the server ends."""
        self.end()


class Server(uvicorn.Server):
    """uvicorn's server, which checks its connections regularly."""

    config: Config

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and begin to check connections."""
        await super().startup(sockets)
        for listener in sockets or ():
            # asyncio has made the backlog as short as the number it accepts at one time.
            listener.listen(self.config.backlog_size)
        self._checking = asyncio.create_task(self._check_connections())

    async def _check_connections(self) -> None:
        limits = self.config.limits
        allowed_s = {
            "handshake": limits.handshake_s,
            "head": limits.head_s,
            "body": limits.body_s,
            "stall": limits.stall_s,
            "close": limits.close_s,
        }
        loop = asyncio.get_running_loop()
        while True:
            for connection in _timed(self.server_state.connections):
                connection.check(loop.time(), allowed_s)
            await asyncio.sleep(limits.sweep_s)


def admit(new: TimedConnection, connections: Iterable[Any], most: int) -> None:
    """Begin to time a new connection; where there are now more than `most`, end another one.

    That is the one that has been waited for longest, of the address that has most of them.
    """
    new.awaited = new.awaits()
    new.since_s = asyncio.get_running_loop().time()
    present = [connection for connection in _timed(connections) if not connection.ended]
    if len(present) <= most:
        return
    of_address = Counter(_address(connection) for connection in present)
    others = [connection for connection in present if connection is not new]
    waited_for = [connection for connection in others if connection.awaits().what]
    if waited_for:
        max(waited_for, key=lambda one: (of_address[_address(one)], -one.since_s)).end()


def _address(connection: TimedConnection) -> str | None:
    return connection.client[0] if connection.client else None


def _timed(connections: Iterable[Any]) -> list[TimedConnection]:
    return [connection for connection in connections if isinstance(connection, TimedConnection)]


# The words of uvicorn about a text that is not UTF-8.
BAD_TEXT = "Invalid UTF-8 sequence received from client."


def no_fault_of_ours(record: logging.LogRecord) -> bool:
    """Whether a record of uvicorn's log is kept: not one of a client's text that is not UTF-8.

    uvicorn closes that websocket with code 1007 and logs it as if it had failed itself. The same
    error of our own code comes in other words and is kept.
    """
    error = record.exc_info[1] if record.exc_info else None
    return not (isinstance(error, UnicodeDecodeError) and record.getMessage() == BAD_TEXT)
