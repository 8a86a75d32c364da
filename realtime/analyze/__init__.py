"""Recordings analysed one after the other: `microspot analyze VIDEO... --out DIR`.

run            all videos, by all cores, going on where an earlier run ended
videos         which videos a command names, and what their folders are called
workers        who analyses them: processes of this machine, or a Ray cluster
one_video      one video: the live pipeline, and what is written of it
scores_file    the scores of every tick as arrays
kept_scores    what thresholds that are chosen later need, on request
progress_note  how far a video has come, for whoever waits
final_overlay  the overlay in which events stand on their own frames
pictures/      pictures of each event in the report
index_page     a page over all videos
totals         how often MEs came in several videos together
conditions     whose the videos are, as a table says it
session_report/  the face's channels, blinks, responses to markers
found_events   what was found, for programs: records, and a table of pandas

In Python:

    from microspot.realtime.analyze import analyze

    results = analyze(["recordings/"], Path("results"))
    results.events
    results.to_pandas()

Names are loaded when first used: importing the package starts nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .run import AnalyzeOptions, Results, analyze

__all__ = ["AnalyzeOptions", "Results", "analyze"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from . import run

        return getattr(run, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
