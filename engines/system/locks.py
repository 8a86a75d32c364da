"""A lock on a folder, which goes with its process, however that ends.

POSIX locks the folder itself. Windows opens no folders and locks a file in it, which can be neither
moved nor removed while that is held.
"""

from __future__ import annotations

import errno
import importlib
import os
from pathlib import Path
from typing import Any

LOCK = "in-use"  # the file that Windows locks
FOLDER = getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)


def _module(name: str) -> Any:
    """A module that only some systems have; None elsewhere."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


fcntl = _module("fcntl")
msvcrt = _module("msvcrt")


def hold(folder: Path, *, new: bool) -> int:
    """Lock a folder and return the descriptor that holds it; closing that gives it up.

    new: whether the folder was made just now. Raises OSError where another process holds it, where
    it is no folder or a link to one, and where the system or its file system has no locks.
    """
    if fcntl is not None:
        handle = os.open(folder, os.O_RDONLY | FOLDER)
        return _locked(handle, lambda: fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB))
    if msvcrt is not None:
        handle = os.open(folder / LOCK, os.O_RDWR | (os.O_CREAT if new else 0), 0o600)
        return _locked(handle, lambda: msvcrt.locking(handle, msvcrt.LK_NBLCK, 1))
    raise OSError(errno.ENOTSUP, "no locks on this system", str(folder))


def _locked(handle: int, lock: Any) -> int:
    try:
        lock()
    except OSError:
        os.close(handle)
        raise
    return handle
