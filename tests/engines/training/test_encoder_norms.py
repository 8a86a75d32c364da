"""Statistics of the encoder's norms before joint training, and channels that do nothing."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from microspot.engines.networks import mesnet, spatial
from microspot.engines.networks.mesnet import MESNet
from microspot.engines.networks.weights import save_weights
from microspot.engines.specs import SpotterSpec
from microspot.engines.training.distributed import TrainingGroup
from microspot.engines.training.spotter import train
from microspot.engines.training.spotter.config import SpotterTraining
from microspot.engines.training.spotter.data import Batch, ClipSet, Segment
from microspot.engines.training.spotter.encoder_norms import (
    dead_channels,
    measure_norms,
    sample_inputs,
)
from microspot.engines.training.spotter.optimizer import make_optimizer, set_rate
from microspot.engines.training.spotter.schedule import rate
from microspot.engines.training.spotter.train import Trainer
from microspot.engines.training.warm_start import warm_start
from tests.noise_set import FRAMES, SIDE, noise_set

SPEC = SpotterSpec(side=SIDE, feature=32)
CONFIG = SpotterTraining(
    bfloat16=False,
    pretrain_steps=0,
    joint_steps=1,
    joint_clips=2,
    joint_ticks=40,
    cpn_steps=0,
    crn_steps=0,
    warm_steps=1,
    validation_clips=1,
    spec=SPEC,
)
# One lag, one scale, narrow layers behind the encoder: a step takes milliseconds. Its rate is twice
# the recipe's and its decay ten times, so that decay which passes through Adam's moments kills
# channels within 100 steps; with AdamW none dies.
TINY = dataclasses.replace(
    CONFIG,
    joint_clips=1,
    joint_ticks=16,
    joint_lr=2e-3,
    weight_decay=0.5,
    spec=dataclasses.replace(
        SPEC,
        lags_ns=(166_666_667,),
        windows=(9,),
        dilations=((2, 2),),
        temporal_kernels=(3, 3),
        branch_channels=8,
        refine_channels=8,
        refine_dense=8,
        refine_length=8,
    ),
)
BATCHES = 32  # that all steps share
ALONE = TrainingGroup()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return noise_set(tmp_path_factory.mktemp("set"))


def sampled(folder: Path, group: TrainingGroup = ALONE, **changes: object) -> tuple[MESNet, Tensor]:
    torch.manual_seed(0)
    network = MESNet(SPEC)
    data = ClipSet.open(folder, SPEC)
    config = dataclasses.replace(CONFIG, **changes)
    clips = data.split("train")
    return network, sample_inputs(network.encoder, clips, data.crops, config, group)


# ---- the sample


def test_the_sample_has_frames_of_many_faces_and_comes_again_from_the_seed(folder: Path) -> None:
    _, inputs = sampled(folder)
    assert len(inputs) == 8 * 4  # all eight faces, four frames of each
    assert torch.equal(inputs, sampled(folder)[1])
    assert not torch.equal(inputs, sampled(folder, seed=1)[1])
    assert len(sampled(folder, norm_faces=3)[1]) == 3 * 4


def test_processes_share_the_faces(folder: Path) -> None:
    everything = sampled(folder)[1]
    shares = [sampled(folder, TrainingGroup(rank, 2))[1] for rank in (0, 1)]
    assert [len(share) for share in shares] == [16, 16]
    # other augmentation, so that the frames are alike only in number
    assert len(torch.cat(shares)) == len(everything)


def test_the_shipped_recipe_measures_on_256_faces() -> None:
    assert SpotterTraining().norm_faces >= 256


# ---- the statistics


def test_every_norm_has_the_statistics_of_its_own_input(folder: Path) -> None:
    network, inputs = sampled(folder)
    encoder = network.encoder
    measure_norms(encoder, inputs, ALONE)
    x = inputs
    for i, (conv, norm) in enumerate(zip(encoder.convs, encoder.norms, strict=True)):
        raw = conv(x)
        torch.testing.assert_close(norm.running_mean, raw.mean((0, 2, 3)), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(norm.running_var, raw.var((0, 2, 3)), atol=1e-6, rtol=1e-3)
        x = encoder.activations(inputs)[i]
    assert not encoder.training


def test_kept_channels_compute_what_they_did(folder: Path) -> None:
    network, inputs = sampled(folder)
    encoder = network.encoder.eval()
    with torch.no_grad():
        for norm in encoder.norms:
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.uniform_(-0.5, 0.5)
        before = encoder.features(inputs)
        measure_norms(encoder, inputs, ALONE, [norm.num_features for norm in encoder.norms])
        torch.testing.assert_close(encoder.features(inputs), before, atol=1e-4, rtol=1e-4)
        assert encoder.norms[0].running_mean.abs().max() > 1e-3
    fresh, _ = sampled(folder)
    unmeasured = fresh.encoder.eval().features(inputs)
    measure_norms(fresh.encoder, inputs, ALONE)
    assert not torch.allclose(fresh.encoder.features(inputs), unmeasured, atol=1e-2)


def test_joint_training_begins_with_measured_statistics(folder: Path, tmp_path: Path) -> None:
    """Also after a warm start, whose weights may have none."""
    save_weights(MESNet(SPEC), tmp_path / "given.safetensors")
    for weights in (None, tmp_path / "given.safetensors"):
        trainer = Trainer(CONFIG, folder, tmp_path / str(weights is None), say=str, weights=weights)
        network = trainer.run()
        for norm in network.encoder.norms:
            assert (norm.running_var - 1).abs().max() > 0.1


# ---- dead channels


def test_dead_channels_are_counted(folder: Path) -> None:
    network, inputs = sampled(folder)
    measure_norms(network.encoder, inputs, ALONE)
    assert dead_channels(network, inputs) == [0, 0, 0, 0]
    cells = network.encoder.grid.cells
    with torch.no_grad():
        network.encoder.norms[0].bias[3] = -1e3  # never active
        network.encoder.convs[2].weight[:, 5] = 1e-9  # nothing reads it
        for part in (network.temporal, network.refiner):
            part.first.weight[:, 2 * cells : 3 * cells] = 0
        network.temporal.first.weight[:, :cells] = 0  # the refiner still reads this one
    assert dead_channels(network, inputs) == [1, 1, 0, 1]


def moving_set(folder: Path) -> Path:
    """Nine still clips with noise; where each has its ME, a part of the picture moves by 2 px."""
    noise_set(folder)
    random = np.random.default_rng(1)
    crops = []
    for _ in range(9):
        rough = random.uniform(0, 255, (SIDE, SIDE)).astype(np.float32)
        still = np.clip(4 * (cv2.GaussianBlur(rough, (0, 0), 1.5) - 127) + 127, 20, 235)
        y, x = random.integers(4, SIDE - 16, 2)
        part = np.s_[y : y + 12, x : x + 12]
        for i in range(FRAMES):
            down = 2 * max(0.0, 1 - abs(i - 25) / 5)
            moves = np.array([[1, 0, 0], [0, 1, down]])
            frame = still + random.normal(0, 2, still.shape)
            frame[part] = cv2.warpAffine(still, moves, (SIDE, SIDE))[part]
            crops.append(np.repeat(frame[None], 3, 0))
    np.save(folder / "crops.npy", np.clip(np.rint(crops), 0, 255).astype(np.uint8))
    return folder


def trained(network: MESNet, folder: Path, out: Path, steps: int) -> list[int]:
    """Dead channels after steps of one segment each, with everything learning."""
    trainer = Trainer(TINY, folder, out, say=str)
    trainer._measure_norms(network)
    optimizer = make_optimizer(network, trainer.config)
    for i in range(steps):
        set_rate(optimizer, rate(i, i / steps, warm_steps=30))
        network.train()
        losses, _ = trainer._joint_step(network, i % BATCHES)
        trainer._update(network, optimizer, losses)
    return dead_channels(network, trainer._sample_inputs(network))


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches, and the flow of each, are made once; nothing in them is learnt."""
    batches: dict[bytes, Batch] = {}
    flows: dict[int, Tensor] = {}
    collate = train.collate
    inputs_of = spatial.SpatialEncoder.inputs_of

    def collated(segments: list[Segment], *others: object) -> Batch:
        key = segments[0].rows.tobytes()
        if key not in batches:
            batches[key] = collate(segments, *others)  # type: ignore[arg-type]
        return batches[key]

    def shown(encoder: spatial.SpatialEncoder, frames: Tensor, *others: Tensor) -> Tensor:
        known = any(frames is batch.pixels for batch in batches.values())
        if not known:
            return inputs_of(encoder, frames, *others)
        if id(frames) not in flows:
            flows[id(frames)] = inputs_of(encoder, frames, *others)
        return flows[id(frames)]

    monkeypatch.setattr(train, "collate", collated)
    monkeypatch.setattr(spatial.SpatialEncoder, "inputs_of", shown)
    monkeypatch.setattr(mesnet, "TEMPORAL_CHANNELS", 16)


@pytest.mark.usefixtures("prepared")
def test_no_channel_dies_in_training_nor_in_a_network_that_grew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "set").mkdir()
    folder = moving_set(tmp_path / "set")
    torch.manual_seed(0)
    monkeypatch.setattr(spatial, "ENCODER_CHANNELS", (6, 8, 10))
    small = MESNet(TINY.spec)
    assert trained(small, folder, tmp_path / "small", 100) == [0, 0, 0, 0]
    save_weights(small, tmp_path / "small.safetensors")
    monkeypatch.setattr(spatial, "ENCODER_CHANNELS", (12, 16, 20))
    grown = MESNet(TINY.spec)
    assert warm_start(grown, tmp_path / "small.safetensors") == [6, 8, 10, 32]
    assert trained(grown, folder, tmp_path / "grown", 250) == [0, 0, 0, 0]
