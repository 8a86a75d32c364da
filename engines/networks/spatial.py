"""The spatial encoder of MESNet [S1 M15]: one vector per frame, with its preprocessing inside.

The paper's encoder sees a still frame (D = 0). With lags it also sees how the face differs from a moment ago, as grey
levels ("difference") or as the displacement that explains them ("flow"): see `engines/networks/motion.py`.
Shape letters: B batch, F unstacked frames, D lags, S crop side, L spatial feature. Sizes are not from the paper.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..errors import EngineError
from ..specs import SpotterSpec
from .motion import Flow, bounded, luma

ENCODER_CHANNELS = (32, 48, 96)  # of the first three 2D layers; the fourth gives L / cells
FLOW_STEP = 2  # flow comes at a quarter of the crop's resolution
CHUNK = (
    32  # crops prepared at a time in training: twice as fast as all at once, for the cache's sake
)


class SpatialEncoder(nn.Module):
    """Four 2D convolutions, each with max pooling, on every frame alone [S1 M15].

    The grid of the last layer is flattened, not averaged: MEs are local [S1 M2].
    """

    def __init__(self, spec: SpotterSpec) -> None:
        super().__init__()
        self.lags = len(spec.lags_ns)
        self.flow = (
            Flow(spec.side, FLOW_STEP, 1 + self.lags)
            if self.lags and spec.motion == "flow"
            else None
        )
        cells = _halved(spec.side, times=5) ** 2
        if spec.feature % cells:
            raise EngineError(
                f"feature length {spec.feature}: side {spec.side} needs a multiple of {cells}"
            )
        first = 1 + 3 * self.lags if self.flow else 3 + self.lags
        widths = (first, *ENCODER_CHANNELS, spec.feature // cells)
        kernel, stride = (3, 1) if self.flow else (5, 2)  # of the first layer
        self.pool = (
            (3, 1, 1) if self.flow else (2, 2, 0)
        )  # behind it: kernel, stride, padding; flow is coarse already
        self.convs = nn.ModuleList([nn.Conv2d(widths[0], widths[1], kernel, stride, kernel // 2)])
        self.convs.extend(nn.Conv2d(widths[i], widths[i + 1], 3, padding=1) for i in range(1, 4))
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths[1:])

    def folded(self) -> SpatialEncoder:
        """A copy for use alone, its norms folded into the convolutions: exporters would keep the folding as a graph."""
        twin = copy.deepcopy(self).eval()
        for i, (conv, norm) in enumerate(zip(list(twin.convs), list(twin.norms), strict=True)):
            assert isinstance(conv, nn.Conv2d)
            assert isinstance(norm, nn.BatchNorm2d)
            twin.convs[i], twin.norms[i] = fuse_conv_bn_eval(conv, norm), nn.Identity()
        return twin

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels (B, 3 (1 + D), S, S) uint8 RGB, the current crop first -> features (B, L)."""
        return self.features(self.inputs(pixels))

    def inputs(self, pixels: Tensor) -> Tensor:
        """What the convolutions see of stacked crops: colours and D differences, or grey, D differences and D flows."""
        if self.flow is not None:
            seen = self.flow.prepare(pixels)
            moved: Tensor = self.flow(seen[:, :1], seen[:, 1:])
            return moved
        values = pixels.float() / 255
        if not self.lags:
            return values - 0.5
        grey = torch.cat([luma(values[:, 3 * i : 3 * i + 3]) for i in range(1 + self.lags)], 1)
        return torch.cat([values[:, :3] - 0.5, bounded(grey[:, :1] - grey[:, 1:])], 1)

    def inputs_of(self, frames: Tensor, current: Tensor, lags: Tensor) -> Tensor:
        """The same from unstacked frames (F, 3, S, S) uint8 by index, current (B,) and lags (B, D): no crop twice."""
        grey_of = (
            self.flow.prepare if self.flow is not None else lambda part: luma(part.float() / 255)
        )
        grey = torch.cat([grey_of(part) for part in torch.split(frames, CHUNK)])[
            :, 0
        ]  # (F, S, S), or half of S
        out = []
        for now, earlier in zip(torch.split(current, CHUNK), torch.split(lags, CHUNK), strict=True):
            if self.flow is not None:
                out.append(self.flow(grey[now][:, None], grey[earlier]))
                continue
            colours = frames[now].float() / 255 - 0.5
            out.append(
                torch.cat([colours, bounded(grey[now][:, None] - grey[earlier])], 1)
                if self.lags
                else colours
            )
        return torch.cat(out).contiguous(memory_format=torch.channels_last)

    def features(self, inputs: Tensor) -> Tensor:
        """(B, channels, height, width) -> (B, L)."""
        x = inputs.to(
            next(self.parameters()).dtype
        )  # half precision starts here: differences need float32
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            kernel, stride, padding = self.pool if i == 0 else (2, 2, 0)
            # pooling before the ReLU is the same function on fewer values
            x = F.relu(
                F.max_pool2d(_normed(x, conv, norm), kernel, stride, padding, ceil_mode=True)
            )
        return x.flatten(1)  # (B, L)


def _normed(x: Tensor, conv: nn.Module, norm: nn.Module) -> Tensor:
    """Convolution and norm; where the statistics are fixed the norm is folded in, which saves a pass each way."""
    assert isinstance(conv, nn.Conv2d)
    if not isinstance(norm, nn.BatchNorm2d) or norm.training:
        normed: Tensor = norm(conv(x))
        return normed
    assert conv.bias is not None
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    weight = conv.weight * scale[:, None, None, None]
    bias = (conv.bias - norm.running_mean) * scale + norm.bias
    return F.conv2d(x, weight, bias, conv.stride, conv.padding)


def _halved(side: int, times: int) -> int:
    for _ in range(times):
        side = -(-side // 2)
    return side
