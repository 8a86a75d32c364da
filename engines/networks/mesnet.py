"""MESNet [S1] spots ME intervals in two steps, proposal and refinement, in whole and stream form.

Sized for one CPU core at camera rate: about 30 million multiplications per frame, a quarter of them
for the flow. Shape letters: B batch, D lags, S crop side, L spatial feature, N ticks, M window
scales, P proposals, Z state. The notes give layer counts, 128 channels and two classes; every other
size here is not from the paper.

A column is one tick. Every hidden activation is multiplied by its column's validity: then columns
outside a segment are exactly the zero padding of the whole-sequence network, whatever the biases
are, and `ProposerStep` is exact.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import EngineError
from ..intervals import R1_RANGE, R2_RANGE
from ..specs import SpotterSpec
from .spatial import SpatialEncoder as SpatialEncoder
from .weights import load_weights

TEMPORAL_CHANNELS = 128  # [S1 M17]
DENSE = 128  # of pre-training


class TemporalEncoder(nn.Module):
    """Two 1D convolutions on the rows of F, time length kept by zero padding [S1 M17]."""

    def __init__(self, spec: SpotterSpec) -> None:
        super().__init__()
        first, second = spec.temporal_kernels
        if any(kernel < 3 or kernel % 2 == 0 for kernel in spec.temporal_kernels):
            raise EngineError(
                f"temporal kernels {spec.temporal_kernels}: expected odd numbers from 3"
            )
        self.first = nn.Conv1d(spec.feature, TEMPORAL_CHANNELS, first)
        self.second = nn.Conv1d(TEMPORAL_CHANNELS, TEMPORAL_CHANNELS, second)

    def forward(self, features: Tensor, valid: Tensor) -> Tensor:
        """Features (B, L, N), valid (B, N) of 0 and 1 -> S (B, 128, N)."""
        mask = valid[:, None]
        x = F.relu(self.first(_centred(features * mask, self.first))) * mask  # (B, 128, N)
        return F.relu(self.second(_centred(x, self.second))) * mask


def _centred(x: Tensor, conv: nn.Conv1d) -> Tensor:
    side = (conv.kernel_size[0] - 1) // 2
    return F.pad(x, (side, side))


class Branch(nn.Module):
    """One branch of CPN: two dilated 1D convolutions that see one window of S [S1 M25, M26]."""

    def __init__(self, spec: SpotterSpec, dilations: tuple[int, int]) -> None:
        super().__init__()
        kernel = spec.branch_kernel
        width = spec.branch_channels
        self.first = nn.Conv1d(TEMPORAL_CHANNELS, width, kernel, dilation=dilations[0])
        self.second = nn.Conv1d(width, 1, kernel, dilation=dilations[1])

    @property
    def tails(self) -> tuple[int, int]:
        """Earlier columns of S and of the hidden layer that one new output column needs."""
        first, second = (
            (conv.kernel_size[0] - 1) * conv.dilation[0] for conv in (self.first, self.second)
        )
        return first, second


class ClipProposals(nn.Module):
    """CPN: five parallel branches, one logit per window and position [S1 M22-M26]."""

    def __init__(self, spec: SpotterSpec) -> None:
        super().__init__()
        self.branches = nn.ModuleList(Branch(spec, pair) for pair in spec.dilations)

    def forward(self, s: Tensor, valid: Tensor) -> Tensor:
        """S (B, 128, N), valid (B, N) -> logits (B, M, N).

        [:, i, e] is the window of scale i whose last tick is e. Logits of windows that leave the
        segment are finite and meaningless: see `clips.window_mask`.
        """
        mask = valid[:, None]
        logits = []
        for branch in self.branches:
            assert isinstance(branch, Branch)
            first, second = branch.tails
            hidden = F.relu(branch.first(F.pad(s, (first, 0)))) * mask  # (B, 64, N)
            logits.append(branch.second(F.pad(hidden, (second, 0))))  # (B, 1, N)
        return torch.cat(logits, 1)


class NuisanceHeads(nn.Module):
    """What else moves at every tick, from S: one logit per name, a sigmoid each; not from [S1]."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self.last = nn.Conv1d(TEMPORAL_CHANNELS, len(names), 1)

    def forward(self, s: Tensor) -> Tensor:
        """S (B, 128, N) -> logits (B, K, N)."""
        logits: Tensor = self.last(s)
        return logits


