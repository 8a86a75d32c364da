"""What the stages of the spotter's training hand on, weigh and leave out, each in one update."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from microspot.engines.errors import EngineError
from microspot.engines.networks.mesnet import ClipClassifier, MESNet
from microspot.engines.specs import SpotterSpec
from microspot.engines.training.spotter.config import SpotterTraining, load_config
from microspot.engines.training.spotter.data import ClipSet, TrainingClip, cut, draw
from microspot.engines.training.spotter.frames import Augmentation
from microspot.engines.training.spotter.optimizer import decayed, make_optimizer
from microspot.engines.training.spotter.pretraining import pretrain_batch
from microspot.engines.training.spotter.train import Trainer
from microspot.engines.training.targets import (
    IGNORED,
    POSITIVE,
    Assignment,
    proposal_labels,
)
from tests.noise_set import SIDE, noise_set

SPEC = SpotterSpec(side=SIDE, feature=32)
CONFIG = SpotterTraining(
    bfloat16=False,
    pretrain_steps=2,
    pretrain_clips=6,
    joint_steps=1,
    joint_clips=2,
    joint_ticks=50,
    cpn_steps=0,
    crn_steps=0,
    warm_steps=1,
    validation_clips=1,
    spec=SPEC,
)
SECOND = 1_000_000_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return noise_set(tmp_path_factory.mktemp("set"))


def trainer_of(folder: Path, out: Path, **changes: object) -> Trainer:
    return Trainer(dataclasses.replace(CONFIG, **changes), folder, out, say=str)


def updated(trainer: Trainer, network: nn.Module, losses: dict[str, Tensor]) -> float:
    """Update the network once by these losses; the whole loss."""
    optimizer = make_optimizer(network, trainer.config)
    return trainer._update(network, optimizer, losses).item()


def with_gradient(network: nn.Module) -> set[str]:
    """Names of the parameters that the last update has a gradient of, other than zero."""
    return {n for n, p in network.named_parameters() if p.grad is not None and p.grad.any()}


# ---- the joint loss


@pytest.mark.parametrize("weight", [1.0, 2.5])
def test_the_joint_loss_has_crns_with_its_weight(
    folder: Path, tmp_path: Path, weight: float
) -> None:
    trainer = trainer_of(folder, tmp_path, pretrain_steps=0, lambda_crn=weight)
    torch.manual_seed(0)
    network = MESNet(SPEC)
    losses, _ = trainer._joint_step(network, 0)
    assert losses["crn"].item() > 0.1
    loss = updated(trainer, network, losses)
    parts = {name: value.item() for name, value in losses.items()}
    assert loss == pytest.approx(parts["cpn"] + weight * parts["crn"], rel=1e-5)


def test_crn_learns_scores_and_boundaries_from_its_loss_alone(folder: Path, tmp_path: Path) -> None:
    trainer = trainer_of(folder, tmp_path, pretrain_steps=0, crn_steps=1)
    torch.manual_seed(0)
    network = MESNet(SPEC)
    losses, _ = trainer._joint_step(network, 0)
    assert losses.keys() == {"crn"}
    updated(trainer, network, losses)
    assert with_gradient(network) == {f"refiner.{n}" for n, _ in network.refiner.named_parameters()}


def test_the_shipped_recipe_trains_crn() -> None:
    assert load_config().lambda_crn > 0
    assert SpotterTraining().lambda_crn > 0


@pytest.mark.parametrize("bad", [float("nan"), -float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_ends_training_before_it_spoils_weights(
    folder: Path, tmp_path: Path, bad: float
) -> None:
    trainer = trainer_of(folder, tmp_path)
    network = MESNet(SPEC)
    before = network.encoder.convs[0].weight.clone()
    some = network.encoder.convs[0].weight.sum()
    for losses in ({"cpn": bad * some}, {"cpn": some + bad}):
        with pytest.raises(EngineError, match="broke down at step 0 of stage pretrain") as caught:
            updated(trainer, network, losses)
        assert "lower pretrain_lr" in str(caught.value)
    # the square root's slope at zero: a finite loss
    with pytest.raises(EngineError, match=r"gradient (nan|inf)"):
        updated(trainer, network, {"cpn": (0 * some).sqrt()})
    assert torch.equal(network.encoder.convs[0].weight, before)


# ---- the L2 term


@pytest.mark.parametrize(
    ("network", "left_out"),
    [
        (MESNet(SPEC), {"refiner.classes.weight", "refiner.offsets.weight"}),
        (ClipClassifier(SPEC, 16), {"last.weight"}),
    ],
    ids=["joint", "pre-training"],
)
def test_weight_decay_takes_every_kernel_but_those_of_the_last_layers(
    network: nn.Module, left_out: set[str]
) -> None:
    """[S1 M20, M31]; at gradients of zero only decay moves a parameter, and by its share."""
    for parameter in network.parameters():
        parameter.data += 0.5  # biases begin at zero, which decay would not move
        parameter.grad = torch.zeros_like(parameter)
    before = {name: value.clone() for name, value in network.named_parameters()}
    optimizer = make_optimizer(network, dataclasses.replace(CONFIG, weight_decay=0.2))
    for group in optimizer.param_groups:
        group["lr"] = 0.1
    optimizer.step()
    moved = set()
    for name, value in network.named_parameters():
        if not torch.equal(value, before[name]):
            moved.add(name)
            torch.testing.assert_close(value, before[name] * (1 - 0.1 * 0.2))
    kernels = {name for name, value in before.items() if value.ndim > 1}
    assert moved == kernels - left_out
    assert len(kernels) >= 8
    assert {id(p) for p in decayed(network)} == {id(network.get_parameter(n)) for n in moved}


def test_decay_does_not_pass_through_adams_moments(folder: Path, tmp_path: Path) -> None:
    """Without a loss Adam would make full steps of an L2 gradient; decay takes a share."""
    trainer = trainer_of(folder, tmp_path, weight_decay=0.05)
    network = MESNet(SPEC)
    before = network.encoder.convs[0].weight.clone()
    optimizer = make_optimizer(network, trainer.config)
    for _ in range(20):
        losses = {"cpn": sum((0 * p).sum() for p in network.parameters())}
        trainer._update(network, optimizer, losses)
    after = network.encoder.convs[0].weight
    rate = optimizer.param_groups[0]["lr"]
    torch.testing.assert_close(after, before * (1 - 0.05 * rate) ** 20)


# ---- from pre-training to joint training


class Watched(Trainer):
    """A trainer that keeps the weights at the end of each of its stages."""

    def _stage(self, network: nn.Module, *arguments: object) -> None:
        super()._stage(network, *arguments)  # type: ignore[arg-type]
        ended = {name: value.clone() for name, value in network.state_dict().items()}
        self.ended = [*getattr(self, "ended", []), ended]


def test_joint_training_begins_with_what_pretraining_has_learnt(
    folder: Path, tmp_path: Path
) -> None:
    """At a learning rate of zero joint training ends with the weights that it began with."""
    config = dataclasses.replace(CONFIG, joint_lr=0.0)
    trainer = Watched(config, folder, tmp_path / "run", say=str)
    made = trainer.run().state_dict()
    pretrained, joint = trainer.ended
    # the norms' statistics are measured in between
    handed_over = [
        name
        for name in pretrained
        if name.startswith(("encoder.", "temporal.")) and ".running_" not in name
    ]
    assert any(name.startswith("temporal.") for name in handed_over)
    for name in handed_over:
        if "num_batches" not in name:
            assert torch.equal(joint[name], pretrained[name]), name
    for name, value in joint.items():
        assert torch.equal(made[name], value), name


# ---- pre-training's negatives


def long_clip() -> ClipSet:
    """Ten grey seconds with another movement from 4 to 4.2 s and an ME from 8 s on."""
    times = np.arange(300, dtype=np.int64) * SECOND // 30
    clip = TrainingClip(
        split="train",
        start=0,
        times_ns=times,
        micro_ns=np.array([[8 * SECOND, 8 * SECOND + 300_000_000]]),
        other_ns=np.array([[4 * SECOND, 4 * SECOND + 200_000_000]]),
        doubtful=np.array([False]),
    )
    return ClipSet(np.full((300, 3, SIDE, SIDE), 128, np.uint8), (clip,))  # type: ignore[arg-type]


@pytest.mark.parametrize(("hard", "least", "most"), [(0.0, 0, 6), (0.5, 10, 22), (1.0, 32, 32)])
def test_the_hard_share_of_negatives_lies_on_other_movements(
    hard: float, least: int, most: int
) -> None:
    data = long_clip()
    config = dataclasses.replace(
        CONFIG,
        pretrain_clips=64,
        pretrain_hard=hard,
        spec=dataclasses.replace(SPEC, lags_ns=()),  # no frames before the sample
    )
    batch, _, labels = pretrain_batch(list(data.clips), data.crops, config, 0)
    middles = []
    for segment, label in zip(batch.segments, labels.tolist(), strict=True):
        if not label:
            middles.append(data.clips[0].times_ns[segment.rows[[0, -1]]].mean() / SECOND)
    assert len(middles) == 32
    on_movement = sum(1 for middle in middles if 3.95 <= middle <= 4.25)
    assert least <= on_movement <= most


def test_the_shipped_recipe_has_hard_negatives() -> None:
    assert 0 < load_config().pretrain_hard < 1


# ---- movements that are neither, and clips that run one way


def doubtful_clip() -> ClipSet:
    """An ME at 8 s; one at 2 s amid speech and a movement of the kind doubtful at 5 s."""
    data = long_clip()
    clip = dataclasses.replace(
        data.clips[0],
        micro_ns=np.array([[2 * SECOND, 2 * SECOND + 300_000_000], *data.clips[0].micro_ns]),
        doubtful=np.array([True, False]),
        doubtful_ns=np.array([[5 * SECOND, 5 * SECOND + 300_000_000]]),
    )
    return dataclasses.replace(data, clips=(clip,))


def test_pretraining_learns_nothing_from_doubtful_movements() -> None:
    data = doubtful_clip()
    spec = dataclasses.replace(SPEC, lags_ns=())  # no frames before the sample
    config = dataclasses.replace(CONFIG, pretrain_clips=64, spec=spec)
    batch, _, labels = pretrain_batch(list(data.clips), data.crops, config, 0)
    for segment, label in zip(batch.segments, labels.tolist(), strict=True):
        first, last = data.clips[0].times_ns[segment.rows[[0, -1]]] / SECOND
        if label:
            assert first > 7.9
        else:
            for onset in (2.0, 5.0, 8.0):
                assert last < onset + 0.04 or first > onset + 0.26


def test_joint_training_ignores_the_windows_of_doubtful_movements() -> None:
    (clip,) = doubtful_clip().clips
    truths = cut(clip, SPEC).truths
    assert sorted(truths.onset.tolist()) == pytest.approx([60, 150, 240], abs=0.1)
    assert truths.doubtful[np.argsort(truths.onset)].tolist() == [True, True, False]
    labels = proposal_labels(SPEC, 300, truths, Assignment())
    positive = np.flatnonzero((labels == POSITIVE).any(0))
    assert positive.min() >= 240
    assert (labels[:, 155:160] == IGNORED).any()


def test_a_clip_that_runs_one_way_is_never_played_backward() -> None:
    (clip,) = long_clip().clips
    augmentation = Augmentation(backward=1.0)
    for reversible in (True, False):
        one_way = dataclasses.replace(clip, reversible=reversible)
        segment = draw(one_way, SPEC, 60, augmentation, np.random.default_rng(0))
        assert (np.diff(segment.rows) > 0).all() == (not reversible)


def test_the_index_says_what_is_doubtful_and_runs_one_way(tmp_path: Path) -> None:
    data = noise_set(tmp_path)
    index = json.loads((data / "index.json").read_text())
    entry = index["clips"][0]
    entry["reversible"] = False
    entry["movements"].append(entry["movements"][0] | {"kind": "doubtful"})
    (data / "index.json").write_text(json.dumps(index))
    first, second = ClipSet.open(data, SPEC).clips[:2]
    assert (first.reversible, second.reversible) == (False, True)
    assert (len(first.doubtful_ns), len(second.doubtful_ns)) == (1, 0)
    assert len(first.other_ns) == 0, "no hard negative either"
