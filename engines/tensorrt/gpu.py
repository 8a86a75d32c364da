"""Asks the driver itself for the NVIDIA GPU, before any TensorRT runtime is built.

Without a driver, TensorRT's runtime has been seen to give an object that kills the process when it
is touched, whatever try and except stand around it. The driver's own library can be asked safely,
and is quicker than importing torch.
"""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from functools import cache
from typing import Any

LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
NVML = "nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1"
# CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR
MAJOR = 75
MINOR = 76
TEXT_BYTES = 256
NO_DRIVER = "no NVIDIA driver"


@dataclass(frozen=True)
class Gpu:
    """The GPU that engines run on (device 0; CUDA_VISIBLE_DEVICES chooses another)."""

    name: str
    sm: int  # compute capability without the point: 89 is 8.9
    # CUDA version that the driver has, and its own where NVML tells: "CUDA 12.8, 570.86.15"
    driver: str


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
        code = getattr(library, function)(*arguments)
        if code:
            raise _DriverError(f"{function} gives error {code}")

    call("cuInit", 0)
    device, version, major, minor = (ctypes.c_int() for _ in range(4))
    name = ctypes.create_string_buffer(TEXT_BYTES)
    call("cuDriverGetVersion", ctypes.byref(version))
    call("cuDeviceGet", ctypes.byref(device), 0)
    call("cuDeviceGetName", name, TEXT_BYTES, device)
    call("cuDeviceGetAttribute", ctypes.byref(major), MAJOR, device)
    call("cuDeviceGetAttribute", ctypes.byref(minor), MINOR, device)
    driver = f"CUDA {version.value // 1000}.{version.value % 1000 // 10}"
    own = _own_version()
    return Gpu(
        name.value.decode(errors="replace"),
        10 * major.value + minor.value,
        f"{driver}, {own}" if own else driver,
    )


def _own_version() -> str:
    """The driver's own version by NVML; empty where that is missing, as in some containers."""
    text = ctypes.create_string_buffer(TEXT_BYTES)
    try:
        library: Any = ctypes.CDLL(NVML)
        library.nvmlInit_v2()
        library.nvmlSystemGetDriverVersion(text, TEXT_BYTES)  # leaves the text empty where it fails
        library.nvmlShutdown()
    except (OSError, AttributeError):
        return ""
    return text.value.decode(errors="replace")
