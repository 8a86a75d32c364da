"""Affine maps of the plane, such as the one from the pixels of a frame to those of a crop."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]  # (2, 3)


@dataclass(frozen=True, eq=False)
class Affine:
    """The map of (x, y) to `matrix` @ (x, y, 1); `second @ first` does `first`, then `second`."""

    matrix: Matrix

    @classmethod
    def identity(cls) -> Self:
        """The map that changes nothing."""
        return cls(np.eye(2, 3))

    @classmethod
    def shift(cls, x: float, y: float) -> Self:
        """The map that adds (x, y)."""
        return cls(np.array([[1, 0, x], [0, 1, y]], float))

    def __matmul__(self, first: Affine) -> Affine:
        both = self.matrix[:, :2] @ first.matrix
        both[:, 2] += self.matrix[:, 2]
        return Affine(both)

    def inverse(self) -> Affine:
        """The way back. Written out: NumPy's solver takes ten times as long for two rows."""
        (a, b, x), (c, d, y) = self.matrix.tolist()
        area = a * d - b * c
        p = d / area
        q = -b / area
        r = -c / area
        s = a / area
        return Affine(np.array([[p, q, -p * x - q * y], [r, s, -r * x - s * y]]))

    def part(self, share: float) -> Affine:
        """This map in part: the identity at share 0, the whole map at 1."""
        identity = np.eye(2, 3)
        return Affine(identity + share * (self.matrix - identity))

    def apply(self, points: NDArray[Any]) -> NDArray[np.float64]:
        """Where points (N, 2) go: (N, 2)."""
        return np.asarray(points @ self.matrix[:, :2].T + self.matrix[:, 2])

    def source_box(self, side: int) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1 in px of the source of what a crop of `side` px by this map shows."""
        (a, b, x), (c, d, y) = self.inverse().matrix.tolist()
        xs = (x, x + a * side, x + b * side, x + (a + b) * side)
        ys = (y, y + c * side, y + d * side, y + (c + d) * side)
        return min(xs), min(ys), max(xs), max(ys)

    def farthest(self, side: int) -> float:
        """How far, in px, the corner of a crop of `side` px goes that goes farthest."""
        (a, b, x), (c, d, y) = self.matrix.tolist()
        corners = ((0, 0), (side, 0), (0, side), (side, side))
        return max(math.hypot((a - 1) * u + b * v + x, c * u + (d - 1) * v + y) for u, v in corners)
