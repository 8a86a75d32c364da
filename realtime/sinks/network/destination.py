"""Where events may be sent: to this machine, or by TLS, to an address without a password.

The password of an address would stand in the list of processes and in the shell's history.
"""

from __future__ import annotations

import urllib.parse

from microspot.engines.text.redaction import redact_uri

from ...errors import UsageError
from .gate import LOOPBACK


def check_destination(
    address: str, *, plain: str, secure: str, password: str
) -> urllib.parse.SplitResult:
    """The parts of an address to which events may go. Raises UsageError.

    plain, secure: schemes without TLS and with it; password: the variable of the environment in
    which a password or token belongs.
    """
    shown = redact_uri(address)
    try:
        url = urllib.parse.urlsplit(address)
        url.port  # noqa: B018 (raises where it is no number)
    except ValueError as error:
        raise UsageError(f"--out {shown}: {error}") from error
    if not url.hostname:
        raise UsageError(f"--out {shown}: no host is named")
    if url.username is not None or url.password is not None:
        raise UsageError(f"--out {shown}: give the password as {password} in the environment")
    if url.scheme == plain and url.hostname not in LOOPBACK:
        raise UsageError(
            f"--out {shown}: events are personal and leave this machine by {secure} alone"
        )
    return url
