"""What our HTTP servers share: a socket, a server that keeps quiet, an answer."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TypeVar

from ...errors import DataError

Server = TypeVar("Server", bound=HTTPServer)


def listen(uri: str, host: str, port: int) -> socket.socket:
    """A socket that listens on a port, 0 for a free one. Raises DataError where it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise DataError(f"cannot listen on {uri}: {error.strerror}") from error


def on_socket(
    kind: type[Server],
    listening: socket.socket,
    reply: Callable[[BaseHTTPRequestHandler], None],
    timeout_s: float,
) -> Server:
    """A server on a socket that listens; `reply` answers its requests.

    timeout_s: for each read and write. It looks up no name, as a server that binds itself does.
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

    server = kind(listening.getsockname()[:2], Handler, False)
    server.socket.close()
    server.socket = listening
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
