"""Positives x+ of the distillation loss [S2 C11, C29]: the same frames, taken otherwise.

What the networks cannot see teaches them nothing: they take luma, less what varies slowly, and
compare every frame with the first of its clip. So each change here moves the intensity clues; a
test holds by how much. Geometry beside a shift would change the intensity itself. Ranges are in
`recognizer.toml`; not from the paper.

Shape letters: B clips, N frames, S crop side.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from .data import AUGMENTATIONS, RecognizerConfig

WHITE = 255.0


def positive_clips(clips: Tensor, config: RecognizerConfig, random: Generator) -> Tensor:
    """Positives of clips (B, N, 3, S, S) uint8: another draw of every change for each clip."""
    positives = [_changed(clip.float(), config, random) for clip in clips]
    return torch.stack(positives)


def _changed(clip: Tensor, config: RecognizerConfig, random: Generator) -> Tensor:
    """One clip (N, 3, S, S), 0 to 255 -> uint8."""
    for name in AUGMENTATIONS:
        if (
            name in config.augmentations
            and _uniform(random, 0, 1) < config.augmentation_probability
        ):
            low, high = getattr(config, name)
            amount = _uniform(random, low, high)
            clip = CHANGES[name](clip, amount, random).clamp(0, WHITE)
    return clip.round().to(torch.uint8)


def _uniform(random: Generator, low: float, high: float) -> float:
    share = torch.rand((), generator=random, device=random.device).item()
    return low + (high - low) * share


def _shift(clip: Tensor, amount: float, random: Generator) -> Tensor:
    """All frames moved alike by up to `amount` px each way, at least one of them; edges repeat."""
    most = max(round(amount), 1)
    across = round(_uniform(random, -most, most))
    down = most if _uniform(random, 0, 1) < 0.5 else -most
    side = clip.shape[-1]
    wide = F.pad(clip, (most, most, most, most), mode="replicate")
    return wide[..., most - down : most - down + side, most - across : most - across + side]


def _blur(clip: Tensor, sigma: float, random: Generator) -> Tensor:
    """Gaussian blur of `sigma` px; edges repeat."""
    reach = max(round(3 * sigma), 1)
    places = torch.arange(-reach, reach + 1, device=clip.device, dtype=clip.dtype)
    row = torch.exp(-0.5 * (places / sigma) ** 2)
    row = (row / row.sum())[None, None, None]  # (1, 1, 1, 2 reach + 1)
    planes = F.pad(clip.flatten(0, 1)[:, None], (reach,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(planes, row), row.mT).view(clip.shape)


def _brightness(clip: Tensor, gain: float, random: Generator) -> Tensor:
    """Light whose gain goes evenly from 1 at the first frame to `gain` at the last."""
    return clip * _evenly(clip, gain)


def _contrast(clip: Tensor, factor: float, random: Generator) -> Tensor:
    """Contrast about the clip's mean grey, evenly from 1 to `factor`."""
    mean = clip.mean()
    return mean + _evenly(clip, factor) * (clip - mean)


def _gamma(clip: Tensor, gamma: float, random: Generator) -> Tensor:
    """A camera's curve whose exponent goes evenly from 1 to `gamma`."""
    return WHITE * (clip / WHITE) ** _evenly(clip, gamma)


def _evenly(clip: Tensor, last: float) -> Tensor:
    """(N, 1, 1, 1) from 1 at the first frame to `last` at the last."""
    return torch.linspace(1, last, len(clip), device=clip.device)[:, None, None, None]


def _noise(clip: Tensor, sigma: float, random: Generator) -> Tensor:
    """Sensor noise of `sigma` grey levels, other noise in every frame."""
    drawn = torch.randn(clip.shape, generator=random, device=random.device)
    return clip + sigma * drawn.to(clip.device)


def _codec(clip: Tensor, quality: float, random: Generator) -> Tensor:
    """Every frame through JPEG of a `quality`."""
    option = [cv2.IMWRITE_JPEG_QUALITY, round(quality)]
    frames = []
    for frame in clip.round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy():
        _, packet = cv2.imencode(".jpg", np.ascontiguousarray(frame), option)
        decoded: Any = cv2.imdecode(packet, cv2.IMREAD_COLOR)
        frames.append(torch.from_numpy(decoded).permute(2, 0, 1))
    return torch.stack(frames).to(clip)


CHANGES: dict[str, Callable[[Tensor, float, Generator], Tensor]] = {
    "shift": _shift,
    "blur": _blur,
    "brightness": _brightness,
    "contrast": _contrast,
    "gamma": _gamma,
    "noise": _noise,
    "codec": _codec,
}
