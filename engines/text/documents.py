"""TOML and JSON files that people hand in; whatever is wrong with one is one kind of error."""

from __future__ import annotations

import json
import os
import stat
import tomllib
from pathlib import Path
from typing import Any, NoReturn

MOST_BYTES = 1 << 20  # no settings and no manifest are as long; not from the papers


class DocumentError(ValueError):
    """The text says what is wrong, without the file's name."""


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises DocumentError."""
    text = _text(path)
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise DocumentError("its values are nested too deeply") from None
    except ValueError as error:  # of the format, or a number of thousands of digits
        raise DocumentError(_line(error)) from error


def read_json(path: Path, most_bytes: int = MOST_BYTES) -> dict[str, Any]:
    """The object of a JSON file; NaN and infinity are none of its numbers. Raises DocumentError."""
    text = _text(path, most_bytes)
    try:
        found = json.loads(text, parse_constant=_no_number)
    except RecursionError:
        raise DocumentError("its values are nested too deeply") from None
    except ValueError as error:
        raise DocumentError(_line(error)) from error
    if not isinstance(found, dict):
        raise DocumentError(f"expected an object {{...}}, got {type(found).__name__}")
    return found


def _text(path: Path, most_bytes: int = MOST_BYTES) -> str:
    """The text of a regular file of at most `most_bytes`.

    Nothing else is opened: a read from a pipe would wait for its writer.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise DocumentError(
                "it is a folder" if stat.S_ISDIR(status.st_mode) else "it is no file"
            )
        if status.st_size > most_bytes:
            raise DocumentError(f"{status.st_size} bytes, expected at most {most_bytes}")
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentError(f"it is no UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise DocumentError(error.strerror or os.strerror(error.errno or 0)) from error


def _no_number(name: str) -> NoReturn:
    raise DocumentError(f"{name} is no number of JSON")


def _line(error: ValueError) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
