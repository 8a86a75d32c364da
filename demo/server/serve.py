"""From an application to a server on a socket.

The bounds that uvicorn and its websocket library keep themselves are set here.
"""

from __future__ import annotations

import logging
import socket
from pathlib import Path

from starlette.types import ASGIApp

from microspot.engines.system.processes import open_files_limit
from microspot.engines.system.sockets import own_port
from microspot.realtime.errors import UsageError

from ..access.binding import Binding
from ..limits import Limits
from .deadlines import (
    Config,
    HttpConnection,
    PageConnection,
    Server,
    TlsHandshake,
    no_fault_of_ours,
)

SHUTDOWN_S = 3  # for open pages to close when the server ends
BACKLOG = 128  # connections that wait to be accepted
ACCEPTED_AT_ONCE = 32  # asyncio accepts so many before any of them is counted
# Connections take one in so many of the files that may be open: the rest is for pipelines.
FILES_PER_CONNECTION = 4


def listen(binding: Binding) -> socket.socket:
    """A socket bound before anything slow is loaded.

    Raises UsageError for an address that cannot be had.
    """
    family = socket.AF_INET6 if ":" in binding.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    own_port(listener)
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
    open_files = open_files_limit()
    max_connections = limits.connections
    if open_files is not None:
        max_connections = min(limits.connections, open_files // FILES_PER_CONNECTION)
    config = Config(
        application,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        http=TlsHandshake if tls else HttpConnection,
        ws=PageConnection,
        backlog=ACCEPTED_AT_ONCE,
        limit_concurrency=max_connections + limits.overflow,
        h11_max_incomplete_event_size=limits.head_bytes,
        timeout_keep_alive=limits.keep_alive_s,
        timeout_graceful_shutdown=SHUTDOWN_S,
        ws_max_size=limits.message_bytes,
        ws_per_message_deflate=False,
        ws_ping_interval=limits.ping_s,
        ws_ping_timeout=limits.ping_s,
        ssl_certfile=chain,
        ssl_keyfile=key,
    )
    try:
        config.load()
    except OSError as error:  # ssl.SSLError is one
        raise UsageError(
            f"--tls-cert {chain}, --tls-key {key}: {error}; give a PEM chain and its key"
        ) from error
    config.limits = limits
    config.max_connections = max_connections
    config.backlog_size = BACKLOG
    # TlsHandshake shakes hands, where connections are counted, and not uvicorn.
    config.handshake = config.ssl
    config.ssl = None
    logging.getLogger("uvicorn.error").addFilter(no_fault_of_ours)
    return Server(config)


def address(binding: Binding, port: int) -> str:
    """What to type into a browser."""
    scheme = "https" if binding.secure else "http"
    own = f"{scheme}://{binding.bracketed}:{port}"
    origins = binding.origins(port)
    return own if own in origins else min(origins)
