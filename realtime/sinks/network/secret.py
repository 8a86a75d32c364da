"""Secrets that a run is given: in the environment, or in a file that the environment names."""

from __future__ import annotations

import os
from pathlib import Path

from ...errors import UsageError

SHORTEST = 16  # bytes
FILE = "_FILE"  # ends the name of a variable that names a file


def read_secret(variable: str, shortest: int = SHORTEST) -> bytes | None:
    """The secret of `variable`, or of the file that `variable`_FILE names; None without.

    Raises UsageError for a file that cannot be read, and for a secret of fewer than `shortest`
    bytes, which can be guessed.
    """
    text = os.environ.get(variable, "")
    file = os.environ.get(f"{variable}{FILE}", "")
    if file:
        try:
            text = Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{variable}{FILE}: {file} cannot be read") from error
    secret = text.encode("utf-8", "surrogateescape")
    if (text or file) and len(secret) < shortest:
        raise UsageError(f"{variable}: expected {shortest} bytes or more")
    return secret or None


def read_anew(variable: str, before: bytes | None) -> bytes | None:
    """The secret as it is now, while a run goes on; where there was one before there stays one.

    Raises UsageError as `read_secret`, and where the secret is gone.
    """
    secret = read_secret(variable)
    if secret is None and before is not None:
        raise UsageError(f"{variable} is gone")
    return secret
