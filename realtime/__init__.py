"""The package realtime flows: frames in, events out. It never imports torch, tensorrt or gradio.

One frame, from camera to overlay:

    sources     a camera, stream or file yields Frame(source, index, captured_ns, image)
    feed        its thread keeps one frame per tick (spotting/frame_decimator) and has the face
                aligned: Crop
    pipeline    one loop takes an item of every feed and runs the sessions of all sources
                (source_run) together; their requests share batches (spotting/batching)
    session     the crop enters the ring; the encoder makes its feature, once
    spotting/   time_grid: capture times become ticks; scorer: one new column, one new score for
                each window length; refinement: windows that pass get a better interval;
                personal_threshold: which of them pass, by what the face did before;
                streaming_nms: overlapping intervals compete until nothing later can matter;
                event_builder: the recognizer names the final interval: Event
    watch       hands every record to the sinks, and every frame with its views to those that
                draw (overlay/draw)

The modules:

    session     the state of one face (READ THIS FIRST)
    pipeline    many feeds, one engine set, one loop
    source_run  one source while a pipeline runs it: sessions, counts, open outages
    feed        the thread of one source: what counts as evidence
    start_record  what a run can be told apart by later
    gaps        from the last frame used to the first used after it
    records     Frame, Crop, Gap, Event, View and the others that flow
    config      every setting, with its default
    watch       from a pipeline to sinks; interruptions, warnings, exit code
    evaluate    the live pipeline on annotated video, scored
    meter       what a pipeline counts: time per stage, rates, latencies
    cores       one thread of OpenCV while a pipeline is open
    errors      the expected errors and their exit codes

    sources/    cameras, streams, files, image folders, the synthetic sample
    spotting/   from the crops of a face to decided intervals
    overlay/    the picture that a person watches
    markers/    stimulus markers from other programs, among the records
    sinks/      JSON lines, CSV, ELAN, HTML, video, window, live table, LSL
    processes/  many cameras over several processes
    fleet/      many cameras over many machines
    analyze/    recordings one after the other, a folder of results for each
    datasets/   licensed data sets through the same path as analyze, and scored
    study/      what may be said of a licensed data set, and how far generated MEs are from it
    review/     the events of analyze, checked by people
    bench/      time per stage beside its yardsticks
    commands/   the command line `microspot`
    sample/     the sample clip

Names are loaded when first used: importing the package starts nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config import Settings
    from .markers.open import open_markers
    from .pipeline import Pipeline, SourceEnd
    from .records import (
        Crop,
        Event,
        Frame,
        Gap,
        Marker,
        PersonalState,
        SourceState,
        SourceWarning,
        View,
    )
    from .session import Session
    from .sinks.base import Sink
    from .sinks.open import open_sink
    from .sources.open import open_source, open_sources

__all__ = [
    "Crop",
    "Event",
    "Frame",
    "Gap",
    "Marker",
    "PersonalState",
    "Pipeline",
    "Session",
    "Settings",
    "Sink",
    "SourceEnd",
    "SourceState",
    "SourceWarning",
    "View",
    "open_markers",
    "open_sink",
    "open_source",
    "open_sources",
]
_HOMES = {
    "config": ("Settings",),
    "markers.open": ("open_markers",),
    "pipeline": ("Pipeline", "SourceEnd"),
    "records": (
        "Crop",
        "Event",
        "Frame",
        "Gap",
        "Marker",
        "PersonalState",
        "SourceState",
        "SourceWarning",
        "View",
    ),
    "session": ("Session",),
    "sinks.base": ("Sink",),
    "sinks.open": ("open_sink",),
    "sources.open": ("open_source", "open_sources"),
}


def __getattr__(name: str) -> Any:
    import importlib

    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
