"""What a service manager, such as systemd, is told of a run: sd_notify(3).

It is told when the run is ready, that it still works, and that it is ending. Nothing is sent where
no manager listens: `NOTIFY_SOCKET` names its socket, and `WATCHDOG_USEC` how long it waits for a
sign before it takes the run to hang.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from typing import Self

SOCKET = "NOTIFY_SOCKET"
WATCHDOG = "WATCHDOG_USEC"
WATCHED = "WATCHDOG_PID"
SIGNS = 3  # of life in the time that the manager waits


class ServiceManager:
    """The manager that started this process; as a context manager it covers the run.

    A message that cannot be sent is dropped: the run does not depend on who watches it.
    """

    def __init__(self) -> None:
        self._address = _address(os.environ.get(SOCKET, ""))
        self._every_s = _watchdog_s() / SIGNS
        self._told_s = float("-inf")

    def __enter__(self) -> Self:
        self._send("READY=1")
        return self

    def __exit__(self, *_: object) -> None:
        self._send("STOPPING=1")

    def alive(self) -> None:
        """The run goes on; may be called as often as one likes."""
        now_s = time.monotonic()
        if self._every_s and now_s - self._told_s >= self._every_s:
            self._told_s = now_s
            self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        family = getattr(socket, "AF_UNIX", None)
        if not self._address or family is None:
            return
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(message.encode(), self._address)


def _address(name: str) -> str:
    """The address of a socket; a leading @ stands for the NUL of one that is no file."""
    return "\0" + name[1:] if name.startswith("@") else name


def _watchdog_s() -> float:
    """How long the manager waits for a sign of life of this process; 0 where it does not."""
    text = os.environ.get(WATCHDOG, "")
    if os.environ.get(WATCHED, str(os.getpid())) != str(os.getpid()) or not text.isdecimal():
        return 0.0
    return int(text) / 1e6
