"""Joint training of CPN and CRN: its phases and its losses [S1 M22-M35].

CPN is trained alone first, then CRN alone, then both with the encoder, or without where it is
frozen.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...clips import window_mask
from ...networks.mesnet import MESNet
from ..half_precision import in_bfloat16
from ..losses import cpn_loss, crn_loss
from ..targets import IGNORED, POSITIVE, Samples, proposal_labels, refiner_samples
from .config import SpotterTraining
from .data import Batch, encode_frames, resample_batch, tick_features
from .nuisance import nuisance_loss
from .pretraining import Losses


def phase_of(step: int, config: SpotterTraining) -> str:
    """What joint training does at a step: CPN alone, then CRN alone, then everything together.

    Together without the encoder ("heads") where that is frozen.
    """
    if step < config.cpn_steps:
        return "cpn"
    if step < config.cpn_steps + config.crn_steps:
        return "crn"
    return "heads" if config.frozen_encoder else "joint"


def freeze(network: MESNet, phase: str) -> None:
    """Let only the parts of a phase learn; the others get no gradient and no decay."""
    learning: dict[str, tuple[str, ...]] = {
        "cpn": ("temporal", "proposals", "nuisance"),
        "crn": ("refiner",),
    }
    learning["heads"] = learning["cpn"] + learning["crn"]
    for name, part in network.named_children():
        part.requires_grad_(phase == "joint" or name in learning[phase])


def joint_losses(
    network: MESNet, batch: Batch, config: SpotterTraining, phase: str, rng: np.random.Generator
) -> Losses:
    """CPN's balanced loss, CRN's loss on windows sampled from CPN's output, or both.

    The nuisance heads, where the spec has some, learn with CPN.

    phase: cpn, crn, heads or joint. rng: draws the windows.
    """
    with torch.set_grad_enabled(phase == "joint"):
        frames = encode_frames(network.encoder, batch, config.bfloat16, batch.current)
    features, valid = tick_features(frames, batch)  # (B, L, N), (B, N)
    with in_bfloat16(features.device.type, config.bfloat16):
        logits, nuisance = network.proposed(features, valid)
    logits = logits.float()  # (B, M, N)
    labels = np.full(logits.shape, IGNORED, np.int8)
    spec = network.spec
    rule = config.assignment
    scores = logits.detach().sigmoid().cpu().numpy()
    samples = []
    for i, segment in enumerate(batch.segments):
        n = len(segment.weights)
        labels[i, :, :n] = proposal_labels(spec, n, segment.truths, rule)
        shown = np.where(window_mask(spec, n), scores[i, :, :n], 0)
        samples.append(refiner_samples(spec, shown, segment.truths, rule, rng))
    losses: Losses = {}
    if phase != "crn":
        truth = torch.from_numpy(labels).to(logits.device)
        losses["cpn"] = cpn_loss(logits, truth == POSITIVE, truth != IGNORED, config.beta_max)
        if nuisance is not None:
            labelled = [segment.nuisances for segment in batch.segments]
            losses["nuisance"] = nuisance_loss(nuisance.float(), labelled)
    if phase != "cpn":
        losses["crn"] = refine_loss(network, features, samples, config)
    return losses


def refine_loss(
    network: MESNet, features: Tensor, samples: list[Samples], config: SpotterTraining
) -> Tensor:
    """CRN's loss on the samples of all segments of a batch; features (B, L, N)."""

    def joined(arrays: list[NDArray[Any]]) -> Tensor:
        return torch.from_numpy(np.concatenate(arrays)).to(features.device)

    row = joined([np.full(len(s.start), i) for i, s in enumerate(samples)])
    start = joined([s.start for s in samples])
    stop = joined([s.stop for s in samples])
    clips = resample_batch(features, row, start, stop, network.spec.refine_length)
    with in_bfloat16(features.device.type, config.bfloat16):
        classes, offsets = network.refiner(clips)
    return crn_loss(
        classes.float(),
        offsets.float(),
        joined([s.labels for s in samples]),
        joined([s.targets for s in samples]),
        config.crn_scale,
        config.crn_boundaries,
    )
