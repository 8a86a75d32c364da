"""How movements are magnified: how much, and in which way. Not from the papers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .eulerian import eulerian
from .flow import Picture
from .lagrangian import lagrangian

GAINS = (2.0, 8.0)  # least and most

Clip = NDArray[np.uint8]
WAYS: dict[str, Callable[[Clip, Picture, float], Clip]] = {
    "lagrangian": lagrangian,
    "eulerian": eulerian,
}


@dataclass(frozen=True)
class Magnification:
    """Movements `gain` times as large, in one of WAYS; raises ValueError for others."""

    gain: float = 6.0
    way: str = "lagrangian"

    def __post_init__(self) -> None:
        least, most = GAINS
        if not least <= self.gain <= most:
            raise ValueError(f"magnification {self.gain:g}: expected {least:g} to {most:g}")
        if self.way not in WAYS:
            raise ValueError(f"magnification {self.way!r}: expected {' or '.join(WAYS)}")

    def __call__(self, clip: Clip, start: Picture) -> Clip:
        """A clip (N, S, S, 3) with what moved since `start` (S, S, 3) magnified."""
        return WAYS[self.way](clip, start, self.gain)
