"""Files that are replaced whole: whoever opens one finds all of the old or the new content."""

from __future__ import annotations

import os
import stat
from io import RawIOBase
from pathlib import Path

from microspot.engines.system.replacement import replace

from ..errors import DataError
from .base import reason

PART = ".part"  # ending of the file that is written first
NAME_BYTES = 255  # longest file name


def check_writable(path: Path) -> None:
    """Raise DataError where `replace_file` would fail, before a run that may last for days."""
    _replace(path, None)


def replace_file(path: Path, content: bytes) -> None:
    """Write `content` whole.

    A device or pipe is written directly. What a killed process left beside the file is overwritten
    and removed. Raises DataError; then the file is as it was before and nothing is left beside it.
    """
    _replace(path, content)


def _replace(path: Path, content: bytes | None) -> None:
    """Replace a file, or where `content` is None only try whether it could be replaced."""
    try:
        if path.is_symlink():
            path = Path(os.path.realpath(path))  # the file that the link means
        if not _is_file_or_new(path):
            # A pipe is not tried: opening and closing it would tell its reader to leave.
            if content is not None or path.is_dir():
                _write_through(path, content)
            return
        part = path.with_name(_shortened(path.name) + PART)
        moved = False
        try:
            with part.open("wb", buffering=0) as file:  # Windows syncs only what is open to write
                if content is not None:
                    _write_all(file, content)
                    os.fsync(file.fileno())  # else a crash could leave the new name without content
            if content is not None:
                replace(part, path)
                moved = True
        finally:
            if not moved:
                part.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"cannot write {path}: {reason(error)}") from error


def _is_file_or_new(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return True


def _write_all(file: RawIOBase, content: bytes) -> None:
    unwritten = memoryview(content)
    while unwritten:
        unwritten = unwritten[file.write(unwritten) :]


def _write_through(path: Path, content: bytes | None) -> None:
    with path.open("wb", buffering=0) as file:
        _write_all(file, content or b"")


def _shortened(name: str) -> str:
    """`name`, cut where the ending would make it longer than a file system takes."""
    return os.fsdecode(os.fsencode(name)[: NAME_BYTES - len(PART)])
