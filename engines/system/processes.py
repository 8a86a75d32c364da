"""Processes, as far as their system tells: whether one runs, its memory, files, cores and user.

Where Python has no function for it, `windows` asks.
"""

from __future__ import annotations

import os
import sys

if sys.platform == "win32":
    from . import windows

MIB = 1 << 20


def available_cores() -> int:
    """Cores that this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def is_running(process: int) -> bool:
    """Whether a process of that number runs here.

    Raises OverflowError for a number that none can have.
    """
    if sys.platform == "win32":  # where os.kill(process, 0) would send it ctrl-C
        return windows.is_running(process)
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def peak_memory_mb() -> float | None:
    """The most memory that this process ever held, in MiB; None where the system does not tell."""
    if sys.platform == "win32":
        return round(windows.peak_memory_bytes() / MIB, 1)
    try:
        import resource
    except ImportError:
        return None
    unit = MIB if sys.platform == "darwin" else 1 << 10  # macOS counts bytes, Linux KiB
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1)


def open_files_limit() -> int | None:
    """How many files this process may have open at once; None where there is no such limit."""
    if sys.platform == "win32":
        return None
    try:
        import resource
    except ImportError:
        return None
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def user_number() -> int | None:
    """The number of the user who runs this process; None where users have none."""
    ask = getattr(os, "getuid", None)
    return ask() if ask else None
