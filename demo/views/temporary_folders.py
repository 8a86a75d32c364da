"""Folders for what a page leaves with the server for a while.

Those of a process that was killed are removed at the next start.

A folder is locked for as long as its process lives, and the lock goes with the process however it
ends: a folder that can be locked belongs to nobody. Only what `folder` can have made is removed:
its name, its mode and a mark in it say so. What a page leaves lies in a folder of its own beside
the mark, which is there until all of it is gone.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "microspot-page-"
UNREADY = "microspot-new-"  # not locked or not marked yet
RANDOM = 8  # characters that mkdtemp puts after a prefix
NAMES = re.compile(rf"({re.escape(PREFIX)}|{re.escape(UNREADY)})[a-z0-9_]{{{RANDOM}}}")
MODE = 0o700
PERMISSIONS = 0o777  # of a mode; a folder may get other bits from the one above it
MARK = "made-by-microspot"
CONTENT = "content"


@contextmanager
def folder() -> Iterator[Path]:
    """An empty folder for the body of a with statement, readable by this user alone."""
    made = Path(tempfile.mkdtemp(prefix=UNREADY))
    handle = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # a file system without locks: nobody else can lock it either
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (made / MARK).touch(exist_ok=False)  # locked by now: no sweep looks at what has no mark
        (made / CONTENT).mkdir(MODE)
        made = made.rename(made.with_name(made.name.replace(UNREADY, PREFIX)))
        yield made / CONTENT
    finally:
        _remove(made)
        os.close(handle)


def sweep() -> int:
    """Remove the folders that ended processes of this user left; returns how many."""
    found = list(Path(tempfile.gettempdir()).iterdir())
    removed = [left for left in found if NAMES.fullmatch(left.name) and _remove_if_left(left)]
    return len(removed)


def _remove_if_left(left: Path) -> bool:
    """Remove a folder whose process is gone; whether that was done."""
    try:
        handle = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:  # gone meanwhile, a link, or another user's
        return False
    try:
        if not _made_here(handle):
            return False
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(left)
        return not left.exists()
    except OSError:  # its process lives, or it has no mark
        return False
    finally:
        os.close(handle)


def _made_here(handle: int) -> bool:
    """Whether an open folder was made by `folder` for this user. Raises OSError without a mark."""
    made = os.fstat(handle)
    mark = os.stat(MARK, dir_fd=handle, follow_symlinks=False)
    return made.st_uid == mark.st_uid == os.getuid() and made.st_mode & PERMISSIONS == MODE


def _remove(made: Path) -> None:
    """Remove a folder, its mark last: what is only half removed is still known as ours."""
    shutil.rmtree(made / CONTENT, ignore_errors=True)
    if not (made / CONTENT).exists():
        shutil.rmtree(made, ignore_errors=True)
