"""Recordings, which examinations evaluate, and the results of spotting in them.

A recording is aligned crops of one face with all movements that are known in them. It is run as a
whole segment by `engines.reference`; counts are also given by displacement, which shows how faint a
movement may be. Movements that nobody can judge (doubtful ones) count nowhere: what fits one is
neither a hit nor a false alarm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...clips import SECOND_NS, to_ticks
from ...data.generator.timeline import Movement
from ...data.generator.truth import DOUBTFUL, MICRO
from ...intervals import Intervals
from ...reference import spot
from ...runtime.engine import EngineSet
from ..calibration import Spans, clip_features, judged, overlaps
from ..metrics import HIT_IOU, one_to_one
from .surroundings import surroundings_px

Say = Callable[[str], None]


def silent(_: str) -> None:
    """Report nothing: the default of `progress`."""


@dataclass(frozen=True, eq=False)
class Recording:
    """One segment of a face: times_ns (N,), crops (N, 3, S, S) uint8 RGB, known movements.

    cluster: what figures are resampled by, a face or a piece of footage; by default the name.
    """

    name: str
    times_ns: NDArray[np.int64]
    crops: NDArray[np.uint8]
    movements: tuple[Movement, ...] = ()
    cluster: str = ""

    def __post_init__(self) -> None:
        if not self.cluster:
            object.__setattr__(self, "cluster", self.name)

    @property
    def minutes(self) -> float:
        """From the first frame to the last."""
        return float(self.times_ns[-1] - self.times_ns[0]) / SECOND_NS / 60

    def micros(self) -> list[Movement]:
        """The micro-expressions."""
        return [m for m in self.movements if m.kind == MICRO]

    def micro_spans(self) -> NDArray[np.int64]:
        """Onset and offset of the micro-expressions, (G, 2) in ns."""
        return _spans(self.micros())

    def doubtful_spans(self) -> NDArray[np.int64]:
        """Onset and offset of the doubtful movements, (D, 2) in ns."""
        return _spans([m for m in self.movements if m.kind == DOUBTFUL])


def _spans(movements: Sequence[Movement]) -> NDArray[np.int64]:
    return np.asarray([(m.onset_ns, m.offset_ns) for m in movements], np.int64).reshape(-1, 2)


@dataclass(frozen=True, eq=False)
class SpottingResult:
    """What was spotted in a recording, in ticks, and what it hit.

    found: without what fits a doubtful movement. hits: which found interval hit which
    micro-expression, one to one. mislocated: number of found intervals that hit nothing but overlap
    a micro-expression. surroundings: how far the rest of the face moved before each
    micro-expression, crop px. lost: the recording has no segment, so that nothing was looked at.
    """

    recording: Recording
    found: Intervals
    hits: tuple[tuple[int, int], ...]  # (index in found, index in recording.micros())
    mislocated: int = 0
    surroundings: tuple[float, ...] = ()
    lost: bool = False


def _ticks(spans: NDArray[np.int64], origin: int, grid_hz: int) -> Spans:
    return to_ticks(spans[:, 0], spans[:, 1], origin, grid_hz)


def examine(recording: Recording, engines: EngineSet) -> SpottingResult:
    """Spot the recording as one segment and match what is found with what is known, at HIT_IOU."""
    spotted = spot(clip_features(recording.crops, recording.times_ns, engines), engines)
    origin = int(recording.times_ns[0])
    grid_hz = engines.spotter.grid_hz
    micros = _ticks(recording.micro_spans(), origin, grid_hz)
    doubtful = _ticks(recording.doubtful_spans(), origin, grid_hz)
    found = spotted[judged(spotted, micros, doubtful)]
    overlap = overlaps(found, micros)
    hits = one_to_one(overlap, HIT_IOU)
    touching = set(np.flatnonzero(overlap.max(1, initial=0) > 0).tolist())
    mislocated = touching - {index for index, _ in hits}
    around = [
        surroundings_px(recording.crops, recording.times_ns, movement)
        for movement in recording.micros()
    ]
    return SpottingResult(recording, found, tuple(hits), len(mislocated), tuple(around))


def without_pixels(result: SpottingResult) -> SpottingResult:
    """The result without the crops of its recording, so that many can be kept."""
    empty = np.empty((0, *result.recording.crops.shape[1:]), np.uint8)  # a view would keep them all
    return replace(result, recording=replace(result.recording, crops=empty))
