"""Where in a folder the tables of a data set lie."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from ...errors import DataError

DEPTH = 2  # folders below the given one that are looked into: further down lie frames


def find(folder: Path, patterns: Sequence[str]) -> Path:
    """The first file whose name fits one of the patterns, those that stand first preferred.

    folder: of the data set, or the file itself. Raises DataError where none is there.
    """
    found = find_any(folder, patterns)
    if found is None:
        if not folder.exists():
            raise DataError(f"{folder} does not exist: give the folder of the data set")
        raise DataError(f"{folder} has no table {' or '.join(patterns)} ({DEPTH} folders deep)")
    return found


def find_any(folder: Path, patterns: Sequence[str]) -> Path | None:
    """As `find`; None where none is there."""
    if folder.is_file():
        return folder if any(_fits(folder, pattern) for pattern in patterns) else None
    files = list(_files(folder, DEPTH)) if folder.is_dir() else []
    for pattern in patterns:
        for path in files:
            if _fits(path, pattern):
                return path
    return None


def _fits(path: Path, pattern: str) -> bool:
    # Excel keeps a file ~$… beside one that is open.
    return fnmatch(path.name.lower(), pattern.lower()) and not path.name.startswith(("~", "."))


def _files(folder: Path, depth: int) -> list[Path]:
    """Files of a folder and of those below it, by name; a folder of frames is listed, not read."""
    try:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}") from error
    found = [Path(entry.path) for entry in listed if entry.is_file()]
    if depth:
        for entry in listed:
            if entry.is_dir():
                found += _files(Path(entry.path), depth - 1)
    return found
