"""CMNet: its structure and its export."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from microspot.engines.export.onnx_export import export
from microspot.engines.networks.cmnet import CMNet, CMNetSizes, HeadStep, RecognizerStep
from microspot.engines.runtime.onnx_engine import OnnxEngine
from microspot.engines.specs import RecognizerSpec

SIDE = 48
FRAMES = 7
SMALL = CMNetSizes(channels=(4, 4, 4, 8), width=16)


def clips(count: int = 2, frames: int = FRAMES, seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randint(
        0, 256, (count, frames, 3, SIDE, SIDE), dtype=torch.uint8, generator=random
    )


def test_shapes_ranges_and_size() -> None:
    network = CMNet()
    assert sum(p.numel() for p in network.parameters()) < 600_000
    found = network(torch.randint(0, 256, (2, 11, 3, 112, 112), dtype=torch.uint8))
    assert {name: tuple(x.shape) for name, x in found.logits.items()} == {"3": (2, 3), "5": (2, 5)}
    assert found.s.shape == (2, 11)
    assert found.h.shape == (2, 11, 128)
    assert ((found.s > 0) & (found.s < 1)).all()


def test_every_parameter_gets_a_gradient() -> None:
    network = CMNet(SIDE, SMALL)
    found = network(clips())
    loss = found.h.square().sum()
    for logits in found.logits.values():
        loss = loss + logits.square().sum()
    loss.backward()
    dead = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert dead == []


def test_only_one_number_per_frame_reaches_the_product() -> None:
    """No skip from h to u [S2 C2]: where s is constant the intensity trunk changes no logit."""
    torch.manual_seed(0)
    network = CMNet(SIDE, SMALL)
    clip = clips()
    torch.nn.init.zeros_(network.intensity.squeeze.weight)
    before = network(clip).logits["3"]
    for p in network.intensity.trunk.parameters():
        torch.nn.init.normal_(p)
    torch.testing.assert_close(network(clip).logits["3"], before)
    torch.nn.init.ones_(network.intensity.squeeze.weight)
    assert not torch.allclose(network(clip).logits["3"], before)


def test_intensity_never_sees_the_face() -> None:
    """Another face with the same change gives the same clues [S2 C2, C4]."""
    network = CMNet(SIDE, SMALL).eval()
    frames = network.channels(clips())
    other = frames.clone()
    other[:, :, :1] = torch.rand_like(other[:, :, :1])
    assert torch.equal(network.intensity.clues(other), network.intensity.clues(frames))
    assert not torch.equal(network.texture(other), network.texture(frames))


def test_magnification_starts_as_pure_scaling() -> None:
    network = CMNet(SIDE, SMALL)
    frames = network.channels(clips())
    h, s, e = network.intensity(frames)
    torch.testing.assert_close(e, s[..., None].expand_as(e))
    torch.testing.assert_close(network.clues(frames), h)


def test_the_last_state_of_the_lstm_is_classified() -> None:
    """Neither the mean of its states nor another one [S2 C27], also in the exported head."""
    network = CMNet(SIDE, SMALL).eval()
    frames = network.channels(clips())
    u, _, _ = network.magnified(frames)
    states, (last, _) = network.lstm(u)
    logits = network.recognise(frames).logits
    probabilities = HeadStep(network)(u)
    for (name, head), exported in zip(network.heads.items(), probabilities, strict=True):
        torch.testing.assert_close(logits[name], head(last[0]))
        torch.testing.assert_close(exported, head(last[0]).softmax(-1))
        assert not torch.allclose(logits[name], head(states.mean(1)), atol=1e-3)


def test_without_ice_the_texture_stands_alone() -> None:
    network = CMNet(SIDE, SMALL, magnify=False)
    found = network(clips())
    assert found.h is None
    assert (found.s == 1).all()
    assert not any("intensity" in name for name, _ in network.named_parameters())
    with pytest.raises(ValueError, match="without ICE"):
        network.clues(network.channels(clips()))


def test_motion_channels_are_of_the_change_since_the_first_frame() -> None:
    channels = CMNet(SIDE, SMALL).channels
    still = clips(1, 1).expand(1, 4, -1, -1, -1)
    assert not channels(still)[:, :, 1:].any()
    moved = still.clone()
    moved[0, 2, :, 10:14, 10:14] = 255
    found = channels(moved)[0, :, 1:]
    assert not found[[0, 1, 3]].any()
    assert found[2, 0, 6, 6] > 0


def test_export_keeps_the_batch_free_and_the_numbers(tmp_path: Path) -> None:
    torch.manual_seed(1)
    spec = RecognizerSpec(frames=FRAMES, side=SIDE, labels=tuple("abcde"))
    step = RecognizerStep(CMNet(SIDE, SMALL), 5).eval()
    path = tmp_path / "recognizer-5.onnx"
    export(step, "recognizer", spec.tensors()["recognizer"], None, path)  # compares with torch
    found = OnnxEngine(path.read_bytes(), *spec.tensors()["recognizer"])(clip=clips(4).numpy())
    with torch.inference_mode():
        classes, intensity = step(clips(4))
    np.testing.assert_allclose(found["classes"], classes.numpy(), atol=1e-6)
    np.testing.assert_allclose(found["intensity"], intensity.numpy(), atol=1e-6)
    np.testing.assert_allclose(found["classes"].sum(1), 1, atol=1e-6)
