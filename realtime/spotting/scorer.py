"""IncrementalScorer: each window's probability exactly once, from carried state.

The proposer's 1D convolutions keep the tails of their inputs (one packed state tensor), so a new
tick costs one column, whatever the overlap of the windows. A score lags its window's last tick by R
ticks, the receptive radius.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from microspot.engines.specs import SpotterSpec

from .batching import InferenceRequest, InferenceSteps

Floats32 = NDArray[np.float32]


class Scores(NamedTuple):
    """Scores of the windows that end at `first`, `first` + 1, ... of a segment.

    values (M, n): window length i, last tick first + column; NaN where it leaves the segment.
    nuisances (K, n): what the weights' K nuisance heads give for these ticks themselves, of no
    meaning before tick 0; None without heads.
    """

    first: int
    values: Floats32
    nuisances: Floats32 | None = None


class IncrementalScorer:
    """push / flush / reset over the ticks of one segment."""

    def __init__(self, spec: SpotterSpec) -> None:
        self.spec = spec
        self.reset()

    def reset(self) -> None:
        """Forget the segment."""
        self._ticks = 0
        self._state = np.zeros((1, self.spec.state), np.float32)

    def push(self, columns: Floats32) -> InferenceSteps[Scores]:
        """Score the next ticks, columns (L, n) float32."""
        scores = yield from self._step(columns, 1.0)
        self._ticks += columns.shape[1]
        return scores

    def flush(self) -> InferenceSteps[Scores]:
        """Score the last R window ends.

        R columns outside the segment equal the zero padding of the network on the whole segment.
        """
        outside = np.zeros((self.spec.feature, self.spec.radius), np.float32)
        return (yield from self._step(outside, 0.0))

    def _step(self, columns: Floats32, valid: float) -> InferenceSteps[Scores]:
        n = columns.shape[1]
        if n == 0:  # a network without look-ahead has nothing to flush
            return Scores(self._ticks, np.empty((self.spec.scales, 0), np.float32))
        inputs = {
            "features": np.ascontiguousarray(columns[None], np.float32),
            "valid": np.full((1, n), valid, np.float32),
            "state": self._state,
        }
        out = yield InferenceRequest("proposer", inputs)
        self._state = out["state_out"].copy()
        first = self._ticks - self.spec.radius
        values = out["scores"][0].copy()
        ends = first + np.arange(n)
        for scale, window in enumerate(self.spec.windows):
            values[scale, ends - window + 1 < 0] = np.nan
        nuisances = out["nuisance"][0].copy() if self.spec.nuisance else None
        return Scores(first, values, nuisances)
