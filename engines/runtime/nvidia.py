"""Is there an NVIDIA GPU? Asked of the driver itself, before any TensorRT runtime is built.

Without a driver, TensorRT's runtime has been seen to give an object that kills the process when it is touched, past any
try and except. The driver's own library can be asked safely, and is quicker than importing torch.
"""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from functools import cache
from typing import Any

LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
MAJOR, MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR
NAME_BYTES = 256
NO_DRIVER = "no NVIDIA driver"


@dataclass(frozen=True)
class Gpu:
    """The GPU that engines run on (device 0; CUDA_VISIBLE_DEVICES chooses another)."""

    name: str
    sm: int  # compute capability without the point: 89 is 8.9
    driver: str  # CUDA version that the driver has, such as 12.8


@cache
def find_gpu() -> Gpu | str:
    """The GPU, or why there is none, in words."""
    try:
        library: Any = ctypes.CDLL(LIBRARY)
    except OSError:
        return NO_DRIVER
    try:
        return _ask(library)
    except (_DriverError, AttributeError) as error:
        return f"NVIDIA driver without a usable GPU ({error})"


class _DriverError(Exception):
    """A call of the driver's library failed."""


def _ask(library: Any) -> Gpu:
    def call(function: str, *arguments: Any) -> None:
        if code := getattr(library, function)(*arguments):
            raise _DriverError(f"{function} gives error {code}")

    call("cuInit", 0)
    device, version, major, minor = (ctypes.c_int() for _ in range(4))
    name = ctypes.create_string_buffer(NAME_BYTES)
    call("cuDriverGetVersion", ctypes.byref(version))
    call("cuDeviceGet", ctypes.byref(device), 0)
    call("cuDeviceGetName", name, NAME_BYTES, device)
    call("cuDeviceGetAttribute", ctypes.byref(major), MAJOR, device)
    call("cuDeviceGetAttribute", ctypes.byref(minor), MINOR, device)
    driver = f"{version.value // 1000}.{version.value % 1000 // 10}"
    return Gpu(name.value.decode(errors="replace"), 10 * major.value + minor.value, driver)
