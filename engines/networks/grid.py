"""The cells of the encoder's last layer: what of its grid reaches the feature.

The even grid keeps the largest value of every two by two places. The fine grid has twice the cells
and half the channels, so that the feature is as long: rows that brows and lips touch are not pooled
and neighbouring columns share a place, all rows between them become one. Where brows and lips lie
is known, since a crop is aligned (`engines/alignment/face_template.py`). Not from the papers.

Shape letters: B batch, C channels.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..alignment.face_template import BROWS, MOUTH, rows_of
from .pooling import pool_relu


class Band(NamedTuple):
    """Rows from `start` to `stop` of the grid; kernel and stride (rows, columns) of their pool."""

    start: int
    stop: int
    kernel: tuple[int, int]
    stride: tuple[int, int]


class EvenGrid(nn.Module):
    """The largest of every two by two places of a grid of `side` x `side`."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.cells = (-(-side // 2)) ** 2

    def forward(self, x: Tensor) -> Tensor:
        """Places (B, C, side, side) -> feature (B, C cells), not negative."""
        return pool_relu(x, 2, 2, 0).flatten(1)


class FineGrid(nn.Module):
    """Every row of brows and lips, and the other rows together, of a grid of `side` x `side`."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side
        self.bands = bands(side)
        self.cells = 0
        for band in self.bands:
            fine = band.kernel[0] == 1 and band.stride[1] == 1
            columns = max(side - 1, 1) if fine else -(-side // 2)
            self.cells += columns * ((band.stop - band.start) // band.kernel[0])

    def forward(self, x: Tensor) -> Tensor:
        """Places (B, C, side, side) -> feature (B, C cells), not negative."""
        parts = []
        for band in self.bands:
            rows = x[:, :, band.start : band.stop]
            pooled = F.max_pool2d(rows, band.kernel, band.stride, ceil_mode=True)
            parts.append(pooled.flatten(2))
        return F.relu(torch.cat(parts, 2)).flatten(1)


def bands(side: int) -> list[Band]:
    """The bands of the fine grid from top to bottom, `side` rows in all."""
    columns = min(2, side)
    fine = sorted({*rows_of(BROWS, side), *rows_of(MOUTH, side)})
    found = []
    row = 0
    while row < side:
        stop = row + 1
        while stop < side and (stop in fine) == (row in fine):
            stop += 1
        if row in fine:
            found.append(Band(row, stop, (1, columns), (1, 1)))
        else:
            height = stop - row
            found.append(Band(row, stop, (height, columns), (height, columns)))
        row = stop
    return found


# by the spec's name
GRIDS: dict[str, type[EvenGrid] | type[FineGrid]] = {"even": EvenGrid, "fine": FineGrid}
