"""CMNet names the emotion of one ME from N frames, with motion magnified in feature space [S2].

Two branches look at the same frames. FFE (`TextureEncoder`) encodes what the face looks like; ICE
(`IntensityEncoder`) encodes how strong the movement is, squeezed to one number per frame and
extended to a vector again. Their product goes through an LSTM; its last state is classified. The
number is the only path from ICE to the product, so texture cannot leak into intensity (C2): there
is no skip from h to u. Nor does strength reach the product past that number: with texture
"direction" FFE sees each frame's difference and flow at unit energy.

    clip (B, N, 3, S, S) -> channels (B, N, 4, H, H) -> t, h (B, N, D)
    s = sigmoid(w . h + b) (B, N) -> e = w_e s + b_e (B, N, D)
    u = t * e -> LSTM -> v (B, D) -> logits (B, C)

The branches themselves are in `branches`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import UsageError
from ..specs import ENERGY_FLOOR, TEXTURES, RecognizerSpec
from .branches import CMNetSizes, FrameChannels, IntensityEncoder, TextureEncoder
from .movement_heads import Movement, MovementHeads

FORGET_BIAS = 2.0  # of the LSTM's forget gate at the start: keeps 0.88 of its state per frame


Exchange = Callable[[Tensor], Tensor]  # intensities (B, N) -> others in their place


class Recognition(NamedTuple):
    """The output of CMNet for a batch of clips; without ICE h is None and s is 1."""

    logits: dict[str, Tensor]  # "3" -> (B, 3), "5" -> (B, 5)
    s: Tensor  # (B, N) intensity in (0, 1)
    h: Tensor | None  # (B, N, D) intensity clues
    movement: Movement | None = None  # None without the heads that say what moved


class CMNet(nn.Module):
    """The recognizer [S2] for crops of `side` pixels.

    classes: one head per label set on the same trunk. magnify: False leaves ICE out (u = t), for
    ablation. texture, floor: what FFE sees of the movement, as in `RecognizerSpec`. moved: how many
    units and regions the heads tell apart that say what moved; none: there are no such heads.
    Raises UsageError for another texture.
    """

    def __init__(
        self,
        side: int = 112,
        sizes: CMNetSizes | None = None,
        classes: Sequence[int] = (3, 5),
        magnify: bool = True,
        texture: str = TEXTURES[0],
        floor: float = ENERGY_FLOOR,
        moved: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__()
        if texture not in TEXTURES:
            raise UsageError(f"texture {texture!r}: expected one of {', '.join(TEXTURES)}")
        sizes = sizes or CMNetSizes()
        self.channels = FrameChannels(side)
        self.texture = TextureEncoder(sizes, side, texture, floor)
        self.intensity = IntensityEncoder(sizes, side) if magnify else None
        self.lstm = nn.LSTM(sizes.width, sizes.width, batch_first=True)
        # the last frame is neutral again: without memory of the apex there is nothing to classify
        with torch.no_grad():
            self.lstm.get_parameter("bias_ih_l0")[sizes.width : 2 * sizes.width] = FORGET_BIAS
        self.heads = nn.ModuleDict({str(count): nn.Linear(sizes.width, count) for count in classes})
        self.movement = MovementHeads(sizes.width, *moved, magnify) if moved[0] else None

    def forward(self, clip: Tensor) -> Recognition:
        """Recognition of clips (B, N, 3, S, S) uint8."""
        return self.recognise(self.channels(clip))

    def recognise(self, frames: Tensor, exchange: Exchange | None = None) -> Recognition:
        """Recognition from channels (B, N, 4, H, H).

        exchange: intensities (B, N) that magnify in place of those that were found, to ask what the
        magnification does. fp16 may start here; the differences before need float32.
        """
        u, s, h = self.magnified(frames, exchange)
        v = self.last_state(u)
        logits = {name: head(v) for name, head in self.heads.items()}
        movement = None if self.movement is None else self.movement(v, u, h)
        return Recognition(logits, s, h, movement)

    def magnified(
        self, frames: Tensor, exchange: Exchange | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Channels (B, N, 4, H, H) -> u (B, N, D), s (B, N), h (B, N, D) or None without ICE."""
        dtype = self.lstm.get_parameter("weight_ih_l0").dtype
        t = self.texture(self.texture.seen(frames).to(dtype))  # (B, N, D)
        if self.intensity is None:
            return t, torch.ones_like(t[..., 0]), None
        h, s, e = self.intensity(frames.to(dtype))
        if exchange is not None:
            e = self.intensity.extend(exchange(s)[..., None])
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


def cmnet_of(spec: RecognizerSpec) -> CMNet:
    """The network that a spec describes, with heads for both label sets and untrained weights."""
    return CMNet(
        spec.side,
        texture=spec.texture,
        floor=spec.energy_floor,
        moved=(len(spec.units), len(spec.regions)),
    )


class RecognizerStep(nn.Module):
    """The form of CMNet that is exported, for one label set; N is fixed."""

    def __init__(self, network: CMNet, labels: int) -> None:
        super().__init__()
        self.network = network
        self.head = str(labels)

    def forward(self, clip: Tensor) -> tuple[Tensor, ...]:
        """Clip (B, N, 3, S, S) uint8 -> class probabilities (B, C), intensity (B, N), movement.

        Of the movement, where there are heads for it, the outputs of `Movement`.
        """
        found = self.network(clip)
        movement = () if found.movement is None else found.movement.outputs()
        return F.softmax(found.logits[self.head], -1), found.s, *movement


class FramesStep(nn.Module):
    """The convolutions of CMNet alone, B N frames in a batch.

    They take clips, not frames, since every frame is compared with the first of its own clip (C4).
    """

    def __init__(self, network: CMNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, clip: Tensor) -> tuple[Tensor, ...]:
        """Clip (B, N, 3, S, S) uint8 -> product u (B, N, D), intensity (B, N).

        With heads that say what moved the clues h (B, N, D) too, which these read.
        """
        channels = self.network.channels(clip.float())  # TensorRT cannot reshape bytes
        u, s, h = self.network.magnified(channels)
        return (u, s) if self.network.movement is None or h is None else (u, s, h)


class HeadStep(nn.Module):
    """The LSTM and all heads of CMNet; N is fixed."""

    def __init__(self, network: CMNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, product: Tensor, clues: Tensor | None = None) -> tuple[Tensor, ...]:
        """Product u (B, N, D) -> class probabilities (B, C) of each label set, in order.

        With heads that say what moved their outputs too; they also take the clues h (B, N, D).
        """
        v = self.network.last_state(product)
        classes = tuple(F.softmax(head(v), -1) for head in self.network.heads.values())
        if self.network.movement is None:
            return classes
        movement: Movement = self.network.movement(v, product, clues)
        return classes + movement.outputs()
