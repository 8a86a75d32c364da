"""NuisanceHistory: what else moved at every tick of one face, as the nuisance heads see it.

Weights without such heads have none: their confounders are not known, which is None.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .ring import Ring
from .scorer import Scores


class NuisanceHistory:
    """The probabilities of the last `capacity` ticks of a segment; names: of the K heads."""

    def __init__(self, names: tuple[str, ...], capacity: int) -> None:
        self.names = names
        self._ring = Ring(capacity, (len(names),), np.float32)

    def append(self, scores: Scores) -> None:
        """Take the ticks that a push has scored."""
        if scores.nuisances is None:
            return
        for column, values in enumerate(scores.nuisances.T):
            if scores.first + column >= 0:
                self._ring.append(np.ascontiguousarray(values))

    def clear(self) -> None:
        """Forget the segment."""
        self._ring.clear()

    def highest(self, onset: int, offset: int) -> dict[str, float] | None:
        """The highest probability by name over the ticks from onset to offset, both included.

        Ticks that have left the ring are left out. None without heads.
        """
        if not self.names:
            return None
        start = max(onset, self._ring.start)
        stop = max(offset + 1, start + 1)
        return self._named(self._ring.slice(start, stop).max(0))

    def at(self, tick: int) -> dict[str, float] | None:
        """The probabilities of a tick that the ring holds, by name; None without heads."""
        return self._named(self._ring[tick]) if self.names else None

    def newest(self) -> dict[str, float]:
        """The probabilities of the newest tick by name; empty without heads or ticks."""
        return (self.at(self._ring.stop - 1) or {}) if self._ring.stop else {}

    def _named(self, values: NDArray[np.float32]) -> dict[str, float]:
        return dict(zip(self.names, map(float, values), strict=True))
