"""engines computes: arrays in, arrays out. It knows faces; it knows no camera, thread or clock.

    with load_engines() as engines: ...          # MESNet spots, CMNet names; backend chosen and checked

Shape letters: B batch, K cameras, T time (ticks), L spatial feature, M window scales, P proposals, S crop side,
N clip length of CMNet, N_CR refine length, D lags. Intervals are half-open in ticks until they become events.
Names are loaded when first used: importing the package costs nothing and starts nothing.
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
