"""The export forms of MESNet: encoder, proposer and refiner as the engines run them, state in and state out.

`ProposerStep` computes only new columns. Its state starts as zeros; one that ends a stretch pushes R invalid columns.
The outputs are exactly those of `MESNet.forward` on the whole stretch, at both ends and for any split into pushes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..intervals import R1_RANGE, R2_RANGE
from .mesnet import Branch, MESNet


class EncoderStep(nn.Module):
    """pixels (B, 3 (1 + D), S, S) uint8 -> features (B, L) float32."""

    def __init__(self, network: MESNet) -> None:
        super().__init__()
        self.encoder = network.encoder

    def forward(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.encoder(pixels)
        return features.float()


class ProposerStep(nn.Module):
    """features (B, L, n), valid (B, n), state (B, Z) -> scores (B, M, n), state_out (B, Z).

    scores[:, i, j] is the probability of the window of scale i whose last tick is R ticks before that of column j.
    """

    def __init__(self, network: MESNet) -> None:
        super().__init__()
        self.temporal, self.proposals = network.temporal, network.proposals
        self.parts = network.state_parts()

    def forward(self, features: Tensor, valid: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        past = self._unpack(state)
        seen = torch.cat([past[1], valid[:, None]], 2)  # (B, 1, R + n)
        n, delay = features.shape[2], self.parts[0][1] // 2
        late = self.parts[1][1]  # R
        f = torch.cat([past[0], features * valid[:, None]], 2)
        x = F.relu(self.temporal.first(f)) * seen[:, :, late - delay : late - delay + n]
        x = torch.cat([past[2], x], 2)
        now = seen[:, :, :n]  # validity R ticks ago
        s = torch.cat([past[3], F.relu(self.temporal.second(x)) * now], 2)
        logits, hidden = [], []
        for branch, before in zip(self.proposals.branches, past[4:], strict=True):
            assert isinstance(branch, Branch)
            h = F.relu(branch.first(s[:, :, self.parts[3][1] - branch.tails[0] :])) * now
            hidden.append(torch.cat([before, h], 2))
            logits.append(branch.second(hidden[-1]))
        return torch.cat(logits, 1).sigmoid(), self._pack([f, seen, x, s, *hidden])

    def _unpack(self, state: Tensor) -> list[Tensor]:
        pieces = state.split([rows * columns for rows, columns in self.parts], 1)
        return [piece.unflatten(1, part) for piece, part in zip(pieces, self.parts, strict=True)]

    def _pack(self, columns: list[Tensor]) -> Tensor:
        tails = [x[:, :, -part[1] :].flatten(1) for x, part in zip(columns, self.parts, strict=True)]
        return torch.cat(tails, 1)


class RefinerStep(nn.Module):
    """clips (P, L, N_CR) -> classes (P, 2) probabilities, offsets (P, 2) within the reachable range."""

    def __init__(self, network: MESNet) -> None:
        super().__init__()
        self.refiner = network.refiner

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        classes, offsets = self.refiner(clips)
        r1, r2 = offsets[:, :1].clamp(*R1_RANGE), offsets[:, 1:].clamp(*R2_RANGE)
        return classes.softmax(1), torch.cat([r1, r2], 1)


def steps(network: MESNet) -> dict[str, nn.Module]:
    """The three export forms by engine name, in evaluation mode."""
    network.eval()
    forms = {"encoder": EncoderStep(network), "proposer": ProposerStep(network), "refiner": RefinerStep(network)}
    return {name: form.eval() for name, form in forms.items()}
