"""The package engines computes: arrays in, arrays out.

It knows faces, but no camera, thread or clock.

    with load_engines() as engines: ...   # MESNet spots, CMNet names; backend chosen and checked

    specs         what weights promise: rates, sizes, windows, thresholds, tensor shapes
    manifest      a folder of weights, every file verified before it is used
    loading       from a folder of weights to engines that run on a chosen backend
    clips         time arithmetic: lags, ticks of the grid, windows, resampling
    intervals     intervals on the tick axis: IoU, non-maximum suppression, offsets
    reference     offline spotting of a whole segment, which the stream must equal
    running_neutral  what a face scores at rest, and the threshold of its own that follows
    rejected_memory  events that a person rejected, whose like is no event again
    baseline      feature difference in a fixed window, the number to beat
    receptive     receptive fields of stacked convolutions, the source of look-ahead
    errors        every expected error, with its exit code
    telemetry     switches that keep libraries from sending data to their makers
    doctor        what is installed, what runs, what is missing

    alignment/    BGR image -> steady face crops with quality
    magnification/  small movements made large, in pictures for people
    networks/     MESNet (spotter) and CMNet (recognizer) in torch
    runtime/      the engine protocol, ONNX Runtime and torch behind it
    tensorrt/     engines built for and run on an NVIDIA GPU
    export/       torch -> ONNX, checked
    training/     losses, targets and the training loops
    reviewed_person/  an examination that trains: what fine-tuning on reviewed events is worth
    evaluation/   metrics, calibration, examinations
    data/         annotations, footage, faces, and the generator of synthetic clips
    text/         what may be shown, and TOML and JSON that people hand in
    commands/     the command line `microspot-engines`
    weights/      what ships

Shape letters: B batch, K cameras, T time (ticks), L spatial feature, M window scales, P proposals,
S crop side, N clip length of CMNet, N_CR refine length, D lags. Intervals are half-open in ticks
until they become events. Names are loaded when first used: importing the package starts nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .alignment.aligner import MediaPipeAligner
    from .errors import DataError, EngineError, MicrospotError, SourceError, UsageError
    from .intervals import Intervals, nms
    from .loading import load_engines
    from .runtime.engine import EngineSet, FunctionEngine
    from .specs import RecognizerSpec, SpotterSpec

__all__ = [
    "DataError",
    "EngineError",
    "EngineSet",
    "FunctionEngine",
    "Intervals",
    "MediaPipeAligner",
    "MicrospotError",
    "RecognizerSpec",
    "SourceError",
    "SpotterSpec",
    "UsageError",
    "load_engines",
    "nms",
]
_HOMES = {
    "alignment.aligner": ("MediaPipeAligner",),
    "errors": ("DataError", "EngineError", "MicrospotError", "SourceError", "UsageError"),
    "intervals": ("Intervals", "nms"),
    "runtime.engine": ("EngineSet", "FunctionEngine"),
    "loading": ("load_engines",),
    "specs": ("RecognizerSpec", "SpotterSpec"),
}


def __getattr__(name: str) -> Any:
    import importlib

    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
