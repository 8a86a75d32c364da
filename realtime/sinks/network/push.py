"""Records to listeners: `ws:HOST:PORT` by websocket, `sse:HOST:PORT` as an event stream.

Both give every record as its JSON line; an event has `change` as well: `new`, `update` or `end`.
Who asks by `?scores=1` gets the scores of every tick besides. They share the entrance and the
broadcast, and differ in how a text gets to the client.
"""

from __future__ import annotations

import threading
import urllib.parse
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from typing import Any

from microspot.engines.errors import install

from ...errors import UsageError
from ..base import NONE_OF_FRAMES, FrameBatch, JsonRecord, Sink
from .broadcast import MOST_LISTENERS, Broadcast, Listener, Message
from .entrance import Entrance, Needs, open_entrance
from .http_server import BoundedServer, answer, cut, on_socket
from .secret import read_anew

NEEDS = Needs("MICROSPOT_PUSH_TOKEN", "MICROSPOT_PUSH_CERT", "MICROSPOT_PUSH_KEY")
KEEPALIVE_S = 15.0  # between comments that show an idle event stream to be alive
PATH = "/events"  # of the event stream
SCORES = "scores"  # of a query
SCORES_ALONE = frozenset({SCORES})  # of the records OF_FRAMES
CLIENT_BYTES = 1024  # of a message from a client; none means anything
GIVE_UP_S = 5.0  # for clients to leave when the run ends
HANDSHAKE_S = 5.0  # from connecting until a client has said what it wants
MOST_CONNECTIONS = MOST_LISTENERS + 16  # those that listen, and those that are not yet let in


class PushSink(Sink, ABC):
    """Sends records to whoever listens.

    port: where it listens. Raises UsageError for an address beyond this machine without a token and
    TLS; DataError where the port is taken.
    """

    wants_provisional = True
    tells = True

    def __init__(self, uri: str) -> None:
        kind, _, address = uri.partition(":")
        form = f"{kind}:HOST:PORT, such as {kind}:127.0.0.1:8765"
        self.broadcast = Broadcast()
        entrance = open_entrance(f"--out {uri}", address, form, NEEDS)
        self._socket = entrance.socket
        self.gate = entrance.gate
        self.port: int = self.gate.port
        try:
            self._server = self._serve(entrance)
        except BaseException:
            self._socket.close()
            raise
        self.note = f"serving events on {entrance.where}"
        self.notes = (self.note,)
        self._thread = threading.Thread(target=self._server.serve_forever, name="push", daemon=True)
        self._thread.start()

    @property
    def wants_frames(self) -> Collection[str]:  # type: ignore[override]  # what nobody sets
        """Scores, while a listener asks for them."""
        return SCORES_ALONE if self.broadcast.wants_scores else NONE_OF_FRAMES

    def reload(self) -> None:
        """Ask new listeners for the token as it is now; where one was needed it stays needed."""
        self.gate = replace(self.gate, token=read_anew(NEEDS.token, self.gate.token))

    @abstractmethod
    def _serve(self, entrance: Entrance) -> Any:
        """A server on the socket, with `serve_forever` and `shutdown`."""

    def refusal(self, headers: Any, target: str) -> tuple[int, str] | None:
        """Status and words for a request that is refused; None for one that may listen."""
        refused = self.gate.refusal(
            headers.get("Host"), headers.get("Origin"), headers.get("Authorization"), target
        )
        if refused is None and not set(_asked(target)) <= {"0", "1"}:
            return 400, f"scores are asked for by ?{SCORES}=1\n"
        return refused

    def join(self, target: str, cut_off: Callable[[], None], after: int = 0) -> Listener | None:
        """A new listener, with scores if it asks for them; None where there are too many."""
        return self.broadcast.join(cut_off, after, wants_scores="1" in _asked(target))

    def write(self, record: JsonRecord) -> None:
        """Send the record to all listeners."""
        self.broadcast.send(record)

    def take_frames(self, batch: FrameBatch) -> None:
        """Send the scores of a batch to the listeners that ask for them."""
        self.broadcast.send_scores(batch)

    def close(self) -> None:
        """Let listeners have what waits for them, and stop listening."""
        self.broadcast.close(GIVE_UP_S)
        self._server.shutdown()
        self._thread.join()
        self._socket.close()


