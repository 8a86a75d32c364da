"""The two branches of CMNet [S2]: what they see, and the small convolutions that encode it.

FFE (`TextureEncoder`) encodes what the face looks like and, by its `sees`, how it moves; ICE
(`IntensityEncoder`) encodes how strong the movement is. Both are for CPUs; their sizes are not from
the paper.

Shape letters: B clips, N frames, S crop side, H = S / 2, D width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..specs import ENERGY_FLOOR, TEXTURES
from .motion import Flow

FIRST_KERNEL = 5


@dataclass(frozen=True)
class CMNetSizes:
    """Widths of the trunks; not from the paper."""

    channels: tuple[int, int, int, int] = (16, 24, 32, 48)
    width: int = 128  # D, also the LSTM's state


class FrameChannels(nn.Module):
    """uint8 clip (B, N, 3, S, S) -> float (B, N, 4, H, H), H = S / 2.

    The channels are grey, its difference, the flow in x and the flow in y. Difference and flow are
    to the clip's own first frame, since "frames of one video differ only in intensity" (C4).
    """

    def __init__(self, side: int) -> None:
        super().__init__()
        self.flow = Flow(side)

    def forward(self, clip: Tensor) -> Tensor:
        """Channels of a clip."""
        batch, n = clip.shape[:2]
        grey = self.flow.prepare(clip.flatten(0, 1))  # (B N, 1, H, H)
        firsts = grey.view(batch, n, *grey.shape[1:])[:, :1]  # (B, 1, 1, H, H)
        first = firsts.expand(-1, n, -1, -1, -1).reshape(grey.shape)  # (B N, 1, H, H)
        channels: Tensor = self.flow(grey, first)
        return channels.view(batch, n, *channels.shape[1:])


def directions(frames: Tensor, floor: float) -> Tensor:
    """Channels (..., 4, H, H) with difference and flow at unit energy: where to, not how far.

    The energy is the RMS over the frame, of the flow that of both its parts together. A frame whose
    energy is below `floor` is divided by the floor instead: noise is not raised to a movement.
    """
    parts = [frames[..., :1, :, :]]
    for part in (frames[..., 1:2, :, :], frames[..., 2:, :, :]):
        square = part.square().mean((-2, -1), keepdim=True).sum(-3, keepdim=True)
        parts.append(part / square.clamp(min=floor * floor).sqrt())
    return torch.cat(parts, -3)


def _halve(channels: int, width: int, kernel: int = 3) -> tuple[nn.Module, nn.Module, nn.Module]:
    """One convolution of stride 2 with its norm, which is folded into it on export.

    Without a norm training makes no progress at first.
    """
    return _conv(channels, width, kernel, 2), nn.BatchNorm2d(width), nn.ReLU()


def _conv(channels: int, width: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, width, kernel, stride=stride, padding=kernel // 2, bias=False)


class _SplitConv(nn.Module):
    """First layer of FFE: a quarter of its filters see the face, the others what moved.

    Where all filters see both, the network learns the faces by heart instead of the movement. So
    three quarters of what is called texture [S2 C26] come from the movement.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.face = _conv(1, width // 4, FIRST_KERNEL)
        self.motion = _conv(3, width - width // 4, FIRST_KERNEL)

    def forward(self, frames: Tensor) -> Tensor:
        """Channels (B N, 4, H, H) -> (B N, width, H, H)."""
        return torch.cat([self.face(frames[:, :1]), self.motion(frames[:, 1:])], 1)


class Trunk(nn.Module):
    """Four convolutions, a pool, and a linear layer with weights of its own for every place."""

    def __init__(self, sizes: CMNetSizes, side: int, first: nn.Module) -> None:
        super().__init__()
        a, b, c, d = sizes.channels
        cells = math.ceil(side / 32)  # five halvings, the first in the channels, each rounded up
        self.layers = nn.Sequential(
            first, nn.BatchNorm2d(a), nn.ReLU(), *_halve(a, b), *_halve(b, c), *_halve(c, d)
        )
        self.pool = nn.AvgPool2d(3, stride=2, padding=1)
        self.out = nn.Linear(d * cells**2, sizes.width)

    def forward(self, frames: Tensor) -> Tensor:
        """(B, N, C, H, H) -> (B, N, D)."""
        batch, n = frames.shape[:2]
        maps = self.layers(frames.flatten(0, 1))  # (B N, d, S / 16, S / 16)
        cells = self.pool(maps)  # (B N, d, S / 32, S / 32)
        features: Tensor = self.out(cells.flatten(1))  # (B N, D)
        return features.view(batch, n, features.shape[-1])


class _FaceConv(nn.Module):
    """First layer of an FFE that sees the face alone."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.face = _conv(1, width, FIRST_KERNEL)

    def forward(self, frames: Tensor) -> Tensor:
        """Channels (B N, 4, H, H) -> (B N, width, H, H)."""
        seen: Tensor = self.face(frames[:, :1])
        return seen


class TextureEncoder(Trunk):
    """FFE, facial texture t (B, N, D) [S2 C26].

    sees: of TEXTURES, what it sees of the movement. floor: least energy of "direction".
    """

    def __init__(
        self,
        sizes: CMNetSizes,
        side: int,
        sees: str = TEXTURES[0],
        floor: float = ENERGY_FLOOR,
    ) -> None:
        first = _FaceConv if sees == "face" else _SplitConv
        super().__init__(sizes, side, first(sizes.channels[0]))
        self.sees = sees
        self.floor = floor

    def seen(self, frames: Tensor) -> Tensor:
        """What it sees of channels (B, N, 4, H, H), which are float32 here: energies are small."""
        return directions(frames, self.floor) if self.sees == "direction" else frames


class IntensityEncoder(nn.Module):
    """ICE with squeeze and extend [S2 C10, C22].

    It sees only what moved, so that intensity clues carry no texture (C2).
    """

    def __init__(self, sizes: CMNetSizes, side: int) -> None:
        super().__init__()
        self.trunk = Trunk(sizes, side, _conv(3, sizes.channels[0], FIRST_KERNEL))
        self.squeeze = nn.Linear(sizes.width, 1)
        self.extend = nn.Linear(1, sizes.width)
        # e = s at first: pure scaling of the texture; not from the paper
        nn.init.ones_(self.extend.weight)
        nn.init.zeros_(self.extend.bias)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Channels (B, N, 4, H, H) -> h (B, N, D), s (B, N), e (B, N, D)."""
        h = self.clues(frames)
        s = torch.sigmoid(self.squeeze(h))  # (B, N, 1)
        return h, s.squeeze(-1), self.extend(s)

    def clues(self, frames: Tensor) -> Tensor:
        """Intensity clues h (B, N, D) of channels (B, N, 4, H, H)."""
        h: Tensor = self.trunk(frames[:, :, 1:])
        return h
