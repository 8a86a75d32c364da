"""A pipe that holds more than the system gives unasked, and one whose reader has left."""

from __future__ import annotations

import errno
import importlib
import sys
from contextlib import suppress


def widen(descriptor: int, size: int) -> None:
    """Let a pipe hold `size` bytes, or more, where the system has that.

    On Linux it holds 64 KiB unasked. Nothing is said where more cannot be had: it is only slower.
    """
    with suppress(ImportError, AttributeError, OSError):
        fcntl = importlib.import_module("fcntl")
        if fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ) < size:
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, size)


def reader_left(error: OSError) -> bool:
    """Whether a write into a pipe failed for its reader has left.

    Windows says that an argument is invalid.
    """
    if sys.platform == "win32":
        return error.errno in (errno.EPIPE, errno.EINVAL)
    return isinstance(error, BrokenPipeError)
