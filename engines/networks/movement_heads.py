"""What moved: action units with side and displacement, and the region, beside CMNet's labels.

All are read from v, the LSTM's last state, as the labels are, and past the LSTM from the magnified
texture u, its mean over the clip, and from the intensity clues h, each at its highest: s cannot
tell displacements, since it rises to about 1 in every clip [S2 C16, C19], and with texture
"direction" nothing else knows how far anything moved. Not from the papers.

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
    """The heads, on a state, textures and clues of `width`; clues: False without ICE."""

    def __init__(self, width: int, units: int, regions: int, clues: bool = True) -> None:
        super().__init__()
        seen = 3 * width if clues else 2 * width
        self.units = nn.Linear(seen, units)
        self.unit_sides = nn.Linear(seen, units * len(SIDES))
        self.regions = nn.Linear(seen, regions)
        self.side = nn.Linear(seen, len(SIDES))
        self.px = nn.Linear(seen, units + 1)

    def forward(self, v: Tensor, u: Tensor, h: Tensor | None) -> Movement:
        """What moved: v (B, D), u and h (B, N, D); h is None without ICE."""
        parts = [v, u.mean(1)] if h is None else [v, u.mean(1), h.amax(1)]
        seen = torch.cat(parts, -1)
        log_px = self.px(seen)  # (B, U + 1)
        return Movement(
            units=self.units(seen),
            unit_sides=self.unit_sides(seen).unflatten(-1, (-1, len(SIDES))),
            unit_log_px=log_px[:, 1:],
            regions=self.regions(seen),
            side=self.side(seen),
            log_px=log_px[:, 0],
        )
