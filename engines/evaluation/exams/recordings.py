"""Recordings, which examinations evaluate, and the results of spotting in them.

A recording is aligned crops of one face with all movements that are known in them. It is run as a
whole segment by `engines.reference`; counts are also given by displacement, which shows how faint a
movement may be.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...alignment.face_template import SPAN
from ...clips import SECOND_NS, to_ticks
from ...data.generator.actions import MESH_WIDTH_CM
from ...data.generator.timeline import Movement
from ...intervals import Intervals, iou
from ...reference import spot
from ...runtime.engine import EngineSet
from ..calibration import clip_features
from ..metrics import HIT_IOU, one_to_one

# Displacements are reported in px of a 160 px crop that is 19 cm wide, as the field does.
REFERENCE_PX_PER_CM = 8.4
BINS_PX = (0.5, 1.0, 2.0)  # edges of the reported displacements

Say = Callable[[str], None]


def silent(_: str) -> None:
    """Report nothing: the default of `progress`."""


def reference_px(px: float, side: int) -> float:
    """Crop px of our template at `side` in px of the reference crop, by cm of one mean face."""
    return px * REFERENCE_PX_PER_CM * SPAN * MESH_WIDTH_CM / side


def crop_px(px: float, side: int) -> float:
    """Px of the reference crop in crop px of our template at `side`."""
    return px * side / (REFERENCE_PX_PER_CM * SPAN * MESH_WIDTH_CM)


@dataclass(frozen=True, eq=False)
class Recording:
    """One segment of a face: times_ns (N,), crops (N, 3, S, S) uint8 RGB, known movements."""

    name: str
    times_ns: NDArray[np.int64]
    crops: NDArray[np.uint8]
    movements: tuple[Movement, ...] = ()

    @property
    def minutes(self) -> float:
        """From the first frame to the last."""
        return float(self.times_ns[-1] - self.times_ns[0]) / SECOND_NS / 60

    def micros(self) -> list[Movement]:
        """The micro-expressions."""
        return [m for m in self.movements if m.kind == "micro"]

    def micro_spans(self) -> NDArray[np.int64]:
        """Onset and offset of the micro-expressions, (G, 2) in ns."""
        spans = [(m.onset_ns, m.offset_ns) for m in self.micros()]
        return np.asarray(spans, np.int64).reshape(-1, 2)


@dataclass(frozen=True, eq=False)
class SpottingResult:
    """What was spotted in a recording, in ticks, and what it hit.

    hits: which found interval hit which micro-expression, one to one. mislocated: number of found
    intervals that hit nothing but overlap a micro-expression.
    """

    recording: Recording
    found: Intervals
    hits: tuple[tuple[int, int], ...]  # (index in found, index in recording.micros())
    mislocated: int = 0


def examine(recording: Recording, engines: EngineSet) -> SpottingResult:
    """Spot the recording as one segment and match what is found with what is known, at HIT_IOU."""
    found = spot(clip_features(recording.crops, recording.times_ns, engines), engines)
    spans = recording.micro_spans()
    origin = int(recording.times_ns[0])
    start, stop = to_ticks(spans[:, 0], spans[:, 1], origin, engines.spotter.grid_hz)
    overlap = iou(found.start[:, None], found.stop[:, None], start, stop)
    hits = one_to_one(overlap, HIT_IOU)
    touching = set(np.flatnonzero(overlap.max(1, initial=0) > 0).tolist())
    mislocated = touching - {index for index, _ in hits}
    return SpottingResult(recording, found, tuple(hits), len(mislocated))


def without_pixels(result: SpottingResult) -> SpottingResult:
    """The result without the crops of its recording, so that many can be kept."""
    empty = np.empty((0, *result.recording.crops.shape[1:]), np.uint8)  # a view would keep them all
    return replace(result, recording=replace(result.recording, crops=empty))


def report(results: Sequence[SpottingResult], side: int) -> dict[str, Any]:
    """Precision, recall, F1 and false alarms per minute of all recordings, recall by displacement.

    `mislocated` of the false alarms overlap a micro-expression, at too low an IoU or as a second
    interval on it. side: of the crops in whose px the movements' `peak_px` are.
    """
    minutes = sum(result.recording.minutes for result in results)
    truths = sum(len(result.recording.micros()) for result in results)
    found = sum(len(result.found) for result in results)
    hits = sum(len(result.hits) for result in results)
    return {
        "minutes": round(minutes, 2),
        "truths": truths,
        "found": found,
        **figures(hits, found, truths),
        "false_alarms_per_min": round((found - hits) / minutes, 3) if minutes else None,
        "mislocated": sum(result.mislocated for result in results),
        "recall_by_px": _by_displacement(results, side),
    }


def figures(hits: int, found: int, truths: int) -> dict[str, float]:
    """Precision, recall and F1; 0 where nothing was found or nothing is there."""
    precision = hits / found if found else 0.0
    recall = hits / truths if truths else 0.0
    f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
    return {"precision": round(precision, 4), "recall": round(recall, 4), "f1": round(f1, 4)}


def _by_displacement(results: Sequence[SpottingResult], side: int) -> dict[str, str]:
    """Hits of truths by their peak displacement in reference px, such as {"0.5-1": "3/7"}."""
    between = [f"{a:g}-{b:g}" for a, b in pairwise(BINS_PX)]
    names = [f"< {BINS_PX[0]:g}", *between, f"> {BINS_PX[-1]:g}"]
    hits = [0] * len(names)
    truths = [0] * len(names)
    for result in results:
        hit = {truth for _, truth in result.hits}
        for i, movement in enumerate(result.recording.micros()):
            px = reference_px(movement.peak_px, side)
            place = int(np.searchsorted(BINS_PX, px, side="right"))
            truths[place] += 1
            if i in hit:
                hits[place] += 1
    rows = zip(names, hits, truths, strict=True)
    return {name: f"{hit}/{count}" for name, hit, count in rows if count}
