"""A port that is ours alone, and free again as soon as its server has ended."""

from __future__ import annotations

import socket


def own_port(listener: socket.socket) -> None:
    """Set the options of a socket before it is bound.

    On POSIX SO_REUSEADDR takes a port whose last connections still die down. On Windows the same
    option would let another program bind the port that we listen on, and SO_EXCLUSIVEADDRUSE
    forbids it.
    """
    exclusive = getattr(socket, "SO_EXCLUSIVEADDRUSE", None)
    option = socket.SO_REUSEADDR if exclusive is None else exclusive
    listener.setsockopt(socket.SOL_SOCKET, option, 1)
