"""Positives x+: each change moves the intensity clues of a small network, and nothing else does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from microspot.engines.networks.branches import CMNetSizes
from microspot.engines.networks.cmnet import CMNet
from microspot.engines.specs import LUMA
from microspot.engines.training.recognizer.data import AUGMENTATIONS, RecognizerConfig
from microspot.engines.training.recognizer.positives import CHANGES, positive_clips

SIDE = 48
FRAMES = 7
SEED = 3
SMALL = CMNetSizes(channels=(8, 8, 16, 16), width=32)
CLIPS = 6
# Mean cosine of the clues of an untrained network with those of the positive, at most; without any
# change it is 1.
COSINES = {
    "shift": 0.87,
    "blur": 0.985,
    "brightness": 0.91,
    "contrast": 0.91,
    "gamma": 0.96,
    "noise": 0.91,
    "codec": 0.89,
}


def settings(**changes: Any) -> RecognizerConfig:
    return RecognizerConfig.read("set", "run", side=SIDE, frames=FRAMES, **changes)


def alone(name: str) -> dict[str, Any]:
    return {"augmentations": (name,), "augmentation_probability": 1.0}


def generator(seed: int = SEED) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def moving_clips() -> Tensor:
    """(B, N, 3, S, S): smooth textures of which a disc moves by up to 1.5 px and back."""
    random = np.random.default_rng(SEED)
    coarse = torch.from_numpy(random.uniform(30, 220, (CLIPS, 3, 16, 16)))
    texture = F.interpolate(coarse, (SIDE, SIDE), mode="bicubic").float().clamp(0, 255)
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, SIDE)] * 2, indexing="ij")
    bump = torch.exp(-((x - 0.3) ** 2 + (y + 0.2) ** 2) / 0.1)
    frames = []
    for level in (0.0, 0.4, 0.8, 1.0, 0.7, 0.4, 0.1):
        moved = torch.stack([x, y - 1.5 * level * bump * 2 / SIDE], -1)
        grid = moved[None].expand(CLIPS, -1, -1, -1)
        frames.append(F.grid_sample(texture, grid, padding_mode="border", align_corners=True))
    return torch.stack(frames, 1).round().to(torch.uint8)


def clues(network: CMNet, clips: Tensor) -> Tensor:
    """Intensity clues (B, N - 1, D) of the frames after the first, less those of a still clip."""
    with torch.inference_mode():
        h = network.clues(network.channels(clips))
        still = network.clues(network.channels(clips[:, :1].expand_as(clips)))
    return (h - still)[:, 1:]


def luma(clips: Tensor) -> Tensor:
    """RGB clips (B, N, 3, S, S) -> (B, N, S, S), in grey levels."""
    return torch.einsum("bnchw,c->bnhw", clips.float(), torch.tensor(LUMA))


@pytest.mark.parametrize("name", COSINES)
def test_each_change_moves_the_clues(name: str) -> None:
    assert name in settings().augmentations
    torch.manual_seed(SEED)
    network = CMNet(SIDE, SMALL).eval()
    clips = moving_clips()
    changed = positive_clips(clips, settings(**alone(name)), generator())
    cosine = F.cosine_similarity(clues(network, clips), clues(network, changed), dim=-1)
    assert cosine.mean() < COSINES[name]


def test_every_change_has_a_cosine_and_without_any_nothing_changes() -> None:
    assert set(COSINES) == set(AUGMENTATIONS) == set(CHANGES) == set(settings().augmentations)
    clips = moving_clips()
    for config in (settings(augmentations=()), settings(augmentation_probability=0.0)):
        assert torch.equal(positive_clips(clips, config, generator()), clips)


def test_equal_seeds_give_equal_positives_and_every_clip_its_own_draw() -> None:
    clips = moving_clips()[:1].expand(4, -1, -1, -1, -1)
    first = positive_clips(clips, settings(), generator())
    assert torch.equal(first, positive_clips(clips, settings(), generator()))
    assert not torch.equal(first, positive_clips(clips, settings(), generator(1)))
    assert not torch.equal(first[0], first[1])
    assert first.dtype == torch.uint8


@pytest.mark.parametrize("name", ["shift", "blur", "codec"])
def test_these_change_all_frames_alike(name: str) -> None:
    still = moving_clips()[:, :1].expand(-1, FRAMES, -1, -1, -1)
    changed = positive_clips(still, settings(**alone(name)), generator())
    assert torch.equal(changed, changed[:, :1].expand_as(changed))
    assert all(not torch.equal(a, b) for a, b in zip(changed, still, strict=True))


def test_light_drifts_and_noise_is_new_in_every_frame() -> None:
    still = torch.full((1, FRAMES, 3, SIDE, SIDE), 100, dtype=torch.uint8)
    lit = positive_clips(still, settings(brightness=(1.3, 1.3), **alone("brightness")), generator())
    assert lit[0, :, 0, 0, 0].tolist() == [100, 105, 110, 115, 120, 125, 130]
    noisy = positive_clips(still, settings(noise=(5.0, 5.0), **alone("noise")), generator()).float()
    assert noisy[0, 0].std() == pytest.approx(5, rel=0.05)
    assert (noisy[0, 1] - noisy[0, 0]).std() == pytest.approx(5 * 2**0.5, rel=0.05)


def test_blur_is_a_gaussian_of_the_configured_size() -> None:
    clips = moving_clips()
    sigma = 1.5
    changed = positive_clips(clips, settings(blur=(sigma, sigma), **alone("blur")), generator())
    reach = 4
    row = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    kernel = torch.outer(row, row) / row.sum() ** 2
    planes = F.pad(clips.flatten(0, 2)[:, None].float(), (reach,) * 4, mode="replicate")
    expected = F.conv2d(planes, kernel[None, None]).view(clips.shape)
    assert (changed.float() - expected).abs().max() < 1


def test_a_shift_is_of_whole_pixels() -> None:
    clips = moving_clips()
    changed = positive_clips(clips, settings(shift=(2.0, 2.0), **alone("shift")), generator())
    for clip, one in zip(clips, changed, strict=True):
        found = [
            (dy, dx)
            for dy in (-2, 2)
            for dx in range(-2, 3)
            if torch.equal(clip.roll((dy, dx), (-2, -1))[..., 3:-3, 3:-3], one[..., 3:-3, 3:-3])
        ]
        assert len(found) == 1


def test_the_networks_see_luma_alone_so_that_grey_is_no_change() -> None:
    """What RandomGrayscale of the paper would change, and why it is left out [S2 C29]."""
    clips = moving_clips()
    grey = luma(clips)[:, :, None].expand_as(clips).round().to(torch.uint8)
    torch.manual_seed(SEED)
    network = CMNet(SIDE, SMALL).eval()
    cosine = F.cosine_similarity(clues(network, clips), clues(network, grey), dim=-1)
    assert cosine.mean() > 0.99
