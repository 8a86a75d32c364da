"""What only Windows itself tells, by functions of its API; empty elsewhere."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    import ctypes
    import winreg

    SYNCHRONIZE = 0x0010_0000
    ERROR_ACCESS_DENIED = 5
    WAIT_TIMEOUT = 0x102
    PROCESSOR = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"  # of the registry

    class _MemoryCounters(ctypes.Structure):
        """PROCESS_MEMORY_COUNTERS, in bytes."""

        _fields_ = (
            ("size", ctypes.c_uint32),
            ("page_faults", ctypes.c_uint32),
            ("peak_working_set", ctypes.c_size_t),
            ("others", ctypes.c_size_t * 7),
        )

    def is_running(process: int) -> bool:
        """Whether a process of that number runs."""
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.OpenProcess.restype = ctypes.c_void_p
        kernel.OpenProcess.argtypes = (ctypes.c_uint32, ctypes.c_int, ctypes.c_uint32)
        kernel.WaitForSingleObject.restype = ctypes.c_uint32
        kernel.WaitForSingleObject.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
        kernel.CloseHandle.argtypes = (ctypes.c_void_p,)
        handle = kernel.OpenProcess(SYNCHRONIZE, 0, process)
        if not handle:
            return ctypes.get_last_error() == ERROR_ACCESS_DENIED  # somebody else's
        waited: int = kernel.WaitForSingleObject(handle, 0)
        kernel.CloseHandle(handle)
        return waited == WAIT_TIMEOUT

    def peak_memory_bytes() -> int:
        """The most memory that this process ever held."""
        kernel = ctypes.WinDLL("kernel32")
        kernel.GetCurrentProcess.restype = ctypes.c_void_p
        ask = kernel.K32GetProcessMemoryInfo
        ask.argtypes = (ctypes.c_void_p, ctypes.POINTER(_MemoryCounters), ctypes.c_uint32)
        counters = _MemoryCounters(size=ctypes.sizeof(_MemoryCounters))
        if not ask(kernel.GetCurrentProcess(), ctypes.byref(counters), counters.size):
            raise ctypes.WinError()
        return int(counters.peak_working_set)

    def processor() -> str:
        """The name of the processor. Raises OSError where the registry has none."""
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, PROCESSOR) as key:
            return str(winreg.QueryValueEx(key, "ProcessorNameString")[0]).strip()