def _asked(target: str) -> list[str]:
    """What a path's query says of scores."""
    query = urllib.parse.urlsplit(target).query
    return urllib.parse.parse_qs(query, keep_blank_values=True).get(SCORES, [])


class WebsocketSink(PushSink):
    """Every record as a text message of a websocket."""

    def _serve(self, entrance: Entrance) -> Any:
        try:
            from websockets.sync.server import serve
        except ImportError as error:
            raise UsageError(f"ws: needs websockets: {install('push')}") from error
        server = serve(
            self._talk,
            sock=entrance.socket,
            ssl=entrance.context,
            process_request=self._check,
            open_timeout=HANDSHAKE_S,
            compression=None,
            max_size=CLIENT_BYTES,
        )
        server.handler = _bounded(server.handler)
        return server

    def _check(self, connection: Any, request: Any) -> Any:
        refusal = self.refusal(request.headers, request.path)
        return None if refusal is None else connection.respond(*refusal)

    def _talk(self, connection: Any) -> None:
        """Send a client its queue. What it sends is not read: its buffer bounds it."""
        listener = self.join(connection.request.path, lambda: cut(connection.socket))
        if listener is None:
            connection.close(1013, "too many listeners")
            return
        from websockets.exceptions import InvalidState

        with suppress(InvalidState, OSError):  # it is closing, or cut off
            while (messages := listener.take()) is not None:
                _send_together(connection, messages)
        self.broadcast.leave(listener)


def _send_together(connection: Any, messages: Sequence[Message]) -> None:
    """Send messages by one call of the system; `connection.send` makes one for each."""
    with connection.protocol_mutex:
        for message in messages:
            connection.protocol.send_text(message.text.encode())
        connection.socket.sendall(b"".join(connection.protocol.data_to_send()))


def _bounded(handle: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    """A handler of connections that turns away those that are too many at once."""
    places = threading.BoundedSemaphore(MOST_CONNECTIONS)

    def handler(connection: Any, address: Any) -> None:
        if not places.acquire(blocking=False):
            connection.close()
            handle(connection, address)  # which finds it closed, and forgets it
            return
        try:
            handle(connection, address)
        finally:
            places.release()

    return handler


class EventStreamSink(PushSink):
    """Every record as a server-sent event, whose id lets a client go on where it was.

    Scores have no id: who goes on after them misses no event.
    """

    _server: BoundedServer

    def _serve(self, entrance: Entrance) -> BoundedServer:
        return on_socket(
            entrance.socket,
            entrance.context,
            self.stream,
            timeout_s=KEEPALIVE_S,
            most=MOST_CONNECTIONS,
            request_s=HANDSHAKE_S,
        )

    def stream(self, client: BaseHTTPRequestHandler) -> None:
        """Answer a client: with a refusal, or with records until it leaves."""
        headers = client.headers
        refusal = self.refusal(headers, client.path)
        listener = None
        if refusal is None and client.path.partition("?")[0] != PATH:
            refusal = (404, f"events are at {PATH}\n")
        if refusal is None:
            last = headers.get("Last-Event-ID", "")
            after = int(last) if last.isdecimal() and len(last) < 16 else 0
            listener = self.join(client.path, lambda: cut(client.connection), after)
            refusal = (503, "too many listeners\n") if listener is None else None
        if refusal is not None or listener is None:
            code, words = refusal or (503, "")
            answer(client, code, "text/plain; charset=utf-8", words.encode())
            return
        self._server.stay()
        with suppress(OSError):
            answer(client, 200, "text/event-stream", None)
            self._send_all(client, listener)
        self.broadcast.leave(listener)

    def _send_all(self, client: BaseHTTPRequestHandler, listener: Listener) -> None:
        while (messages := listener.take(KEEPALIVE_S)) is not None:
            text = "".join(map(_as_server_sent, messages)) or ": still here\n\n"
            client.wfile.write(text.encode())


def _as_server_sent(message: Message) -> str:
    """A message as an event stream has it."""
    number = "" if message.number is None else f"id: {message.number}\n"
    return f"{number}data: {message.text}\n\n"
