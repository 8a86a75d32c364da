"""A run that is stopped and resumed, and how long a run is."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn

from microspot.engines.errors import DataError
from microspot.engines.networks.mesnet import MESNet
from microspot.engines.networks.weights import save_weights
from microspot.engines.specs import SpotterSpec
from microspot.engines.training.spotter import schedule, train
from microspot.engines.training.spotter.checkpoint import Progress, read_progress, recorded
from microspot.engines.training.spotter.config import SpotterTraining
from microspot.engines.training.spotter.schedule import planned
from microspot.engines.training.spotter.train import CHECKPOINT, Trainer
from tests.noise_set import SIDE, noise_set

CONFIG = SpotterTraining(
    pretrain_steps=3,
    pretrain_clips=4,
    joint_steps=4,
    joint_clips=2,
    joint_ticks=40,
    cpn_steps=1,
    crn_steps=1,
    warm_steps=2,
    dropout=0.5,
    validation_clips=1,
    checkpoint_minutes=0.0,  # after every step
    spec=SpotterSpec(side=SIDE, feature=32),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return noise_set(tmp_path_factory.mktemp("set"))


class Killed(Trainer):
    """A trainer that is killed as it begins a step: of a stage, by number."""

    at = ("joint", 2)

    def _count(self, stage: str, step: int) -> None:
        if (stage, step) == self.at:
            raise KeyboardInterrupt

    def _pretrain_step(self, network: nn.Module, drawn: int):  # type: ignore[no-untyped-def]
        self._count("pretrain", drawn)
        return super()._pretrain_step(network, drawn)

    def _joint_step(self, network: nn.Module, drawn: int):  # type: ignore[no-untyped-def]
        self._count("joint", drawn)
        return super()._joint_step(network, drawn)


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize("at", [("pretrain", 2), ("joint", 0), ("joint", 3)])
def test_a_resumed_run_ends_with_the_same_bits(
    folder: Path, tmp_path: Path, bfloat16: bool, at: tuple[str, int]
) -> None:
    config = dataclasses.replace(CONFIG, bfloat16=bfloat16)
    whole = Trainer(config, folder, tmp_path / "a", say=str).run().state_dict()
    broken = Killed(config, folder, tmp_path / "b", say=str)
    broken.at = at
    with pytest.raises(KeyboardInterrupt):
        broken.run()
    resumed = Trainer(config, folder, tmp_path / "b", say=str).run(resume=True).state_dict()
    for name, wanted in whole.items():
        assert torch.equal(resumed[name], wanted), name


def test_a_run_goes_on_elsewhere_with_its_set_made_again(folder: Path, tmp_path: Path) -> None:
    broken = Killed(CONFIG, folder, tmp_path / "run", say=str)
    with pytest.raises(KeyboardInterrupt):
        broken.run()
    shutil.copytree(folder, tmp_path / "elsewhere")
    Trainer(CONFIG, tmp_path / "elsewhere", tmp_path / "run", say=str).run(resume=True)


def test_another_set_is_refused(folder: Path, tmp_path: Path) -> None:
    broken = Killed(CONFIG, folder, tmp_path / "run", say=str)
    with pytest.raises(KeyboardInterrupt):
        broken.run()
    shutil.copytree(folder, tmp_path / "other")
    index = json.loads((folder / "index.json").read_text())
    index["clips"][0]["movements"][0]["onset_ns"] += 1
    (tmp_path / "other" / "index.json").write_text(json.dumps(index))
    other = Trainer(CONFIG, tmp_path / "other", tmp_path / "run", say=str)
    with pytest.raises(DataError, match="is of a run on another set") as caught:
        other.run(resume=True)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"joint_lr": 0.5}, "joint_lr"),
        ({"spec": dataclasses.replace(CONFIG.spec, t_nms=0.5)}, "spec.t_nms"),
    ],
)
def test_another_configuration_is_refused_and_named(
    folder: Path, tmp_path: Path, change: dict[str, object], key: str
) -> None:
    broken = Killed(CONFIG, folder, tmp_path / "run", say=str)
    with pytest.raises(KeyboardInterrupt):
        broken.run()
    other = Trainer(dataclasses.replace(CONFIG, **change), folder, tmp_path / "run", say=str)
    with pytest.raises(DataError, match=f"other values of {key}: resume with its configuration"):
        other.run(resume=True)


def test_what_no_step_depends_on_is_free_when_resumed() -> None:
    one = Progress(config=recorded(CONFIG))
    free = dataclasses.replace(CONFIG, threads=7, checkpoint_minutes=9.0, validate_minutes=1.0)
    assert recorded(free) == one.config
    assert recorded(dataclasses.replace(CONFIG, seed=0)) != one.config


def test_a_checkpoint_of_other_processes_is_refused(folder: Path, tmp_path: Path) -> None:
    Trainer(CONFIG, folder, tmp_path, say=str).run()
    fresh = Trainer(CONFIG, folder, tmp_path, say=str).fresh
    read_progress(tmp_path / CHECKPOINT, fresh)
    with pytest.raises(DataError, match="of a run of 1 processes, not 2"):
        read_progress(tmp_path / CHECKPOINT, dataclasses.replace(fresh, processes=2))


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(b"\x08" + bytes(7) + b"{}      ")
    with pytest.raises(DataError, match="no checkpoint to resume"):
        read_progress(tmp_path / CHECKPOINT, Progress())


def test_a_checkpoint_holds_weights_and_moments_and_no_more(folder: Path, tmp_path: Path) -> None:
    network = Trainer(CONFIG, folder, tmp_path, say=str).run()
    with safe_open(tmp_path / CHECKPOINT, "pt") as file:
        names = {name.split(".")[-1] for name in file.keys() if name.startswith("optimizer")}  # noqa: SIM118
    assert names == {"exp_avg", "exp_avg_sq", "step"}
    numbers = sum(value.numel() for value in network.state_dict().values())
    assert (tmp_path / CHECKPOINT).stat().st_size < 3 * 4 * numbers + 30_000


# ---- how long a run is


def test_without_a_time_a_run_has_the_steps_of_its_configuration() -> None:
    plan = planned(Progress(), CONFIG)
    assert (plan.pretrain_steps, plan.joint_steps) == (3, 4)


@pytest.mark.parametrize(
    ("pretrain", "joint", "wanted"),
    [
        (600, 12_000, (50, 375)),
        (10, 12_000, (10, 475)),
        (600, 100, (50, 100)),
        (0, 12_000, (0, 500)),
    ],
)
def test_a_time_becomes_steps(pretrain: int, joint: int, wanted: tuple[int, int]) -> None:
    """1000 s at 5 s and 2 s a step; pre-training takes a quarter of it at most."""
    config = dataclasses.replace(CONFIG, pretrain_steps=pretrain, joint_steps=joint)
    plan = planned(Progress(), config, seconds=1000, pretrain_s=5, joint_s=2)
    assert (plan.pretrain_steps, plan.joint_steps) == wanted


def test_no_time_at_all_is_a_step_of_each_stage() -> None:
    plan = planned(Progress(), CONFIG, seconds=0, pretrain_s=5, joint_s=2)
    assert (plan.pretrain_steps, plan.joint_steps) == (1, 1)


def test_the_speed_is_measured_once_and_on_copies(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a run with a time ends with is what one of as many steps ends with."""
    seconds = iter([10.0, 5.0])  # pre-training, joint training
    measure = schedule.seconds_per_step

    def scripted(network: nn.Module, step: schedule.Step) -> float:
        measure(network, step)
        return next(seconds)

    monkeypatch.setattr(train, "seconds_per_step", scripted)
    monkeypatch.setattr(Trainer, "_validation_seconds", lambda *arguments: 0.0)
    monkeypatch.setattr(train, "time", Frozen())
    config = dataclasses.replace(CONFIG, pretrain_steps=600, joint_steps=12_000)
    trainer = Trainer(config, folder, tmp_path / "b", minutes=1, say=str)
    timed = trainer.run().state_dict()
    plan = read_progress(tmp_path / "b" / CHECKPOINT, trainer.fresh)
    assert (plan.pretrain_steps, plan.joint_steps) == (1, 9)
    by_steps = dataclasses.replace(config, pretrain_steps=1, joint_steps=9)
    stepped = Trainer(by_steps, folder, tmp_path / "a", say=str).run().state_dict()
    for name, wanted in stepped.items():
        assert torch.equal(timed[name], wanted), name


