"""The spatial encoder of MESNet [S1 M15]: one vector per frame, with its preprocessing inside.

The paper's encoder sees a still frame (D = 0). With lags it also sees how the face differs from a
moment ago, as grey levels ("difference") or as the displacement that explains them ("flow"): see
`engines/networks/motion.py`. Shape letters: B batch, F unstacked frames, D lags, S crop side, L
spatial feature. Sizes are not from the paper.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..errors import EngineError
from ..specs import SpotterSpec
from .grid import GRIDS
from .motion import Flow, FlowOptions, bounded, luma
from .pooling import pool_relu
from .shared_flow import flows_of

ENCODER_CHANNELS = (32, 48, 96)  # of the first three 2D layers; the fourth gives L / cells
FLOW_STEP = 2  # flow comes at a quarter of the crop's resolution
# Crops prepared at a time in training: twice as fast as all at once, since they fit the cache.
CHUNK = 32


class SpatialEncoder(nn.Module):
    """Four 2D convolutions, each with max pooling, on every frame alone [S1 M15].

    The grid of the last layer is flattened, not averaged: MEs are local [S1 M2].
    """

    def __init__(self, spec: SpotterSpec) -> None:
        super().__init__()
        self.lags = len(spec.lags_ns)
        by_flow = self.lags > 0 and spec.motion == "flow"
        options = flow_options(spec)
        self.flow = Flow(spec.side, FLOW_STEP, 1 + self.lags, options) if by_flow else None
        self.grid = GRIDS[spec.grid](_halved(spec.side, times=4))
        if spec.feature % self.grid.cells:
            raise EngineError(
                f"feature length {spec.feature}: side {spec.side} with the {spec.grid} grid needs "
                f"a multiple of {self.grid.cells}"
            )
        first = options.channels(self.lags) if by_flow else 3 + self.lags
        widths = (first, *ENCODER_CHANNELS, spec.feature // self.grid.cells)
        # Of the first layer and of the pool behind it (kernel, stride, padding); flow is coarse
        # already.
        kernel, stride = (3, 1) if by_flow else (5, 2)
        self.pool = (3, 1, 1) if by_flow else (2, 2, 0)
        self.convs = nn.ModuleList([nn.Conv2d(widths[0], widths[1], kernel, stride, kernel // 2)])
        self.convs.extend(nn.Conv2d(widths[i], widths[i + 1], 3, padding=1) for i in range(1, 4))
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths[1:])

    def folded(self) -> SpatialEncoder:
        """A copy with its norms folded into the convolutions.

        Exporters would keep the folding that `forward` does as part of the graph.
        """
        twin = copy.deepcopy(self).eval()
        for i, (conv, norm) in enumerate(zip(list(twin.convs), list(twin.norms), strict=True)):
            assert isinstance(conv, nn.Conv2d)
            assert isinstance(norm, nn.BatchNorm2d)
            twin.convs[i] = fuse_conv_bn_eval(conv, norm)
            twin.norms[i] = nn.Identity()
        return twin

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels (B, 3 (1 + D), S, S) uint8 RGB, the current crop first -> features (B, L)."""
        return self.features(self.inputs(pixels))

    def inputs(self, pixels: Tensor) -> Tensor:
        """What the convolutions see of stacked crops (B, 3 (1 + D), S, S).

        Colours and D differences, or grey, D differences and D flows each way.
        """
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
        """What the convolutions see of frames that are not stacked; each is prepared once.

        frames (F, 3, S, S) uint8, or for flow also their grey of half the side (F, H, H), 0 to 1;
        indices into them: current (B,) and lags (B, D).
        """
        grey = torch.cat([self._grey(part) for part in torch.split(frames, CHUNK)])
        if self.flow is not None:
            return flows_of(self.flow, grey, current, lags)
        grey = grey[:, 0]
        out = []
        for now, earlier in zip(torch.split(current, CHUNK), torch.split(lags, CHUNK), strict=True):
            seen = frames[now].float() / 255 - 0.5
            if self.lags:
                seen = torch.cat([seen, bounded(grey[now][:, None] - grey[earlier])], 1)
            out.append(seen)
        return torch.cat(out).contiguous(memory_format=torch.channels_last)

    def _grey(self, frames: Tensor) -> Tensor:
        """Frames (F, 3, S, S) uint8 -> grey (F, 1, S, S), or of half the side for flow."""
        if self.flow is not None:
            if frames.ndim == 3:
                return self.flow.less_local_mean(frames[:, None])
            return self.flow.prepare(frames)
        return luma(frames.float() / 255)

    def features(self, inputs: Tensor) -> Tensor:
        """Inputs (B, channels, height, width) -> features (B, L)."""
        feature: Tensor = self.grid(self.activations(inputs)[-1])
        return feature

    def activations(self, inputs: Tensor) -> list[Tensor]:
        """What each layer gives, (B, C, height, width).

        That is behind norm, pool and ReLU, but for the last layer, which the grid pools.
        """
        # fp16 may start here; the differences before need float32
        x = inputs.to(next(self.parameters()).dtype)
        outputs = []
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = _normed(x, conv, norm)
            if i < len(self.convs) - 1:
                x = pool_relu(x, *(self.pool if i == 0 else (2, 2, 0)))
            outputs.append(x)
        return outputs


def flow_options(spec: SpotterSpec) -> FlowOptions:
    """What the spec asks the flow to show."""
    surround = tuple(spec.lags_ns.index(lag) for lag in spec.surround_ns)
    return FlowOptions(surround, spec.parallax, spec.certainty, spec.ridge)


def _normed(x: Tensor, conv: nn.Module, norm: nn.Module) -> Tensor:
    """Convolution and norm.

    Where the norm's statistics are fixed it is folded in, which saves a pass forward and one back.
    """
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
    """`side` after halvings that are rounded up."""
    for _ in range(times):
        side = -(-side // 2)
    return side
