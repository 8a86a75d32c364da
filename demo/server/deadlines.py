"""Connections do not wait for ever: each has so long for what it is expected to do next, and their number is bounded.

uvicorn itself waits without end for the head and the body of a request, for a client that reads nothing, and for one
that does not close. Here all connections are looked at now and then; one that overstays ends. Where there are too many
the one that is waited for longest goes, of the address that has most of them: who holds all places with silence loses
them to who speaks. A TLS handshake is a connection as well, so it is made here and not before anything is counted.
"""

from __future__ import annotations

import asyncio
import logging
import math
import socket
import ssl
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
    """What a client is to do next, "" for nothing, and the turn: a request, or a count. Another turn has time anew."""

    what: str
    turn: object = None


class Patience:
    """A connection that can be waited for; mixed into uvicorn's protocols."""

    transport: asyncio.Transport
    client: tuple[str, int] | None
    ended = False
    seen: Awaited | None = None  # at the last look
    since = math.inf  # of the loop's clock, when that began
    stalls, stalled = 0, False  # how often the client read too slowly, and whether it does now

    def awaits(self) -> Awaited:
        """What the client is to do next."""
        if self.transport.is_closing():
            return Awaited("goodbye")
        return Awaited("stall", self.stalls) if self.stalled else self.awaits_more()

    def awaits_more(self) -> Awaited:
        """The same, of a connection that is open and read from."""
        raise NotImplementedError

    def pause_writing(self) -> None:
        """The client reads more slowly than it is written to."""
        self.stalls, self.stalled = self.stalls + 1, True
        super().pause_writing()  # type: ignore[misc]

    def resume_writing(self) -> None:
        """It has caught up."""
        self.stalled = False
        super().resume_writing()  # type: ignore[misc]

    def look(self, now: float, allowed: dict[str, float]) -> None:
        """End a connection that has been waited for too long. now: of the loop's clock, s."""
        if (awaited := self.awaits()) != self.seen:
            self.seen, self.since = awaited, now
        elif now - self.since > allowed.get(awaited.what, math.inf):
            self.end()

    def end(self) -> None:
        """At once, whatever is still unsent."""
        self.ended = True
        self.transport.abort()


class Config(uvicorn.Config):
    """uvicorn's, with what the connections need to know."""

    limits: Limits
    room: int  # connections at once
    queue: int  # connections that wait to be taken
    handshake: ssl.SSLContext | None = None


class HttpConnection(Patience, H11Protocol):
    """A connection that carries requests."""

    config: Config

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        enter(self, self.connections, self.config.room)

    def awaits_more(self) -> Awaited:
        if self.cycle is None or self.cycle.response_complete:
            return Awaited("head", self.cycle)
        return Awaited("body" if self.cycle.more_body else "", self.cycle)

    def send_400_response(self, msg: str) -> None:
        """A request that turns bad in its middle may have been answered already: then its connection just ends."""
        if self.conn.our_state is h11.IDLE:
            return super().send_400_response(msg)
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        return self.transport.close()


class PageConnection(Patience, WebSocketsSansIOProtocol):
    """A connection that has become a websocket; that it still lives, pings ask."""

    def awaits_more(self) -> Awaited:
        return Awaited("" if self.handshake_complete else "head")


class Handshake(asyncio.Protocol, Patience):
    """A connection until TLS is agreed on; then it carries requests."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._config, self._connections, self._early = config, server_state.connections, bytearray()
        self._carrier = HttpConnection(config, server_state, app_state, _loop)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.pause_reading()
        self.client = transport.get_extra_info("peername")[:2]
        self._connections.add(cast(Any, self))
        enter(self, self._connections, self._config.room)
        self._task = asyncio.get_running_loop().create_task(self._agree())

    async def _agree(self) -> None:
        loop, context, wait_s = (
            asyncio.get_running_loop(),
            self._config.handshake,
            self._config.limits.handshake_s,
        )
        assert context is not None
        try:
            agreed = await loop.start_tls(
                self.transport, self, context, server_side=True, ssl_handshake_timeout=wait_s
            )  # fmt: skip
        except OSError:  # ssl.SSLError and TimeoutError are some
            return self.transport.abort()
        finally:
            self._connections.discard(cast(Any, self))
        if agreed is None or agreed.is_closing():
            return self.transport.abort()
        agreed.set_protocol(self._carrier)
        self._carrier.connection_made(agreed)
        return self._carrier.data_received(bytes(self._early)) if self._early else None

    def data_received(self, data: bytes) -> None:
        self._early += data  # it came with the end of the handshake

    def awaits_more(self) -> Awaited:
        return Awaited("handshake")

    def shutdown(self) -> None:
        """The server ends."""
        self.end()


class Server(uvicorn.Server):
    """uvicorn's, with an eye on its connections."""

    config: Config

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(
                self.config.queue
            )  # asyncio has made it as short as what it takes at one time
        self._watch = asyncio.create_task(self._look())

    async def _look(self) -> None:
        limits, loop = self.config.limits, asyncio.get_running_loop()
        allowed = {
            "handshake": limits.handshake_s, "head": limits.head_s, "body": limits.body_s, "stall": limits.stall_s,
            "goodbye": limits.goodbye_s,
        }  # fmt: skip
        while True:
            for connection in _patient(self.server_state.connections):
                connection.look(loop.time(), allowed)
            await asyncio.sleep(limits.sweep_s)


def enter(new: Patience, connections: Iterable[Any], room: int) -> None:
    """A connection is there; where it is one too many, another that has been waited for longest ends."""
    new.seen, new.since = new.awaits(), asyncio.get_running_loop().time()
    present = [connection for connection in _patient(connections) if not connection.ended]
    if len(present) <= room:
        return
    held = Counter(connection.client and connection.client[0] for connection in present)
    waited = [
        connection for connection in present if connection is not new and connection.awaits().what
    ]
    if waited:
        max(waited, key=lambda one: (held[one.client and one.client[0]], -one.since)).end()


def _patient(connections: Iterable[Any]) -> list[Patience]:
    return [connection for connection in connections if isinstance(connection, Patience)]


BAD_TEXT = "Invalid UTF-8 sequence received from client."  # in uvicorn's words


def no_fault_of_ours(record: logging.LogRecord) -> bool:
    """Whether a record of uvicorn's log is to be kept: not of a text that is no UTF-8, which is the client's fault.

    uvicorn closes the websocket with code 1007 and tells the log as if it had failed itself. The
    same error of our own code comes in other words and is kept.
    """
    error = record.exc_info[1] if record.exc_info else None
    return not (isinstance(error, UnicodeDecodeError) and record.getMessage() == BAD_TEXT)