class Frozen:
    """A clock that hardly moves."""

    now = 0.0

    def monotonic(self) -> float:
        self.now += 1e-9
        return self.now


def test_validation_is_timed_without_proposals_and_after_an_untimed_call(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An untrained network lets far more windows pass than a trained one will."""
    clock = Frozen()
    calls: list[float] = []

    def validate(network: MESNet, clips: list[object], crops: object) -> None:
        logits = network.eval()(torch.randn(1, CONFIG.spec.feature, 60), torch.ones(1, 60))
        assert logits.max() < -5
        calls.append(60.0 if not calls else 3.0 * len(clips))
        clock.now += calls[-1]

    monkeypatch.setattr(train, "validate", validate)
    monkeypatch.setattr(train, "time", clock)
    trainer = Trainer(CONFIG, folder, tmp_path, minutes=25, say=str)
    trainer.validation_clips = 40 * trainer.validation_clips
    network = MESNet(CONFIG.spec)
    # every ten minutes and at the end, 40 clips of 3 s
    assert trainer._validation_seconds(network) == pytest.approx(3 * 40 * 3.0)
    assert calls == [60.0, 6.0]


def test_a_resumed_run_keeps_its_steps(folder: Path, tmp_path: Path) -> None:
    broken = Killed(CONFIG, folder, tmp_path / "run", say=str)
    with pytest.raises(KeyboardInterrupt):
        broken.run()
    longer = Trainer(CONFIG, folder, tmp_path / "run", minutes=60, say=str)
    longer.run(resume=True)
    assert longer.progress.step == longer.progress.joint_steps == 4


def test_after_a_warm_start_all_of_the_time_is_joint_trainings(
    folder: Path, tmp_path: Path
) -> None:
    save_weights(MESNet(CONFIG.spec), tmp_path / "given.safetensors")
    trainer = Trainer(
        CONFIG, folder, tmp_path / "run", say=str, weights=tmp_path / "given.safetensors"
    )
    trainer.run()
    assert (trainer.progress.pretrain_steps, trainer.progress.joint_steps) == (0, 4)
    assert np.isfinite(trainer.metrics["f1"])
