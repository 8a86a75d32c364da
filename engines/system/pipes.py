"""A pipe that holds more than the system gives unasked."""

from __future__ import annotations

import importlib
from contextlib import suppress


def widen(descriptor: int, size: int) -> None:
    """Let a pipe hold `size` bytes, or more, where the system has that.

    On Linux it holds 64 KiB unasked. Nothing is said where more cannot be had: it is only slower.
    """
    with suppress(ImportError, AttributeError, OSError):
        fcntl = importlib.import_module("fcntl")
        if fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ) < size:
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, size)
