"""Records to listeners on this machine: `ws:HOST:PORT` by websocket, `sse:HOST:PORT` as events.

Both give every record as its JSON line; an event has `change` as well: `new`, `update` or `end`.
They share the gate and the broadcast, and differ in how a text gets to the client.
"""

from __future__ import annotations

import socket
import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty
from typing import Any

from microspot.engines.errors import install

from ...errors import DataError, UsageError
from ..base import JsonRecord, Sink
from .broadcast import Broadcast, Listener, Message
from .gate import VARIABLE, Gate, parse_address
from .secret import read_secret

KEEPALIVE_S = 15.0  # between comments that show an idle event stream to be alive
PATH = "/events"  # of the event stream
CLIENT_BYTES = 1024  # of a message from a client; none means anything
GIVE_UP_S = 5.0  # for clients to leave when the run ends


class PushSink(Sink, ABC):
    """Sends records to whoever listens. Raises UsageError for an address not of this machine.

    port: where it listens. DataError where the port is taken.
    """

    wants_provisional = True
    tells = True

    def __init__(self, uri: str) -> None:
        host, port = parse_address(uri)
        self.broadcast = Broadcast()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._socket = socket.create_server((host, port), family=family)
        except OSError as error:
            raise DataError(f"cannot listen on {uri}: {error.strerror}") from error
        self.port: int = self._socket.getsockname()[1]
        try:
            self.gate = Gate(self.port, read_secret(VARIABLE))
            self._server = self._serve()
        except BaseException:
            self._socket.close()
            raise
        self.note = f"serving events on port {self.port} of this machine"
        self.notes = (self.note,)
        self._thread = threading.Thread(target=self._server.serve_forever, name="push", daemon=True)
        self._thread.start()

    @abstractmethod
    def _serve(self) -> Any:
        """A server on the socket, with `serve_forever` and `shutdown`."""

    def write(self, record: JsonRecord) -> None:
        """Send the record to all listeners."""
        self.broadcast.send(record)

    def close(self) -> None:
        """Let listeners have what waits for them, and stop listening."""
        self.broadcast.close(GIVE_UP_S)
        self._server.shutdown()
        self._thread.join()
        self._socket.close()


class WebsocketSink(PushSink):
    """Every record as a text message of a websocket."""

    def _serve(self) -> Any:
        try:
            from websockets.sync.server import serve
        except ImportError as error:
            raise UsageError(f"ws: needs websockets: {install('push')}") from error
        return serve(
            self._talk,
            sock=self._socket,
            process_request=self._check,
            compression=None,
            max_size=CLIENT_BYTES,
        )

    def _check(self, connection: Any, request: Any) -> Any:
        headers = request.headers
        refusal = self.gate.refusal(
            headers.get("Host"), headers.get("Origin"), headers.get("Authorization"), request.path
        )
        return None if refusal is None else connection.respond(*refusal)

    def _talk(self, connection: Any) -> None:
        """Send a client its queue. What it sends is not read: its buffer bounds it."""
        listener = self.broadcast.join(lambda: _cut(connection.socket))
        if listener is None:
            connection.close(1013, "too many listeners")
            return
        from websockets.exceptions import ConnectionClosed

        with suppress(ConnectionClosed, OSError):
            while (message := listener.queue.get()) is not None:
                connection.send(message.text)
        self.broadcast.leave(listener)


class EventStreamSink(PushSink):
    """Every record as a server-sent event, whose id lets a client go on where it was."""

    def _serve(self) -> Any:
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            server_version = "microspot"
            sys_version = ""
            timeout = KEEPALIVE_S

            def do_GET(self) -> None:
                sink.stream(self)

            def log_message(self, *_: object) -> None:
                """Say nothing: requests may carry the token."""

        server = ThreadingHTTPServer(self._socket.getsockname()[:2], Handler, False)
        server.socket.close()
        server.socket = self._socket
        server.daemon_threads = True
        return server

    def stream(self, client: BaseHTTPRequestHandler) -> None:
        """Answer a client: with a refusal, or with records until it leaves."""
        client.close_connection = True
        headers = client.headers
        refusal = self.gate.refusal(
            headers.get("Host"), headers.get("Origin"), headers.get("Authorization"), client.path
        )
        listener = None
        if refusal is None and client.path.partition("?")[0] != PATH:
            refusal = (404, f"events are at {PATH}\n")
        if refusal is None:
            last = headers.get("Last-Event-ID", "")
            after = int(last) if last.isdecimal() and len(last) < 16 else 0
            listener = self.broadcast.join(lambda: _cut(client.connection), after)
            refusal = (503, "too many listeners\n") if listener is None else None
        if refusal is not None or listener is None:
            code, words = refusal or (503, "")
            _answer(client, code, "text/plain; charset=utf-8", words.encode())
            return
        with suppress(OSError):
            _answer(client, 200, "text/event-stream", None)
            self._send_all(client, listener)
        self.broadcast.leave(listener)

    def _send_all(self, client: BaseHTTPRequestHandler, listener: Listener) -> None:
        while True:
            try:
                message: Message | None = listener.queue.get(timeout=KEEPALIVE_S)
            except Empty:
                client.wfile.write(b": still here\n\n")
                continue
            if message is None:
                return
            client.wfile.write(f"id: {message.number}\ndata: {message.text}\n\n".encode())


def _answer(client: BaseHTTPRequestHandler, code: int, kind: str, body: bytes | None) -> None:
    """Send the head of an answer, and a body where it has an end."""
    client.send_response(code)
    client.send_header("Content-Type", kind)
    client.send_header("Cache-Control", "no-store")
    client.send_header("X-Content-Type-Options", "nosniff")
    client.send_header("Connection", "close")
    if body is not None:
        client.send_header("Content-Length", str(len(body)))
    client.end_headers()
    if body is not None:
        client.wfile.write(body)


def _cut(connection: socket.socket) -> None:
    """End a connection whose client does not keep up; who writes to it gets an error."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
