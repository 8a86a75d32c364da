"""From an application to a server on a socket: the bounds that the websocket library itself keeps stand here."""

from __future__ import annotations

import logging
import resource
import socket
from pathlib import Path

from starlette.types import ASGIApp

from microspot.realtime.errors import UsageError

from ..access.binding import Binding
from ..limits import Limits
from .deadlines import Config, Handshake, HttpConnection, PageConnection, Server, no_fault_of_ours

FAREWELL_S = 3  # for open pages when the server ends
BACKLOG = 128  # connections that wait to be taken
TAKEN = 32  # at one time: asyncio takes as many as there are before any of them is looked at
SHARE = (
    4  # of all files that may be open, connections take one in so many: the rest is for pipelines
)


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
        raise UsageError(
            f"cannot listen on {binding.host}:{binding.port} ({error.strerror}): give --port"
        ) from error
    return listener


def server(application: ASGIApp, limits: Limits, tls: tuple[Path, Path] | None = None) -> Server:
    """A server that is not running yet. tls: certificate chain and private key (PEM).

    Raises UsageError for a certificate that cannot be used.
    """
    chain, key = tls or (None, None)
    room = min(limits.connections, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // SHARE)
    config = Config(
        application, log_config=None, log_level="warning", access_log=False, server_header=False, proxy_headers=False,
        http=Handshake if tls else HttpConnection, ws=PageConnection, backlog=TAKEN,
        limit_concurrency=room + limits.overflow, h11_max_incomplete_event_size=limits.head_bytes,
        timeout_keep_alive=limits.keep_alive_s, timeout_graceful_shutdown=FAREWELL_S,
        ws_max_size=limits.message_bytes, ws_per_message_deflate=False,
        ws_ping_interval=limits.ping_s, ws_ping_timeout=limits.ping_s, ssl_certfile=chain, ssl_keyfile=key,
    )  # fmt: skip
    try:
        config.load()
    except OSError as error:  # ssl.SSLError is one
        raise UsageError(
            f"--tls-cert {chain}, --tls-key {key}: {error}; give a PEM chain and its key"
        ) from error
    config.limits, config.room, config.queue = limits, room, BACKLOG
    config.handshake, config.ssl = (
        config.ssl,
        None,
    )  # shaken hands with where connections are counted
    logging.getLogger("uvicorn.error").addFilter(no_fault_of_ours)
    return Server(config)


def address(binding: Binding, port: int) -> str:
    """What to type into a browser."""
    own = f"http{'s' * binding.secure}://{binding.bracketed}:{port}"
    return own if own in binding.origins(port) else min(binding.origins(port))
