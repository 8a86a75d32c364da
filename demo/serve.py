"""From an application to a server on a socket: the bounds that the websocket library itself keeps stand here."""

from __future__ import annotations

import socket
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from realtime.errors import UsageError

from .access import Binding
from .limits import Limits

PING_S = 10.0  # a page that does not answer for so long is gone
FAREWELL_S = 3  # for open pages when the server ends
BACKLOG = 128


def listen(binding: Binding) -> socket.socket:
    """A socket bound before anything slow is loaded. Raises UsageError for an address that cannot be had."""
    family = socket.AF_INET6 if ":" in binding.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((binding.host, binding.port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise UsageError(f"cannot listen on {binding.host}:{binding.port} ({error.strerror}): give --port") from error
    return listener


def server(application: ASGIApp, limits: Limits, tls: tuple[Path, Path] | None = None) -> uvicorn.Server:
    """A server that is not running yet. tls: certificate chain and private key (PEM).

    Raises UsageError for a certificate that cannot be used.
    """
    chain, key = tls or (None, None)
    config = uvicorn.Config(
        application, log_config=None, log_level="warning", access_log=False, server_header=False, proxy_headers=False,
        ws="websockets-sansio", ws_max_size=limits.message_bytes, ws_per_message_deflate=False,
        ws_ping_interval=PING_S, ws_ping_timeout=PING_S, timeout_graceful_shutdown=FAREWELL_S,
        ssl_certfile=chain, ssl_keyfile=key,
    )  # fmt: skip
    try:
        config.load()
    except OSError as error:  # ssl.SSLError is one
        raise UsageError(f"--tls-cert {chain}, --tls-key {key}: {error}; give a PEM chain and its key") from error
    return uvicorn.Server(config)


def address(binding: Binding, port: int) -> str:
    """What to type into a browser."""
    own = f"http{'s' * binding.secure}://{binding.bracketed}:{port}"
    return own if own in binding.origins(port) else min(binding.origins(port))
