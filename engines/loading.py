"""From a folder of weights to engines that run on a chosen backend.

The manifest is read and every file that is used is verified (`manifest`); `choose_backend` says
which backend runs and why.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from .errors import MicrospotError, UsageError
from .manifest import LABELS, PACKAGED, UNITS, Weights
from .runtime.engine import Engine, EngineSet
from .runtime.onnx_engine import load_onnx
from .runtime.torch_engine import load_torch
from .specs import RecognizerSpec, SpotterSpec
from .tensorrt.builder import MODULES, PRECISIONS
from .tensorrt.engine_set import PRECISION, load_on_gpu, missing
from .tensorrt.gpu import find_gpu

BASELINE = "baseline"
AUTO = "auto"

Loader = Callable[
    [SpotterSpec, RecognizerSpec | None, int, Callable[[str], bytes]], dict[str, Engine]
]
BACKENDS: dict[str, Loader] = {
    "onnx": load_onnx,
    "tensorrt": partial(load_on_gpu, "tensorrt"),
    "rtx": partial(load_on_gpu, "rtx"),
    "torch": load_torch,
}
CPU = "onnx"


def load_engines(
    folder: Path | str | None = None, backend: str = "auto", labels: int | str | None = 3
) -> EngineSet:
    """Load, verify and start a set of engines.

    Args:
        folder: None for the packaged weights, "baseline" for the traditional method without
            weights, else a folder with `manifest.json`.
        backend: `auto`, or one of `BACKENDS`, which never falls back; tensorrt and rtx compute in
            FP16, or in float32 as `rtx:fp32`.
        labels: 3 or 5 classes, as a number or as text; "units" for action units without an emotion
            word. Weights without any recognizer give a set without one. None leaves the recognizer
            out: no emotion class is computed.

    Raises:
        EngineError: weights are missing, changed or of another spec, or the backend is not there.
        UsageError: the backend does not exist, or the labels are neither 3, 5 nor units.
    """
    chosen, precision, reason = choose_backend(backend)
    if labels is not None and str(labels) not in {*map(str, LABELS), UNITS}:
        raise UsageError(f"labels {labels}: expected {', '.join(map(str, LABELS))} or {UNITS}")
    if folder is not None and str(folder) == BASELINE:
        from .baseline import load  # not at the top: the baseline is built on this package

        return load()
    weights = Weights.open(PACKAGED if folder is None else Path(folder))
    classes = 0  # of the recognizer, where there is one
    if labels is not None:
        classes = weights.labels_for_units() if labels == UNITS else int(labels)
    recognizer = weights.recognizer(classes) if classes else None
    try:
        engines = _loader(chosen, precision)(weights.spotter, recognizer, classes, weights.read)
    except MicrospotError as error:
        if backend != AUTO or chosen == CPU:
            raise
        # auto still runs on the CPU, for example when the engine cache is not writable
        reason = f"auto: ONNX Runtime on the CPU, since {chosen} cannot run: {error}"
        chosen = CPU
        precision = ""
        engines = load_onnx(weights.spotter, recognizer, classes, weights.read)
    return EngineSet(
        name="packaged" if folder is None else weights.folder.resolve().name,
        backend=chosen,
        spotter=weights.spotter,
        encoder=engines["encoder"],
        proposer=engines["proposer"],
        refiner=engines["refiner"],
        recognizer=engines.get("recognizer"),
        recognizer_spec=recognizer,
        digest=weights.digest,
        backend_reason=reason,
        precision=precision or "fp32",
        emotions=labels not in (None, UNITS),
    )


def wanted_labels(labels: str, no_labels: bool) -> str | None:
    """What `load_engines` is asked for by the options --labels and --no-labels.

    Raises UsageError where both are given.
    """
    if no_labels and labels != str(LABELS[0]):
        raise UsageError(f"--no-labels computes no emotion class: leave --labels {labels} out")
    return None if no_labels else labels


def choose_backend(backend: str) -> tuple[str, str, str]:
    """Backend, precision and the reason in words for `auto`, a backend, or the like of `rtx:fp32`.

    The precision is "" on a CPU. Whether a backend that is named can run is seen when it loads.
    Raises UsageError for a backend or precision that does not exist.
    """
    name, colon, precision = backend.partition(":")
    if backend == AUTO:
        return _automatic()
    if name not in BACKENDS or (colon and (name not in MODULES or precision not in PRECISIONS)):
        known = [
            AUTO,
            *BACKENDS,
            *(f"{name}:{precision}" for name in MODULES for precision in PRECISIONS),
        ]
        raise UsageError(f"backend {backend!r}: expected one of {', '.join(known)}")
    return name, precision or (PRECISION if name in MODULES else ""), "asked for by name"


def _automatic() -> tuple[str, str, str]:
    """TensorRT, then TensorRT for RTX, then the CPU; the driver is asked first."""
    gpu = find_gpu()
    if isinstance(gpu, str):
        return CPU, "", f"auto: ONNX Runtime on the CPU ({gpu})"
    for backend in MODULES:
        if not missing(backend):
            return backend, PRECISION, f"auto: {backend} in {PRECISION} on {gpu.name} (SM {gpu.sm})"
    lacks = "; ".join(f"{backend} needs {' and '.join(missing(backend))}" for backend in MODULES)
    return CPU, "", f"auto: ONNX Runtime on the CPU, although there is {gpu.name}: {lacks}"


def _loader(backend: str, precision: str) -> Loader:
    return partial(load_on_gpu, backend, precision=precision) if precision else BACKENDS[backend]
