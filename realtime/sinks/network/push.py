"""Records to listeners on this machine: `ws:HOST:PORT` by websocket, `sse:HOST:PORT` as events.

Both give every record as its JSON line; an event has `change` as well: `new`, `update` or `end`.
They share the gate and the broadcast, and differ in how a text gets to the client.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty
from typing import Any

from microspot.engines.errors import install

from ...errors import UsageError
from ..base import JsonRecord, Sink
from .broadcast import Broadcast, Listener, Message
from .gate import VARIABLE, Gate, parse_address
from .http_server import answer, cut, listen, on_socket
from .secret import read_anew, read_secret

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
        self._socket = listen(uri, host, port)
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

    def reload(self) -> None:
        """Ask new listeners for the token as it is now; where one was needed it stays needed."""
        self.gate = replace(self.gate, token=read_anew(VARIABLE, self.gate.token))

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
        listener = self.broadcast.join(lambda: cut(connection.socket))
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
        return on_socket(ThreadingHTTPServer, self._socket, self.stream, KEEPALIVE_S)

    def stream(self, client: BaseHTTPRequestHandler) -> None:
        """Answer a client: with a refusal, or with records until it leaves."""
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
            listener = self.broadcast.join(lambda: cut(client.connection), after)
            refusal = (503, "too many listeners\n") if listener is None else None
        if refusal is not None or listener is None:
            code, words = refusal or (503, "")
            answer(client, code, "text/plain; charset=utf-8", words.encode())
            return
        with suppress(OSError):
            answer(client, 200, "text/event-stream", None)
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
