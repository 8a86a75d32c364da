"""One training step of CMNet: which losses it has, what reaches each of them, and the positives."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from microspot.engines.networks.branches import CMNetSizes
from microspot.engines.networks.cmnet import CMNet
from microspot.engines.training import losses
from microspot.engines.training.recognizer import step as step_module
from microspot.engines.training.recognizer.data import PARTS, Batch, RecognizerConfig
from microspot.engines.training.recognizer.step import batch_losses

SIDE = 48
FRAMES = 7
SMALL = CMNetSizes(channels=(4, 4, 4, 8), width=16)
SEED = 5
EQUAL = {"3": torch.ones(3), "5": torch.ones(5)}


def settings(**changes: Any) -> RecognizerConfig:
    small: dict[str, Any] = {"side": SIDE, "frames": FRAMES, "bfloat16": False}
    return RecognizerConfig.read("set", "run", **small | changes)


def network(magnify: bool = True) -> CMNet:
    """A network whose normalisation does not depend on the batch."""
    torch.manual_seed(SEED)
    return CMNet(SIDE, SMALL, magnify=magnify).eval()


def random_clips(count: int) -> Tensor:
    random = torch.Generator().manual_seed(SEED)
    shape = (count, FRAMES, 3, SIDE, SIDE)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=random)


@pytest.fixture
def batch() -> Batch:
    """Four clips: the first has one source frame twice, the second no 5-class label."""
    indices = torch.arange(FRAMES).repeat(4, 1)
    indices[0, 1] = 0
    return Batch(
        clips=random_clips(4),
        indices=indices,
        times=torch.arange(FRAMES).repeat(4, 1) / 30 - 0.02,
        apex=torch.tensor([2, 3, 4, 1]) / 30,
        offset=torch.tensor([6, 6, 5, 4]) / 30,
        labels={"3": torch.tensor([0, 1, 2, 0]), "5": torch.tensor([4, -1, 1, 0])},
    )


# ---- the losses


def test_a_step_has_each_loss_whose_coefficient_is_not_zero(batch: Batch) -> None:
    config = settings()
    parts = batch_losses(network(), batch, EQUAL, config, 0.0, SEED)
    losses_of_cmnet = set(PARTS) - {"movement"}  # for which this network has no heads
    assert set(parts) == losses_of_cmnet
    assert all(loss.item() > 0 for loss in parts.values())
    for name in ("distillation", "tendency"):
        without = settings(coefficients=config.coefficients | {name: 0.0})
        found = batch_losses(network(), batch, EQUAL, without, 0.0, SEED)
        assert set(found) == losses_of_cmnet - {name}
    assert set(batch_losses(network(magnify=False), batch, EQUAL, config, 0.0, SEED)) == {"classes"}


def test_distillation_contrasts_the_first_clips_with_their_positives(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copies of the anchor are no negatives; FFE gets no gradient."""
    monkeypatch.setattr(step_module, "positive_clips", lambda clips, *_: 255 - clips)
    config = settings(strategy="all", positives=0.5)
    cmnet = network()
    found = batch_losses(cmnet, batch, EQUAL, config, 0.0, SEED)["distillation"]
    clips = batch.clips[:2]
    indices = batch.indices[:2]
    expected = losses.intensity_distillation(
        cmnet.clues(cmnet.channels(clips)),
        cmnet.clues(cmnet.channels(255 - clips)),
        indices[:, :, None] != indices[:, None, :],
        config.tau,
    )
    torch.testing.assert_close(found, expected)
    found.backward()
    assert cmnet.intensity is not None
    assert all(p.grad is not None and p.grad.any() for p in cmnet.intensity.trunk.parameters())
    assert all(p.grad is None for p in cmnet.texture.parameters())


def test_tendency_follows_the_apex_with_a_kappa_annealed_over_the_run(batch: Batch) -> None:
    config = settings(kappa=(0.4, 0.1))
    cmnet = network()
    s = cmnet(batch.clips).s
    mu, sigma = losses.prototype(batch.times, batch.apex, batch.offset, config.eps)
    random = torch.Generator().manual_seed(SEED)
    draws = losses.draw_prototype(mu, sigma, config.draws, random)
    values = []
    for done, kappa in ((0.0, 0.4), (0.5, 0.25), (1.0, 0.1)):
        found = batch_losses(cmnet, batch, EQUAL, config, done, SEED)["tendency"].item()
        assert found == pytest.approx(losses.wilcoxon(s, draws, config.delta, kappa).item())
        values.append(found)
    assert np.ptp(values) > 0.01, "kappa has an effect on this batch"
    moved = dataclasses.replace(batch, apex=batch.apex.flip(0))
    other = batch_losses(cmnet, moved, EQUAL, config, 1.0, SEED)["tendency"].item()
    assert other != pytest.approx(values[-1], abs=1e-4)


def test_class_weights_reach_their_classes_in_the_loss(batch: Batch) -> None:
    cmnet = network()
    logits = cmnet(batch.clips).logits
    labelled = batch.labels["5"] >= 0
    three_weights = torch.tensor([0.5, 1.0, 4.0])
    five_weights = torch.tensor([0.2, 0.5, 1.0, 3.0, 8.0])
    values = []
    for weights in (
        {"3": three_weights, "5": five_weights},
        {"3": three_weights[[1, 2, 0]], "5": five_weights[[3, 0, 4, 2, 1]]},
    ):
        found = batch_losses(cmnet, batch, weights, settings(), 0.0, SEED)["classes"].item()
        three = F.cross_entropy(logits["3"], batch.labels["3"], weights["3"])
        five = F.cross_entropy(logits["5"][labelled], batch.labels["5"][labelled], weights["5"])
        assert found == pytest.approx((three.item() + five.item()) / 2)
        values.append(found)
    assert values[0] != pytest.approx(values[1], abs=1e-3)