class ClipRefiner(nn.Module):
    """CRN: classify a proposal and regress its boundaries [S1 M28-M34].

    It sees spatial features of fixed length. Its two 1D layers are its own [S1 M34]; two parallel
    output layers [S1 M13].
    """

    def __init__(self, spec: SpotterSpec) -> None:
        super().__init__()
        kernel = spec.refine_kernel
        width = spec.refine_channels
        self.first = nn.Conv1d(spec.feature, width, kernel, padding=kernel // 2)
        self.second = nn.Conv1d(width, width, kernel, padding=kernel // 2)
        self.dense = nn.Linear(width * spec.refine_length, spec.refine_dense)
        self.dropout = nn.Dropout()  # its share is the training's
        self.classes = nn.Linear(spec.refine_dense, 2)
        self.offsets = nn.Linear(spec.refine_dense, 2)

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """Clips (P, L, N_CR) -> class logits (P, 2), column 1 = ME, and offsets (P, 2) = (r1, r2).

        The offsets are not clamped.
        """
        x = F.relu(self.second(F.relu(self.first(clips))))  # (P, 128, N_CR)
        x = self.dropout(F.relu(self.dense(x.flatten(1))))  # (P, 128)
        return self.classes(x), self.offsets(x)

    def heads(self) -> tuple[nn.Module, nn.Module]:
        """The two output layers, which the L2 term leaves out [S1 M31]."""
        return self.classes, self.offsets


class ClipClassifier(nn.Module):
    """The 2+1D network of pre-training: whole clips of N_pre frames, ME or not [S1 M18-M21]."""

    def __init__(self, spec: SpotterSpec, length: int) -> None:
        super().__init__()
        self.encoder = SpatialEncoder(spec)
        self.temporal = TemporalEncoder(spec)
        self.dense = nn.Linear(TEMPORAL_CHANNELS * length, DENSE)
        self.dropout = nn.Dropout()  # its share is the training's
        self.last = nn.Linear(DENSE, 2)  # outside the L2 term [S1 M20]

    def forward(self, features: Tensor) -> Tensor:
        """Spatial features (B, L, N_pre) -> logits (B, 2), column 1 = ME."""
        s = self.temporal(features, features.new_ones(features.shape[0], features.shape[2]))
        logits: Tensor = self.last(self.dropout(F.relu(self.dense(s.flatten(1)))))
        return logits


class MESNet(nn.Module):
    """Encoder, temporal encoder, CPN and CRN; its `spec` has the length of the stream state."""

    def __init__(self, spec: SpotterSpec) -> None:
        super().__init__()
        self.encoder = SpatialEncoder(spec)
        self.temporal = TemporalEncoder(spec)
        self.proposals = ClipProposals(spec)
        self.refiner = ClipRefiner(spec)
        self.nuisance = NuisanceHeads(spec.nuisance) if spec.nuisance else None
        length = sum(rows * columns for rows, columns in self.state_parts())
        if spec.state not in (0, length):
            raise EngineError(
                f"proposer state: the spec says {spec.state}, this network needs {length}"
            )
        self.spec = dataclasses.replace(spec, state=length)

    def forward(self, features: Tensor, valid: Tensor) -> Tensor:
        """Whole sequences: features (B, L, N), valid (B, N) -> end-aligned logits (B, M, N)."""
        return self.proposed(features, valid)[0]

    def proposed(self, features: Tensor, valid: Tensor) -> tuple[Tensor, Tensor | None]:
        """The logits (B, M, N) of `forward`, and those of the nuisance heads (B, K, N), if any."""
        s = self.temporal(features, valid)
        nuisance = None if self.nuisance is None else self.nuisance(s)
        return self.proposals(s, valid), nuisance

    def state_parts(self) -> list[tuple[int, int]]:
        """(rows, columns) of each part of the stream state.

        The parts are F, validity, first 1D layer, S, and the hidden layer of each branch.
        """
        first = self.temporal.first.kernel_size[0] - 1
        second = self.temporal.second.kernel_size[0] - 1
        branches = [part for part in self.proposals.branches if isinstance(part, Branch)]
        return [
            (self.temporal.first.in_channels, first),
            (1, (first + second) // 2),
            (TEMPORAL_CHANNELS, second),
            (TEMPORAL_CHANNELS, max(branch.tails[0] for branch in branches)),
            *((branch.first.out_channels, branch.tails[1]) for branch in branches),
        ]


def load_mesnet(spec: SpotterSpec, path: Path) -> MESNet:
    """MESNet with the weights of `path`, in evaluation mode.

    Raises EngineError where they do not fit the spec.
    """
    network = MESNet(spec)
    load_weights(network, path)
    return network.eval()


class EncoderStep(nn.Module):
    """The spatial encoder as it is exported."""

    def __init__(self, network: MESNet) -> None:
        super().__init__()
        self.encoder = network.encoder.folded()

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels (B, 3 (1 + D), S, S) uint8 -> features (B, L) float32."""
        features: Tensor = self.encoder(pixels)
        return features.float()


class ProposerStep(nn.Module):
    """Temporal encoder and CPN on n new ticks, with the state that earlier ticks have left."""

    def __init__(self, network: MESNet) -> None:
        super().__init__()
        self.temporal = network.temporal
        self.proposals = network.proposals
        self.nuisance = network.nuisance
        self.parts = network.state_parts()

    def forward(self, features: Tensor, valid: Tensor, state: Tensor) -> tuple[Tensor, ...]:
        """Features (B, L, n), valid (B, n), state (B, Z) -> scores (B, M, n), state_out (B, Z).

        scores[:, i, j] is the probability of the window of scale i whose last tick is R ticks
        before that of column j. With nuisance heads their probabilities at that same tick follow,
        (B, K, n).
        """
        past = self._unpack(state)
        seen = torch.cat([past[1], valid[:, None]], 2)  # (B, 1, R + n)
        n = features.shape[2]
        delay = self.parts[0][1] // 2
        late = self.parts[1][1]  # R
        f = torch.cat([past[0], features * valid[:, None]], 2)
        x = F.relu(self.temporal.first(f)) * seen[:, :, late - delay : late - delay + n]
        x = torch.cat([past[2], x], 2)
        now = seen[:, :, :n]  # validity R ticks ago
        s = torch.cat([past[3], F.relu(self.temporal.second(x)) * now], 2)
        logits = []
        hidden = []
        for branch, before in zip(self.proposals.branches, past[4:], strict=True):
            assert isinstance(branch, Branch)
            h = F.relu(branch.first(s[:, :, self.parts[3][1] - branch.tails[0] :])) * now
            hidden.append(torch.cat([before, h], 2))
            logits.append(branch.second(hidden[-1]))
        scores = torch.cat(logits, 1).sigmoid()
        state_out = self._pack([f, seen, x, s, *hidden])
        if self.nuisance is None:
            return scores, state_out
        return scores, state_out, self.nuisance(s[:, :, -n:]).sigmoid()

    def _unpack(self, state: Tensor) -> list[Tensor]:
        pieces = torch.split(state, [rows * columns for rows, columns in self.parts], 1)
        return [piece.view(-1, *part) for piece, part in zip(pieces, self.parts, strict=True)]

    def _pack(self, columns: list[Tensor]) -> Tensor:
        """The last columns of each part as one state (B, Z)."""
        tails = [
            values[:, :, -width:].flatten(1)
            for values, (_, width) in zip(columns, self.parts, strict=True)
        ]
        return torch.cat(tails, 1)


class RefinerStep(nn.Module):
    """The refiner as it is exported."""

    def __init__(self, network: MESNet) -> None:
        super().__init__()
        self.refiner = network.refiner

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """Clips (P, L, N_CR) -> class probabilities (P, 2), reachable offsets (P, 2)."""
        classes, offsets = self.refiner(clips)
        r1 = offsets[:, :1].clamp(*R1_RANGE)
        r2 = offsets[:, 1:].clamp(*R2_RANGE)
        return classes.softmax(1), torch.cat([r1, r2], 1)


def steps(network: MESNet) -> dict[str, nn.Module]:
    """The three export forms by engine name, in evaluation mode."""
    network.eval()
    forms = {
        "encoder": EncoderStep(network),
        "proposer": ProposerStep(network),
        "refiner": RefinerStep(network),
    }
    return {name: form.eval() for name, form in forms.items()}
