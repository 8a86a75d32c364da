"""realtime flows: frames in, events out. It never imports torch, tensorrt or gradio.

One frame, from camera to overlay:

    sources   a camera, stream or file yields Frame(index, captured_ns, image)
    feed      its thread keeps one frame per tick and has the face aligned: Crop
    pipeline  the loop takes one item of every feed and drives all sessions together
    session   the crop enters the ring; the encoder makes its feature, once
    clock     capture times become ticks of the weights' grid
    scorer    one new column gives one new score per window length
    session   windows that pass are refined: a better interval, a score
    settle    overlapping intervals compete; nothing later can change what is released
    session   the recognizer names the final interval: Event
    sinks     write it; overlay draws frame and View
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config import Settings
    from .pipeline import Pipeline
    from .records import Crop, Event, Frame, Gap, View
    from .session import Session
    from .sinks.open import open_sink
    from .sources.open import open_source

__all__ = [
    "Crop",
    "Event",
    "Frame",
    "Gap",
    "Pipeline",
    "Session",
    "Settings",
    "View",
    "open_sink",
    "open_source",
]
_HOMES = {
    "config": ("Settings",),
    "pipeline": ("Pipeline",),
    "records": ("Crop", "Event", "Frame", "Gap", "View"),
    "session": ("Session",),
    "sinks.open": ("open_sink",),
    "sources.open": ("open_source",),
}


def __getattr__(name: str) -> Any:
    import importlib

    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
