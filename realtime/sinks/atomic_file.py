"""Files that are replaced at once: whoever opens one finds the old or the new, never half of either."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import DataError
from .base import reason

PART = ".part"
NAME_BYTES = 255


def check_writable(path: Path) -> None:
    """Raise DataError where `replace_file` could not work, before a run that may last for days."""
    _guarded(path, None)


def replace_file(path: Path, content: bytes) -> None:
    """Write `content`; raises DataError with the file as it was before, and nothing left beside it.

    The part that a killed process leaves beside it is overwritten and gone. A device or pipe is written as it is.
    """
    _guarded(path, content)


def _guarded(path: Path, content: bytes | None) -> None:
    try:
        path = Path(os.path.realpath(path))  # the file that a link means, not the link
        if path.exists() and not path.is_file():
            if (
                content is not None or path.is_dir()
            ):  # a pipe that is opened and closed has told its reader to leave
                _write_through(path, content)
            return
        part = path.with_name(_shortened(path.name) + PART)
        try:
            part.write_bytes(b"" if content is None else content)
            if content is not None:
                os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"cannot write {path}: {reason(error)}") from error


def _write_through(path: Path, content: bytes | None) -> None:
    with path.open("wb", buffering=0) as file:
        file.write(content or b"")


def _shortened(name: str) -> str:
    """`name`, cut where the ending would make it longer than a file system takes."""
    return os.fsdecode(os.fsencode(name)[: NAME_BYTES - len(PART)])
