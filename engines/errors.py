"""Every error microspot raises on purpose, each with the exit code of the command line.

    MicrospotError
    ├── UsageError      2   an option, a configuration key or a combination that does not exist
    ├── SourceError     3   a camera, stream or file cannot be opened, or yields no frame
    ├── EngineError     4   weights missing, changed or of another spec; a backend that is not there
    └── DataError       5   malformed annotations, an unwritable output, a full disk

The message is one line that says what to do. Anything else that escapes is a bug.
"""

from __future__ import annotations

import re

from .text.redaction import shown


class MicrospotError(Exception):
    """Base of all expected failures. `exit_code` is what the commands return.

    Whatever the message quotes (a path, an option, the words of a library), it is one printable
    line without secrets.
    """

    exit_code = 1

    def __init__(self, message: object = "") -> None:
        super().__init__(shown(str(message)))


class UsageError(MicrospotError):
    """An option, a configuration key or a combination of them does not exist."""

    exit_code = 2


class SourceError(MicrospotError):
    """A camera, stream or file cannot be opened, or yields no frame."""

    exit_code = 3


class EngineError(MicrospotError):
    """Weights are missing, changed or of another spec, or a backend is not there."""

    exit_code = 4


class DataError(MicrospotError):
    """Annotations are malformed, an output cannot be written, or a disk is full."""

    exit_code = 5


# What MediaPipe and OpenCV ask of the system.
LIBRARIES = "apt install libegl1 libgles2 libgl1 libglib2.0-0"
# What an error says of a library that a system lacks, and where it comes from.
MISSING = {
    r"\.so\b": f"on Debian or Ubuntu: {LIBRARIES}",
    "DLL load failed": "install Microsoft's Visual C++ Redistributable and, on Windows N, its "
    "Media Feature Pack",
}


def missing_library(error: Exception) -> EngineError | None:
    """The EngineError for a shared library that cannot be loaded; None for another `error`."""
    if not isinstance(error, ImportError | OSError):
        return None
    for sign, advice in MISSING.items():
        if re.search(sign, str(error)):
            return EngineError(f"a system library cannot be loaded ({error}); {advice}")
    return None


def install(extra: str) -> str:
    """The command that installs an extra, for messages: the project is on no package index."""
    return f"pip install '.[{extra}]' in the checkout"
