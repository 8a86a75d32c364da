"""Statistics of the encoder's norms, and channels of it that do nothing.

Joint training keeps the norms as they are, since its batches have too few faces, so their
statistics are measured before it begins, one layer after the other, on frames of many faces. Not
from the papers.

Shape letters: B frames.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ...networks.mesnet import MESNet
from ...networks.spatial import SpatialEncoder
from ..dead_channels import DEAD_SHARE
from ..distributed import TrainingGroup
from .config import SpotterTraining
from .data import TrainingClip, collate, draw
from .frames import Frames

FACES_AT_ONCE = 32
STREAM = 2  # of the random numbers, beside those of the two stages


def sample_inputs(
    encoder: SpatialEncoder,
    clips: Sequence[TrainingClip],
    source: Frames,
    config: SpotterTraining,
    group: TrainingGroup,
) -> Tensor:
    """This process's share of what the encoder sees of `norm_faces` faces, or of all there are.

    Returns (B, channels, height, width): `norm_frames` frames of one clip of every face, drawn from
    the seed.
    """
    rng = np.random.default_rng([config.seed, STREAM])
    by_face: dict[str, list[TrainingClip]] = {}
    for clip in clips:
        by_face.setdefault(clip.face, []).append(clip)
    faces = rng.permutation(sorted(by_face))[: config.norm_faces].tolist()
    drawn = []
    for face in faces:
        clip = by_face[face][rng.integers(len(by_face[face]))]
        drawn.append(draw(clip, config.spec, config.joint_ticks, config.augmentation, rng))
    mine = drawn[group.rank :: group.size] or drawn[:1]
    parts = []
    for first in range(0, len(mine), FACES_AT_ONCE):
        segments = mine[first : first + FACES_AT_ONCE]
        batch = collate(segments, source, config.augmentation, rng).to(group.device)
        chosen = []
        begin = 0
        for segment in segments:
            inside = np.linspace(0, len(segment.used) - 1, config.norm_frames).round().astype(int)
            chosen.append(batch.current[begin + torch.from_numpy(inside).to(group.device)])
            begin += len(segment.used)
        current = torch.cat(chosen)
        with torch.no_grad():
            parts.append(encoder.inputs_of(batch.pixels, current, batch.lags[current]))
    return torch.cat(parts)


@torch.no_grad()
def measure_norms(
    encoder: SpatialEncoder, inputs: Tensor, group: TrainingGroup, kept: Sequence[int] = ()
) -> None:
    """Set the norms' statistics to those of `inputs`, averaged over the group.

    kept: of each layer the number of first channels that go on computing what they did, as after a
    warm start; their gains and biases take up what the statistics change.
    """
    encoder.eval()
    for i, norm in enumerate(encoder.norms):
        assert isinstance(norm, nn.BatchNorm2d)
        scale, shift = _applied(norm)
        momentum = norm.momentum
        norm.momentum = 1.0  # the statistics of this one batch
        norm.train()
        encoder.features(inputs)
        norm.eval()
        norm.momentum = momentum
        group.average_statistics(norm)
        assert norm.running_mean is not None
        rows = slice(kept[i] if kept else 0)
        norm.weight[rows] = (scale * _deviation(norm))[rows]
        norm.bias[rows] = (shift + norm.running_mean * scale)[rows]


def _applied(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """What a norm multiplies by and adds."""
    assert norm.running_mean is not None
    scale = norm.weight / _deviation(norm)
    return scale, norm.bias - norm.running_mean * scale


def _deviation(norm: nn.BatchNorm2d) -> Tensor:
    assert norm.running_var is not None
    return torch.sqrt(norm.running_var + norm.eps)


@torch.no_grad()
def dead_channels(network: MESNet, inputs: Tensor) -> list[int]:
    """How many channels of each layer of the encoder do nothing on `inputs` (B, ...).

    They are never active, or what reads them hardly does.
    """
    encoder = network.encoder
    training = encoder.training
    encoder.eval()
    outputs = encoder.activations(inputs)
    encoder.train(training)
    readers = [_read(conv) for conv in list(encoder.convs)[1:]]
    readers.append(_read_features(network))
    counts = []
    for output, reader in zip(outputs, readers, strict=True):
        active = output.clamp(min=0).square().mean((0, 2, 3)).sqrt()
        effect = active * reader
        counts.append(int((effect <= DEAD_SHARE * effect.median()).sum()))
    return counts


def _read(conv: nn.Module) -> Tensor:
    """How much of each of its inputs a convolution reads."""
    assert isinstance(conv, nn.Conv1d | nn.Conv2d)
    norms: Tensor = torch.linalg.vector_norm(conv.weight.transpose(0, 1).flatten(1), dim=1)
    return norms


def _read_features(network: MESNet) -> Tensor:
    """How much of each channel of the last layer the two 1D networks read."""
    cells = network.encoder.grid.cells
    read = [_read(part.first) for part in (network.temporal, network.refiner)]
    return torch.stack(read).view(len(read), -1, cells).square().sum((0, 2)).sqrt()
