"""What moved: action units with side and displacement, and the region, beside CMNet's labels.

Units, sides and region are read from v, the LSTM's last state, as the labels are. Displacements are
also read from the intensity clues h, each at its highest over the clip: s cannot tell them, since
it rises to about 1 in every clip [S2 C16, C19], and with texture "direction" nothing else knows how
far anything moved. Not from the papers.

Shape letters: B clips, N frames, D width, U units, G regions.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..specs import SIDES


class Movement(NamedTuple):
    """Logits, and logarithms of displacements in px of the crop."""

    units: Tensor  # (B, U)
    unit_sides: Tensor  # (B, U, 3)
    unit_log_px: Tensor  # (B, U)
    regions: Tensor  # (B, G)
    side: Tensor  # (B, 3)
    log_px: Tensor  # (B,)

    def outputs(self) -> tuple[Tensor, ...]:
        """Probabilities and px, in the order of `RecognizerSpec.movement_tensors`."""
        return (
            self.units.sigmoid(),
            F.softmax(self.unit_sides, -1),
            self.unit_log_px.exp(),
            F.softmax(self.regions, -1),
            F.softmax(self.side, -1),
            self.log_px.exp(),
        )


class MovementHeads(nn.Module):
    """The heads, on a state v and on clues of `width`; clues: False without ICE."""

    def __init__(self, width: int, units: int, regions: int, clues: bool = True) -> None:
        super().__init__()
        self.units = nn.Linear(width, units)
        self.unit_sides = nn.Linear(width, units * len(SIDES))
        self.regions = nn.Linear(width, regions)
        self.side = nn.Linear(width, len(SIDES))
        self.px = nn.Linear(2 * width if clues else width, units + 1)

    def forward(self, v: Tensor, h: Tensor | None) -> Movement:
        """What moved: v (B, D), h (B, N, D) or None without ICE."""
        size = v if h is None else torch.cat([v, h.amax(1)], -1)
        log_px = self.px(size)  # (B, U + 1)
        return Movement(
            units=self.units(v),
            unit_sides=self.unit_sides(v).unflatten(-1, (-1, len(SIDES))),
            unit_log_px=log_px[:, 1:],
            regions=self.regions(v),
            side=self.side(v),
            log_px=log_px[:, 0],
        )
