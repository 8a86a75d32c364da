"""What our HTTP servers share: a socket, a server that keeps quiet and is bounded, an answer."""

from __future__ import annotations

import selectors
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ...errors import DataError

LATE_S = 0.5  # by which a client is cut off too late at most


def listen(uri: str, host: str, port: int) -> socket.socket:
    """A socket that listens on a port, 0 for a free one. Raises DataError where it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise DataError(f"cannot listen on {uri}: {error.strerror}") from error


class BoundedServer(ThreadingHTTPServer):
    """Each request in a thread of its own, so many at once; those beyond are turned away.

    context: of TLS, None without; most: requests at once; request_s: from connecting until a client
    is cut off, unless `stay` was called. While nobody waits for an answer its thread sleeps; that
    of the library looks twice a second whether it is to end.
    """

    daemon_threads = True
    timeout = 0.0  # to wait for a connection that has come
    context: ssl.SSLContext | None
    request_s: float

    def bound(self, context: ssl.SSLContext | None, most: int, request_s: float) -> None:
        """Set the bounds."""
        self.context = context
        self.request_s = request_s
        self._places = threading.BoundedSemaphore(most)
        self._until_s: dict[Any, float] = {}  # by request, when it is cut off
        self._own = threading.local()  # the request that a thread answers
        self._ended = threading.Event()
        self._wakes, self._woken = socket.socketpair()

    def serve_forever(self, poll_interval: float = LATE_S) -> None:
        """Take connections until `shutdown`; poll_interval: by which clients are cut off late."""
        try:
            with self._woken, selectors.DefaultSelector() as selector:
                selector.register(self, selectors.EVENT_READ)
                selector.register(self._woken, selectors.EVENT_READ)
                ready: set[object] = set()
                while self._woken not in ready:
                    if self in ready:
                        self.handle_request()
                    self.service_actions()
                    wait_s = poll_interval if self._until_s else None
                    ready = {key.fileobj for key, _ in selector.select(wait_s)}
        finally:
            self._ended.set()

    def shutdown(self) -> None:
        """End `serve_forever`, which another thread runs."""
        self._wakes.close()
        self._ended.wait()

    def get_request(self) -> tuple[Any, Any]:
        """The next connection. Its own thread shakes hands for TLS."""
        connection, caller = super().get_request()
        if self.context is not None:
            connection = self.context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, caller

    def process_request(self, request: Any, client_address: Any) -> None:
        """Begin a thread, unless there are too many."""
        if self._places.acquire(blocking=False):
            self._until_s[request] = time.monotonic() + self.request_s
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, in time."""
        self._own.request = request
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._until_s.pop(request, None)
            self._places.release()

    def stay(self) -> None:
        """Let the client of this thread stay for as long as its answer takes."""
        self._until_s.pop(self._own.request, None)

    def service_actions(self) -> None:
        """Cut off who has not got its answer in time."""
        if self._until_s:
            now_s = time.monotonic()
            for request, until_s in list(self._until_s.items()):
                if now_s >= until_s:
                    self._until_s.pop(request, None)
                    cut(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that is cut off or gone."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def on_socket(
    listening: socket.socket,
    context: ssl.SSLContext | None,
    reply: Callable[[BaseHTTPRequestHandler], None],
    *,
    timeout_s: float,
    most: int,
    request_s: float,
) -> BoundedServer:
    """A server on a socket that listens; `reply` answers its requests.

    timeout_s: for each read and write; for the rest see BoundedServer. It looks up no name, as a
    server that binds itself does.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version = "microspot"
        sys_version = ""
        timeout = timeout_s

        def do_GET(self) -> None:
            self.close_connection = True
            reply(self)

        def log_message(self, *_: object) -> None:
            """Say nothing: requests may carry the token."""

    server = BoundedServer(listening.getsockname()[:2], Handler, False)
    server.socket.close()
    server.socket = listening
    server.bound(context, most, request_s)
    return server


def answer(client: BaseHTTPRequestHandler, code: int, kind: str, body: bytes | None) -> None:
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


def cut(connection: socket.socket) -> None:
    """End a connection whose client does not keep up; who writes to it gets an error."""
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)  # of TLS: without a goodbye
