"""Recordings cut where the stream would see a Gap, and examined piece by piece."""

from __future__ import annotations

from itertools import pairwise

from ...alignment.bridge import BridgeOptions, breaks
from ...data.generator.timeline import Movement
from ...intervals import Intervals
from ...runtime.engine import EngineSet
from .recordings import Recording, SpottingResult, examine, without_pixels


def examine_segments(
    recording: Recording, engines: EngineSet, bridge: BridgeOptions | None = None
) -> list[SpottingResult]:
    """The result of every segment, without pixels.

    A recording without a segment gives one result in which nothing was found.
    """
    results = [without_pixels(examine(part, engines)) for part in segments(recording, bridge)]
    if results:
        return results
    nothing = SpottingResult(recording, Intervals.of([], [], []), (), lost=True)
    return [without_pixels(nothing)]


def segments(recording: Recording, options: BridgeOptions | None = None) -> list[Recording]:
    """Cut a recording where the stream would see a Gap.

    Each movement belongs to the segment that it overlaps most. Segments of one frame are left out,
    so that there may be none.
    """
    cuts = breaks(recording.times_ns.tolist(), options)
    edges = [0, *cuts, len(recording.times_ns)]
    rows = [slice(a, b) for a, b in pairwise(edges) if b - a > 1]
    if len(rows) == 1 and not cuts:
        return [recording]
    times = recording.times_ns
    spans = [(int(times[r.start]), int(times[r.stop - 1])) for r in rows]
    movements: list[list[Movement]] = [[] for _ in rows]
    if rows:
        for movement in recording.movements:
            movements[_most_overlapped(movement, spans)].append(movement)
    cut = []
    for i, r in enumerate(rows):
        name = f"{recording.name} {i}"
        cut.append(
            Recording(name, times[r], recording.crops[r], tuple(movements[i]), recording.cluster)
        )
    return cut


def _most_overlapped(movement: Movement, spans: list[tuple[int, int]]) -> int:
    """The index of the span (first, last) that a movement overlaps most."""
    overlaps = [
        min(movement.offset_ns, last) - max(movement.onset_ns, first) for first, last in spans
    ]
    return overlaps.index(max(overlaps))
