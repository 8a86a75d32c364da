"""Folders for what a page leaves with the server for a while.

Those of a process that was killed are removed at the next start.

A folder is locked for as long as its process lives, and the lock goes with the process however it
ends: a folder that can be locked belongs to nobody. Only what `folder` can have made is removed:
its name, its mode and a mark in it say so. What a page leaves lies in a folder of its own beside
the mark, which is there until all of it is gone.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from microspot.engines.system.locks import hold
from microspot.engines.system.processes import user_number

PREFIX = "microspot-page-"
UNREADY = "microspot-new-"  # of an earlier version, which gave them PREFIX when they were ready
RANDOM = 8  # characters that mkdtemp puts after a prefix
NAMES = re.compile(rf"({re.escape(PREFIX)}|{re.escape(UNREADY)})[a-z0-9_]{{{RANDOM}}}")
MODE = 0o700
PERMISSIONS = 0o777  # of a mode; a folder may get other bits from the one above it
MARK = "made-by-microspot"
CONTENT = "content"


@contextmanager
def folder() -> Iterator[Path]:
    """An empty folder for the body of a with statement, readable by this user alone."""
    made = Path(tempfile.mkdtemp(prefix=PREFIX))
    lock: int | None = None
    try:
        with suppress(OSError):  # no locks here: nobody else can lock it either
            lock = hold(made, new=True)
        (made / MARK).touch(exist_ok=False)  # locked by now: no sweep looks at what has no mark
        (made / CONTENT).mkdir(MODE)
        yield made / CONTENT
    finally:
        _remove(made, lock)


def sweep() -> int:
    """Remove the folders that ended processes of this user left; returns how many."""
    found = list(Path(tempfile.gettempdir()).iterdir())
    removed = [left for left in found if NAMES.fullmatch(left.name) and _remove_if_left(left)]
    return len(removed)


def _remove_if_left(left: Path) -> bool:
    """Remove a folder whose process is gone; whether that was done."""
    try:
        lock = hold(left, new=False)
    except OSError:  # its process lives, it is gone meanwhile, a link, or another user's
        return False
    try:
        ours = _made_here(left, lock)
    except OSError:  # it has no mark
        ours = False
    if not ours:
        os.close(lock)
        return False
    _remove(left, lock)
    return not left.exists()


def _made_here(left: Path, lock: int) -> bool:
    """Whether a folder was made by `folder` for this user. Raises OSError without a mark."""
    user = user_number()
    if user is None:  # Windows: the folder for temporary files is this user's own
        made = left.lstat()
        link = getattr(made, "st_file_attributes", 0) & stat.FILE_ATTRIBUTE_REPARSE_POINT
        mark = (left / MARK).lstat()
        return stat.S_ISDIR(made.st_mode) and not link and stat.S_ISREG(mark.st_mode)
    made = os.fstat(lock)
    mark = os.stat(MARK, dir_fd=lock, follow_symlinks=False)
    return made.st_uid == mark.st_uid == user and made.st_mode & PERMISSIONS == MODE


def _remove(made: Path, lock: int | None) -> None:
    """Remove a folder, its mark last: what is only half removed is still known as ours.

    The lock is given up before that, since it may lie in a file there.
    """
    shutil.rmtree(made / CONTENT, ignore_errors=True)
    if lock is not None:
        os.close(lock)
    if not (made / CONTENT).exists():
        shutil.rmtree(made, ignore_errors=True)
