"""Which format a coded file is of, and its intervals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ...errors import DataError
from ..tables import read_text
from . import boris, datavyu, elan, observer, textgrid
from .pairing import CodedInterval

# By the ending of the file's name.
BY_ENDING: dict[str, Callable[[Path], list[CodedInterval]]] = {
    ".eaf": elan.read,
    ".boris": boris.read_project,
    ".textgrid": textgrid.read,
}
# By what a text begins with.
BY_TEXT: tuple[tuple[Callable[[str], bool], Callable[[Path, str], list[CodedInterval]]], ...] = (
    (datavyu.is_one, datavyu.parse),
    (observer.is_one, observer.parse),
    (boris.is_table, boris.parse_table),
)


def read_coded(path: Path) -> list[CodedInterval] | None:
    """The micro- and macro-expressions of a coded file; None for another kind of file.

    A behaviour, tier or column counts by its name, which holds "micro" or "macro". Raises DataError
    where the file is damaged or codes something else alone, UsageError where a library is missing.
    """
    by_ending = BY_ENDING.get(path.suffix.lower())
    if by_ending is not None:
        return _told(path, lambda: by_ending(path))
    text = read_text(path)
    for is_one, parse in BY_TEXT:
        if is_one(text):
            return _told(path, lambda parse=parse: parse(path, text))  # type: ignore[misc]
    return None


def _told(path: Path, read: Callable[[], list[CodedInterval]]) -> list[CodedInterval]:
    """What `read` gives; its errors with the file's name."""
    try:
        return read()
    except DataError as error:
        if str(path) in str(error):
            raise
        raise DataError(f"{path}: {error}") from error
