"""CMNet names the emotion of one ME from N frames, with motion magnified in feature space [S2].

Two branches look at the same frames. FFE (`TextureEncoder`) encodes what the face looks like; ICE
(`IntensityEncoder`) encodes how strong the movement is, squeezed to one number per frame and
extended to a vector again. Their product goes through an LSTM; its last state is classified. The
number is the only path from ICE to the product, so texture cannot leak into intensity (C2): there
is no skip from h to u.

    clip (B, N, 3, S, S) -> channels (B, N, 4, H, H) -> t, h (B, N, D)
    s = sigmoid(w . h + b) (B, N) -> e = w_e s + b_e (B, N, D)
    u = t * e -> LSTM -> v (B, D) -> logits (B, C)

Trunks are small convolutions for CPUs; their sizes are not from the paper.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .motion import Flow

FORGET_BIAS = 2.0  # of the LSTM's forget gate at the start: keeps 0.88 of its state per frame
FIRST_KERNEL = 5


@dataclass(frozen=True)
class CMNetSizes:
    """Widths of the trunks; not from the paper."""

    channels: tuple[int, int, int, int] = (16, 24, 32, 48)
    width: int = 128  # D, also the LSTM's state


class Recognition(NamedTuple):
    """The output of CMNet for a batch of clips; without ICE h is None and s is 1."""

    logits: dict[str, Tensor]  # "3" -> (B, 3), "5" -> (B, 5)
    s: Tensor  # (B, N) intensity in (0, 1)
    h: Tensor | None  # (B, N, D) intensity clues


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


def _halve(channels: int, width: int, kernel: int = 3) -> tuple[nn.Module, nn.Module, nn.Module]:
    """One convolution of stride 2 with its norm, which is folded into it on export.

    Without a norm training makes no progress at first.
    """
    return _conv(channels, width, kernel, 2), nn.BatchNorm2d(width), nn.ReLU()


def _conv(channels: int, width: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, width, kernel, stride=stride, padding=kernel // 2, bias=False)


class _SplitConv(nn.Module):
    """First layer of FFE: a quarter of its filters see the face, the others what moved.

    Where all filters see both, the network learns the faces by heart instead of the movement.
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


class TextureEncoder(Trunk):
    """FFE, facial texture t (B, N, D) from all channels [S2 C26]."""

    def __init__(self, sizes: CMNetSizes, side: int) -> None:
        super().__init__(sizes, side, _SplitConv(sizes.channels[0]))


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


class CMNet(nn.Module):
    """The recognizer [S2] for crops of `side` pixels.

    classes: one head per label set on the same trunk. magnify: False leaves ICE out (u = t), for
    ablation.
    """

    def __init__(
        self,
        side: int = 112,
        sizes: CMNetSizes | None = None,
        classes: Sequence[int] = (3, 5),
        magnify: bool = True,
    ) -> None:
        super().__init__()
        sizes = sizes or CMNetSizes()
        self.channels = FrameChannels(side)
        self.texture = TextureEncoder(sizes, side)
        self.intensity = IntensityEncoder(sizes, side) if magnify else None
        self.lstm = nn.LSTM(sizes.width, sizes.width, batch_first=True)
        # the last frame is neutral again: without memory of the apex there is nothing to classify
        with torch.no_grad():
            self.lstm.get_parameter("bias_ih_l0")[sizes.width : 2 * sizes.width] = FORGET_BIAS
        self.heads = nn.ModuleDict({str(count): nn.Linear(sizes.width, count) for count in classes})

    def forward(self, clip: Tensor) -> Recognition:
        """Recognition of clips (B, N, 3, S, S) uint8."""
        return self.recognise(self.channels(clip))

    def recognise(self, frames: Tensor) -> Recognition:
        """Recognition from channels (B, N, 4, H, H).

        fp16 may start here; the differences before need float32.
        """
        u, s, h = self.magnified(frames)
        v = self.last_state(u)
        return Recognition({name: head(v) for name, head in self.heads.items()}, s, h)

    def magnified(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Channels (B, N, 4, H, H) -> u (B, N, D), s (B, N), h (B, N, D) or None without ICE."""
        frames = frames.to(self.lstm.get_parameter("weight_ih_l0").dtype)
        t = self.texture(frames)  # (B, N, D)
        if self.intensity is None:
            return t, torch.ones_like(t[..., 0]), None
        h, s, e = self.intensity(frames)
        return t * e, s, h

    def last_state(self, u: Tensor) -> Tensor:
        """The LSTM's last state: u (B, N, D) -> v (B, D)."""
        # torch 2.11 exports the final state alone with a dimension too many
        states, _ = self.lstm(u)
        v: Tensor = states[:, -1]
        return v

    def clues(self, frames: Tensor) -> Tensor:
        """Intensity clues h (B, N, D) alone, for the positives of the distillation loss (C11).

        Raises ValueError for a network without ICE.
        """
        if self.intensity is None:
            raise ValueError(
                "this CMNet was built without ICE (magnify=False): it has no intensity clues"
            )
        return self.intensity.clues(frames)


class RecognizerStep(nn.Module):
    """The form of CMNet that is exported, for one label set; N is fixed."""

    def __init__(self, network: CMNet, labels: int) -> None:
        super().__init__()
        self.network = network
        self.head = str(labels)

    def forward(self, clip: Tensor) -> tuple[Tensor, Tensor]:
        """Clip (B, N, 3, S, S) uint8 -> class probabilities (B, C), intensity (B, N)."""
        found = self.network(clip)
        return F.softmax(found.logits[self.head], -1), found.s


class FramesStep(nn.Module):
    """The convolutions of CMNet alone, B N frames in a batch.

    They take clips, not frames, since every frame is compared with the first of its own clip (C4).
    """

    def __init__(self, network: CMNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, clip: Tensor) -> tuple[Tensor, Tensor]:
        """Clip (B, N, 3, S, S) uint8 -> product u (B, N, D), intensity (B, N)."""
        channels = self.network.channels(clip.float())  # TensorRT cannot reshape bytes
        u, s, _ = self.network.magnified(channels)
        return u, s


class HeadStep(nn.Module):
    """The LSTM and all heads of CMNet; N is fixed."""

    def __init__(self, network: CMNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, product: Tensor) -> tuple[Tensor, ...]:
        """Product u (B, N, D) -> class probabilities (B, C) of each label set, in order."""
        v = self.network.last_state(product)
        return tuple(F.softmax(head(v), -1) for head in self.network.heads.values())
