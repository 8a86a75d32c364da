"""CMNet: its structure and its export."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from microspot.engines.errors import UsageError
from microspot.engines.export.onnx_export import export
from microspot.engines.networks.branches import CMNetSizes, directions
from microspot.engines.networks.cmnet import CMNet, HeadStep, RecognizerStep
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


def test_direction_has_no_strength_above_the_floor() -> None:
    """Only ICE may know how strong a movement is [S2 C2]."""
    torch.manual_seed(0)
    network = CMNet(SIDE, SMALL, texture="direction", floor=0.02).eval()
    strength = CMNet(SIDE, SMALL).eval()
    strength.load_state_dict(network.state_dict())
    frames = network.channels(clips())
    larger = frames.clone()
    larger[:, :, 1:] *= torch.linspace(0.5, 3, FRAMES)[:, None, None, None]
    for one, sees_strength in ((network, False), (strength, True)):
        t = [one.texture(one.texture.seen(channels)) for channels in (frames, larger)]
        assert torch.allclose(*t, atol=1e-5) != sees_strength
    assert not torch.allclose(*(network.intensity.clues(x) for x in (frames, larger)), atol=1e-3)
    assert not torch.equal(network(clips()).logits["3"], strength(clips()).logits["3"])


def test_directions_have_unit_energy_and_noise_below_the_floor_stays_small() -> None:
    frames = CMNet(SIDE, SMALL).channels(clips())
    found = directions(frames, 0.02)
    assert torch.equal(found[:, :, 0], frames[:, :, 0])
    energy = found.square().mean((-2, -1))  # (B, N, 4)
    torch.testing.assert_close(energy[:, 1:, 1], torch.ones(2, FRAMES - 1))
    torch.testing.assert_close(energy[:, 1:, 2:].sum(-1), torch.ones(2, FRAMES - 1))
    torch.testing.assert_close(
        found[:, :, 3] * frames[:, :, 2], found[:, :, 2] * frames[:, :, 3], msg="direction"
    )
    assert not found[:, 0, 1:].any(), "the first frame is compared with itself"
    faint = frames * 1e-3
    torch.testing.assert_close(directions(faint, 0.02)[:, :, 1:], faint[:, :, 1:] / 0.02)


def test_the_face_alone_sees_no_movement() -> None:
    network = CMNet(SIDE, SMALL, texture="face").eval()
    frames = network.channels(clips())
    other = frames.clone()
    other[:, :, 1:] = torch.rand_like(other[:, :, 1:])
    assert torch.equal(network.texture(other), network.texture(frames))
    other[:, :, :1] += 1
    assert not torch.equal(network.texture(other), network.texture(frames))
    with pytest.raises(UsageError, match="expected one of strength, direction, face"):
        CMNet(SIDE, SMALL, texture="none")


def test_other_intensities_can_magnify() -> None:
    network = CMNet(SIDE, SMALL).eval()
    frames = network.channels(clips())
    found = network.recognise(frames)
    same = network.recognise(frames, lambda s: s)
    torch.testing.assert_close(same.logits, found.logits)
    none = network.recognise(frames, torch.zeros_like)
    assert torch.equal(none.s, found.s)
    assert not network.magnified(frames, torch.zeros_like)[0].any(), "e = s at first"
    assert not torch.allclose(none.logits["3"], found.logits["3"])


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


@pytest.mark.parametrize("texture", ["strength", "direction"])
def test_export_keeps_the_batch_free_and_the_numbers(tmp_path: Path, texture: str) -> None:
    torch.manual_seed(1)
    moved = (2, 3) if texture == "direction" else (0, 0)
    spec = RecognizerSpec(
        frames=FRAMES,
        side=SIDE,
        labels=tuple("abcde"),
        units=("AU1", "AU2")[: moved[0]],
        regions=("brow", "eye", "chin")[: moved[1]],
    )
    step = RecognizerStep(CMNet(SIDE, SMALL, texture=texture, moved=moved), 5).eval()
    path = tmp_path / "recognizer-5.onnx"
    export(step, "recognizer", spec.tensors()["recognizer"], None, path)  # compares with torch
    found = OnnxEngine(path.read_bytes(), *spec.tensors()["recognizer"])(clip=clips(4).numpy())
    with torch.inference_mode():
        wanted = step(clips(4))
    promised = spec.tensors()["recognizer"][1]
    assert len(promised) == len(wanted) == (8 if moved[0] else 2)
    for tensor, one in zip(promised, wanted, strict=True):
        np.testing.assert_allclose(found[tensor.name], one.numpy(), atol=1e-6)
    np.testing.assert_allclose(found["classes"].sum(1), 1, atol=1e-6)
