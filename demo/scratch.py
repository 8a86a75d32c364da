"""Folders for what a page leaves with the server for a while. Those of a process that was killed go at the next start.

A folder is locked for as long as its process lives, and the lock goes with the process however it ends: a folder that
can be locked belongs to nobody.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "microspot-page-"
UNREADY = "microspot-new-"  # not locked yet


@contextmanager
def folder() -> Iterator[Path]:
    """An empty folder for the body of a with statement, readable by this user alone."""
    made = Path(tempfile.mkdtemp(prefix=UNREADY))
    handle = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # a file system without locks: nobody else can lock it either
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        made = made.rename(made.with_name(made.name.replace(UNREADY, PREFIX)))
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(handle)


def sweep() -> int:
    """Remove the folders of processes of this user that are gone: how many."""
    return sum(_removed(left) for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"))


def _removed(left: Path) -> bool:
    try:
        handle = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:  # gone meanwhile, a link, or another user's
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(handle).st_uid != os.getuid():
            return False
        shutil.rmtree(left, ignore_errors=True)
        return not left.exists()
    except OSError:  # its process lives
        return False
    finally:
        os.close(handle)
