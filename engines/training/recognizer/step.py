"""The losses of one training step of CMNet: class weights, positives, three losses [S2 C28]."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ...networks.cmnet import CMNet, Recognition
from .. import losses
from .data import HEADS, Batch, RecognizerConfig, Sample


def class_weights(samples: list[Sample], config: RecognizerConfig) -> dict[str, Tensor]:
    """Inverse frequency of each class by head, mean 1 over the samples that have a label.

    Absent classes weigh 1.
    """
    weights = {}
    for name, names in (("3", config.labels3), ("5", config.labels5)):
        labels = np.array([s.label3 if name == "3" else s.label5 for s in samples])
        counts = np.bincount(labels[labels >= 0], minlength=len(names))
        present = max(np.count_nonzero(counts), 1)
        share = counts.sum() / np.maximum(counts, 1) / present
        values = np.where(counts > 0, share, 1.0)
        weights[name] = torch.tensor(values, dtype=torch.float32, device=config.device)
    return weights


def positive_clips(clips: Tensor, config: RecognizerConfig) -> Tensor:
    """Positives x+ of [S2 C11, C29], (B, N, 3, S, S) uint8: other colours, grey, blurred.

    One choice per clip, since the network sees differences within it; no geometry, which would
    change the intensity.
    """
    # not at the top: a second of import that evaluation does not need
    from kornia import augmentation as K

    kernel = 2 * round(config.blur_share * config.side / 2) + 1
    light = config.jitter_light
    change = K.VideoSequential(
        K.ColorJitter(light, light, light, config.jitter_hue, p=config.jitter_probability),
        K.RandomGrayscale(p=config.gray_probability),
        K.RandomGaussianBlur((kernel, kernel), config.blur_sigma, p=config.blur_probability),
        data_format="BTCHW",
        same_on_frame=True,
    )
    changed: Tensor = change(clips.float() / 255)
    return (changed.clamp(0, 1) * 255).round().to(torch.uint8)


def batch_losses(
    network: CMNet,
    batch: Batch,
    weights: dict[str, Tensor],
    config: RecognizerConfig,
    done: float,
    seed: int,
) -> dict[str, Tensor]:
    """The losses whose coefficients are not zero, by name.

    done: share of the run, 0 to 1, which anneals kappa. seed: of the drawn prototypes and
    negatives.
    """
    with torch.no_grad():
        frames = network.channels(batch.clips)
    with torch.autocast(torch.device(config.device).type, torch.bfloat16, enabled=config.bfloat16):
        found = network.recognise(frames)
    active = {name for name, value in config.coefficients.items() if value}
    parts = {"classes": _classes(found, batch, weights)}
    random = torch.Generator(device=batch.clips.device).manual_seed(seed)
    if "tendency" in active and found.h is not None:
        mu, sigma = losses.prototype(batch.apex, config.frames, config.eps)
        draws = losses.draw_prototype(mu, sigma, config.draws, random)
        kappa = config.kappa[0] + (config.kappa[1] - config.kappa[0]) * done
        parts["tendency"] = losses.wilcoxon(
            found.s.float(), draws, config.delta, kappa, config.scope, config.form
        )
    if "distillation" in active and found.h is not None:
        parts["distillation"] = _distillation(network, found.h, batch, config, random)
    return parts


def _classes(found: Recognition, batch: Batch, weights: dict[str, Tensor]) -> Tensor:
    parts = [
        losses.classification_loss(found.logits[n].float(), batch.labels[n], weights[n])
        for n in HEADS
    ]
    return torch.stack(parts).mean()


def _distillation(
    network: CMNet, h: Tensor, batch: Batch, config: RecognizerConfig, random: torch.Generator
) -> Tensor:
    """Intensity distillation on the first clips of the batch; h (B, N, D)."""
    count = max(1, math.ceil(config.positives * len(h)))
    clips = batch.clips[:count]
    indices = batch.indices[:count]
    negatives = losses.sample_negatives(clips, config.strategy, None, config.temperature, random)
    # a short ME has fewer captured frames than N positions: a copy of the anchor is no negative
    negatives = negatives & (indices[:, :, None] != indices[:, None, :])
    with torch.no_grad():
        frames = network.channels(positive_clips(clips, config))
    with torch.autocast(torch.device(config.device).type, torch.bfloat16, enabled=config.bfloat16):
        positive = network.clues(frames)
    return losses.intensity_distillation(h[:count].float(), positive.float(), negatives, config.tau)
