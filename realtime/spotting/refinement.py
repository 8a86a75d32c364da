"""Refinement: windows that pass T_CPN get a better interval and score.

Those whose new score passes T_CRN are candidates.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from microspot.engines.clips import resample
from microspot.engines.intervals import Candidate, decode
from microspot.engines.specs import SpotterSpec

from .batching import InferenceRequest, InferenceSteps
from .ring import Ring
from .scorer import Scores


class _Windows(NamedTuple):
    """Windows that passed T_CPN, in order of end, then of scale; all arrays (P,).

    ends: last tick; scales: index of the window's length; starts, stops: [start, stop) in ticks.
    """

    ends: NDArray[np.int64]
    scales: NDArray[np.int64]
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]


class Refinement:
    """The second stage of the spotter [S1 M28-M32] over the features of one face.

    features: ring of (L,) float32 by tick.
    enabled: False scores by the proposer alone (ablation M40).
    """

    def __init__(self, spec: SpotterSpec, features: Ring, enabled: bool = True) -> None:
        self.spec = spec
        self._features = features
        self._enabled = enabled

    def candidates(self, scores: Scores) -> InferenceSteps[dict[int, list[Candidate]]]:
        """The candidates among the windows of `scores`, by the last tick of their window."""
        rows = np.argwhere((scores.values >= self.spec.t_cpn).T)  # by end, then by scale
        if not len(rows):
            return {}
        windows = self._windows(scores.first + rows[:, 0], rows[:, 1])
        if self._enabled:
            out = yield InferenceRequest("refiner", {"clips": self._clips(windows)})
            values = out["classes"][:, 1]
            offsets = out["offsets"]
        else:
            values = scores.values.T[tuple(rows.T)]
            offsets = np.zeros((len(rows), 2))
        return self._passing(windows, values, offsets)

    def _windows(self, ends: NDArray[np.int64], scales: NDArray[np.int64]) -> _Windows:
        stops = ends + 1
        starts = stops - np.asarray(self.spec.windows)[scales]
        return _Windows(ends, scales, starts, stops)

    def _clips(self, windows: _Windows) -> NDArray[np.float32]:
        """(P, L, N_CR) features of each window, resampled to the refiner's length [S1 M30]."""
        clips = []
        for start, stop in zip(windows.starts.tolist(), windows.stops.tolist(), strict=True):
            ticks = self._features.slice(start, stop)
            clips.append(resample(ticks.T, 0, stop - start, self.spec.refine_length))
        return np.stack(clips)

    def _passing(
        self, windows: _Windows, values: NDArray[np.float32], offsets: NDArray[np.floating]
    ) -> dict[int, list[Candidate]]:
        """What passes T_CRN with an interval that an ME can have; offsets (P, 2) of the windows."""
        onsets, stops = decode(windows.starts, windows.stops, offsets)
        found: dict[int, list[Candidate]] = {}
        for row, value in enumerate(values):
            end = int(windows.ends[row])
            onset = float(onsets[row])
            stop = float(stops[row])
            if value >= self.spec.t_crn and self.spec.keeps(end + 1, onset, stop):
                candidate = Candidate(end, int(windows.scales[row]), onset, stop, float(value))
                found.setdefault(end, []).append(candidate)
        return found
