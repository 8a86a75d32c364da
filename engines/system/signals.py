"""The signals that end a command: from ctrl-C, a supervisor, and a terminal that closes.

Windows has no SIGHUP. Its ctrl-Break, SIGBREAK, is also what a program can send to another one, and
what closing a console comes as; it means the same as ctrl-C here.
"""

from __future__ import annotations

import signal


def _known(*names: str) -> tuple[signal.Signals, ...]:
    """Those of the named signals that this system has."""
    return tuple(signal.Signals[name] for name in names if hasattr(signal, name))


ENDINGS = _known("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
HANGUP: signal.Signals | None = next(iter(_known("SIGHUP")), None)
