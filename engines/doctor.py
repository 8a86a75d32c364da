"""What is installed, what runs, what is missing and how to get it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from typing import Any

from .errors import MicrospotError, missing_library
from .runtime import select
from .runtime.builder import MODULES
from .runtime.cache import cache_folder
from .runtime.nvidia import Gpu, find_gpu
from .runtime.plans import EVERY_WHEEL
from .runtime.tensorrt_set import missing

PACKAGES = (
    "numpy", "numba", "opencv-contrib-python", "mediapipe", "onnxruntime", "av", "torch", "onnx", "onnxscript",
    "filelock", *EVERY_WHEEL,
)  # fmt: skip


def examine() -> dict[str, Any]:
    """One value a line: versions, GPU and driver, what `auto` takes and why, what each backend lacks, the weights."""
    report: dict[str, Any] = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
    }
    report |= {package: _version(package) for package in PACKAGES}
    gpu = find_gpu()
    report["gpu"] = f"{gpu.name}, SM {gpu.sm}, {gpu.driver}" if isinstance(gpu, Gpu) else gpu
    for backend in MODULES:
        lacks = missing(backend)
        report[f"backend {backend}"] = f"needs {' and '.join(lacks)}" if lacks else "ready"
    report["cache"] = str(cache_folder())
    chosen, precision, why = select.choose_backend("auto")
    report |= {"backend": f"{chosen}:{precision}" if precision else chosen, "why": why}
    report["weights"], report["face_model"] = _weights(), _face_model()
    return report


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _weights() -> str:
    """On the CPU, so that a diagnosis builds no engines."""
    try:
        with select.load_engines(backend="onnx") as engines:
            return engines.digest[:12]
    except MicrospotError as error:
        return f"broken: {error}"


def _face_model() -> str:
    """Open the landmarker once: its first failing import names a missing system library."""
    try:
        from .align import MediaPipeAligner

        MediaPipeAligner().close()
    except (OSError, ImportError, MicrospotError) as error:
        return f"cannot start: {missing_library(error) or error}"
    return "ready"
