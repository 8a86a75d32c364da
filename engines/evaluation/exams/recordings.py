"""A take is what an examination looks at: aligned crops of one face with everything that is known to happen in them.

Takes are run as whole segments by `engines.reference`; counts are kept apart by displacement, so that a table can say
how faint a movement may be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...alignment.face_template import SPAN
from ...clips import SECOND_NS, to_ticks
from ...data.actions import MESH_WIDTH_CM
from ...data.timeline import Movement
from ...intervals import Intervals, iou
from ...reference import spot
from ...runtime.engine import EngineSet
from ..calibration import clip_features
from ..metrics import one_to_one

HIT_IOU = 0.5  # T_eval [S1 M12]
REFERENCE_PX_PER_CM = (
    8.4  # displacements are reported in px of a 160 px crop that is 19 cm wide, as the field does
)
BINS_PX = (0.5, 1.0, 2.0)  # lower edges of the reported displacements


def reference_px(px: float, side: int) -> float:
    """Crop px of our template at `side` -> px of the reference crop: both are cm of one mean face."""
    return px * REFERENCE_PX_PER_CM * SPAN * MESH_WIDTH_CM / side


def crop_px(px: float, side: int) -> float:
    """The way back."""
    return px * side / (REFERENCE_PX_PER_CM * SPAN * MESH_WIDTH_CM)


@dataclass(frozen=True, eq=False)
class Recording:
    """One segment: times_ns (N,), crops (N, 3, S, S) uint8 RGB, and the movements known in it (all kinds)."""

    name: str
    times_ns: NDArray[np.int64]
    crops: NDArray[np.uint8]
    movements: tuple[Movement, ...] = ()

    @property
    def minutes(self) -> float:
        return float(self.times_ns[-1] - self.times_ns[0]) / SECOND_NS / 60

    def micros(self) -> list[Movement]:
        """The micro-expressions."""
        return [m for m in self.movements if m.kind == "micro"]


@dataclass(frozen=True, eq=False)
class SpottingResult:
    """What was spotted in a take, in ticks, and which found interval hit which micro-expression (one to one).

    mislocated: found intervals that hit nothing but overlap a micro-expression.
    """

    take: Recording
    found: Intervals
    hits: tuple[tuple[int, int], ...]  # (index in found, index in take.micros())
    mislocated: int = 0


def examine(take: Recording, engines: EngineSet) -> SpottingResult:
    """Spot the take as one segment and match what is found with what is known, at IoU 0.5."""
    found = spot(clip_features(take.crops, take.times_ns, engines), engines)
    spans = np.asarray([(m.onset_ns, m.offset_ns) for m in take.micros()], np.int64).reshape(-1, 2)
    start, stop = to_ticks(spans[:, 0], spans[:, 1], int(take.times_ns[0]), engines.spotter.grid_hz)
    overlap = iou(found.start[:, None], found.stop[:, None], start, stop)
    hits = one_to_one(overlap, HIT_IOU)
    astray = set(np.flatnonzero(overlap.max(1, initial=0) > 0).tolist()) - {
        found for found, _ in hits
    }
    return SpottingResult(take, found, tuple(hits), len(astray))


def without_pixels(verdict: SpottingResult) -> SpottingResult:
    """The same, its crops given back, so that many can be kept."""
    empty = np.empty((0, *verdict.take.crops.shape[1:]), np.uint8)  # a view would keep them all
    return replace(verdict, take=replace(verdict.take, crops=empty))


def report(verdicts: Sequence[SpottingResult], side: int) -> dict[str, Any]:
    """Precision, recall, F1, false alarms per minute of all takes together, and recall by displacement.

    `mislocated` of the false alarms overlap a micro-expression, at too low an IoU or as a second interval on it.
    side: of the crops whose px the movements' `peak_px` are.
    """
    minutes = sum(v.take.minutes for v in verdicts)
    truths, found, hits = (sum(count(v) for v in verdicts) for count in (_truths, _found, _hits))
    return {
        "minutes": round(minutes, 2), "truths": truths, "found": found,
        **figures(hits, found, truths),
        "false_alarms_per_min": round((found - hits) / minutes, 3) if minutes else None,
        "mislocated": sum(v.mislocated for v in verdicts),
        "recall_by_px": _by_displacement(verdicts, side),
    }  # fmt: skip


def figures(hits: int, found: int, truths: int) -> dict[str, float]:
    """Precision, recall and F1; 0 where nothing was found or nothing is there."""
    precision, recall = hits / found if found else 0.0, hits / truths if truths else 0.0
    f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
    return {"precision": round(precision, 4), "recall": round(recall, 4), "f1": round(f1, 4)}


def _truths(verdict: SpottingResult) -> int:
    return len(verdict.take.micros())


def _found(verdict: SpottingResult) -> int:
    return len(verdict.found)


def _hits(verdict: SpottingResult) -> int:
    return len(verdict.hits)


def _by_displacement(verdicts: Sequence[SpottingResult], side: int) -> dict[str, str]:
    """ "0.5-1": "hits/truths" by the peak displacement in reference px."""
    edges = [0.0, *BINS_PX, np.inf]
    counts = np.zeros((2, len(edges) - 1), int)
    for verdict in verdicts:
        caught = {truth for _, truth in verdict.hits}
        for i, movement in enumerate(verdict.take.micros()):
            bin_ = (
                int(np.searchsorted(edges, reference_px(movement.peak_px, side), side="right")) - 1
            )
            counts[:, bin_] += (i in caught, 1)
    names = [f"< {BINS_PX[0]:g}", *(f"{a:g}-{b:g}" for a, b in pairwise(BINS_PX)),
             f"> {BINS_PX[-1]:g}"]  # fmt: skip
    return {
        name: f"{hit}/{all_}"
        for name, hit, all_ in zip(names, *counts.tolist(), strict=True)
        if all_
    }
