"""What is installed, what runs, what is missing and how to get it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from typing import Any

from . import loading
from .errors import MicrospotError, missing_library
from .tensorrt.builder import MODULES
from .tensorrt.cache import cache_folder
from .tensorrt.engine_set import missing
from .tensorrt.gpu import Gpu, find_gpu
from .tensorrt.plans import EVERY_WHEEL

PACKAGES = (
    "numpy",
    "numba",
    "scipy",
    "opencv-contrib-python",
    "mediapipe",
    "onnxruntime",
    "av",
    "torch",
    "onnx",
    "onnxscript",
    "filelock",
    *EVERY_WHEEL,
)


def examine() -> dict[str, Any]:
    """The state of the installation, one value a key.

    Versions of packages, GPU and driver, what each backend lacks, what `auto` takes and why, and
    whether the shipped weights and the face model can be used.
    """
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
    chosen, precision, why = loading.choose_backend("auto")
    report |= {"backend": f"{chosen}:{precision}" if precision else chosen, "why": why}
    report["weights"] = _weights()
    report["face_model"] = _face_model()
    return report


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _weights() -> str:
    """The digest of the shipped weights, loaded for the CPU: a diagnosis builds no engines."""
    try:
        with loading.load_engines(backend="onnx") as engines:
            return engines.digest[:12]
    except MicrospotError as error:
        return f"broken: {error}"


def _face_model() -> str:
    """Open the landmarker once: its first failing import names a missing system library."""
    try:
        from .alignment.aligner import MediaPipeAligner

        MediaPipeAligner().close()
    except (OSError, ImportError, MicrospotError) as error:
        return f"cannot start: {missing_library(error) or error}"
    return "ready"
