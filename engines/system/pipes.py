"""A pipe that holds more than the system gives unasked."""

from __future__ import annotations

import importlib
from contextlib import suppress


def widen(descriptor: int, size: int) -> None:
    """Let a pipe hold `size` bytes where the system has that; on Linux it is 64 KiB unasked.

    Nothing is said where it cannot be had: a narrow pipe is only slower.
    """
    with suppress(ImportError, AttributeError, OSError):
        fcntl = importlib.import_module("fcntl")
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, size)
