"""Processes, as far as their system tells: whether one runs, its memory, files, cores and user.

Where Python has no function for it, Windows is asked by its own names.
"""

from __future__ import annotations

import ctypes
import os
import sys

# Of the Windows API
SYNCHRONIZE = 0x0010_0000
ERROR_ACCESS_DENIED = 5
WAIT_TIMEOUT = 0x102
MIB = 1 << 20


class _MemoryCounters(ctypes.Structure):
    """PROCESS_MEMORY_COUNTERS of the Windows API."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("page_faults", ctypes.c_uint32),
        ("peak_working_set", ctypes.c_size_t),
        ("others", ctypes.c_size_t * 7),
    )


def available_cores() -> int:
    """Cores that this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def is_running(process: int) -> bool:
    """Whether a process of that number runs here.

    Raises OverflowError for a number that none can have.
    """
    if sys.platform == "win32":  # where os.kill(process, 0) would send it ctrl-C
        return _is_running_on_windows(process)
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
        return _peak_memory_on_windows_mb()
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


def _is_running_on_windows(process: int) -> bool:
    assert sys.platform == "win32"
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.OpenProcess.restype = ctypes.c_void_p
    kernel.OpenProcess.argtypes = (ctypes.c_uint32, ctypes.c_int, ctypes.c_uint32)
    kernel.WaitForSingleObject.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
    kernel.CloseHandle.argtypes = (ctypes.c_void_p,)
    handle = kernel.OpenProcess(SYNCHRONIZE, False, process)
    if not handle:
        return ctypes.get_last_error() == ERROR_ACCESS_DENIED  # somebody else's
    try:
        return bool(kernel.WaitForSingleObject(handle, 0) == WAIT_TIMEOUT)
    finally:
        kernel.CloseHandle(handle)


def _peak_memory_on_windows_mb() -> float | None:
    assert sys.platform == "win32"
    kernel = ctypes.WinDLL("kernel32")
    kernel.GetCurrentProcess.restype = ctypes.c_void_p
    read = kernel.K32GetProcessMemoryInfo
    read.argtypes = (ctypes.c_void_p, ctypes.POINTER(_MemoryCounters), ctypes.c_uint32)
    counters = _MemoryCounters(size=ctypes.sizeof(_MemoryCounters))
    if not read(kernel.GetCurrentProcess(), ctypes.byref(counters), counters.size):
        return None
    return round(counters.peak_working_set / MIB, 1)
