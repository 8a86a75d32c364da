"""The spatial encoder of MESNet [S1 M15]: one vector per frame, with its preprocessing inside.

The paper's encoder sees a still frame (D = 0). With lags it also sees how the face differs from a moment ago: in a
first experiment on synthetic clips the still-frame encoder stayed at chance where this one reached AP 0.87.
Shape letters: B batch, F unstacked frames, D lags, S crop side, L spatial feature. Sizes are not from the paper.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import EngineError
from ..losses import LUMA
from ..specs import SpotterSpec

ENCODER_CHANNELS = (16, 32, 64)  # of the first three 2D layers; the fourth gives L / cells
DIFFERENCE_GAIN = 8.0  # grey levels / 255 -> network units: a 1-2 px movement of an edge comes out near 0.5
CHUNK = 32  # crops prepared at a time in training: twice as fast as all at once, for the cache's sake


class SpatialEncoder(nn.Module):
    """Four 2D convolutions, each with max pooling, on every frame alone [S1 M15].

    The grid of the last layer is flattened, not averaged: MEs are local [S1 M2].
    """

    def __init__(self, spec: SpotterSpec) -> None:
        super().__init__()
        self.lags = len(spec.lags_ns)
        cells = _halved(spec.side, times=5) ** 2
        if spec.feature % cells:
            raise EngineError(f"feature length {spec.feature}: side {spec.side} needs a multiple of {cells}")
        widths = (3 + self.lags, *ENCODER_CHANNELS, spec.feature // cells)
        self.convs = nn.ModuleList(
            nn.Conv2d(widths[i], widths[i + 1], 5 if i == 0 else 3, 2 if i == 0 else 1, 2 if i == 0 else 1)
            for i in range(4)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths[1:])

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels (B, 3 (1 + D), S, S) uint8 RGB, the current crop first -> features (B, L)."""
        return self.features(self.inputs(pixels))

    def inputs(self, pixels: Tensor) -> Tensor:
        """Colours and D difference channels of stacked crops, (B, 3 + D, S, S)."""
        values = pixels.float() / 255
        if not self.lags:
            return values - 0.5
        luma = torch.cat([_luma(values[:, 3 * i : 3 * i + 3]) for i in range(1 + self.lags)], 1)
        return torch.cat([values[:, :3] - 0.5, _difference(luma[:, :1], luma[:, 1:])], 1)

    def inputs_of(self, frames: Tensor, current: Tensor, lags: Tensor) -> Tensor:
        """The same from unstacked frames (F, 3, S, S) uint8 by index, current (B,) and lags (B, D): no crop twice."""
        shape = (len(current), 3 + self.lags, *frames.shape[2:])
        out = torch.empty(shape, memory_format=torch.channels_last)
        luma = torch.cat([_luma(part.float() / 255) for part in torch.split(frames, CHUNK)])[:, 0]  # (F, S, S)
        for piece, now, earlier in zip(*(torch.split(x, CHUNK) for x in (out, current, lags)), strict=True):
            piece[:, :3] = frames[now].float().div_(255).sub_(0.5)
            if self.lags:
                piece[:, 3:] = _difference(luma[now][:, None], luma[earlier])
        return out

    def features(self, inputs: Tensor) -> Tensor:
        """(B, 3 + D, S, S) -> (B, L)."""
        x = inputs.to(next(self.parameters()).dtype)  # half precision starts here: differences need float32
        for conv, norm in zip(self.convs, self.norms, strict=True):
            # pooling before the ReLU is the same function on a quarter of the values
            x = F.relu(F.max_pool2d(norm(conv(x)), 2, ceil_mode=True))
        return x.flatten(1)  # (B, L)


def _halved(side: int, times: int) -> int:
    for _ in range(times):
        side = -(-side // 2)
    return side


def _luma(values: Tensor) -> Tensor:
    return LUMA[0] * values[:, 0:1] + LUMA[1] * values[:, 1:2] + LUMA[2] * values[:, 2:3]  # (B, 1, S, S)


def _difference(now: Tensor, earlier: Tensor) -> Tensor:
    difference = now - earlier  # (B, D, S, S)
    # the mean goes first: it is lighting, not movement
    return torch.tanh(DIFFERENCE_GAIN * (difference - difference.mean((2, 3), keepdim=True)))
