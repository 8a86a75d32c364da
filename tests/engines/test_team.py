"""Two processes that train as one, started as a user would start them."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from engines.errors import UsageError
from engines.training.team import Team, denormals_as_zero

SIDE, FRAMES, TICK = 32, 60, 33_333_333
SPOTTER = """
bfloat16 = false
pretrain_steps = 2
pretrain_clips = 4
joint_steps = 4
joint_clips = 2
joint_ticks = 50
cpn_steps = 1
crn_steps = 1
warm_steps = 1
validation_clips = 1
[spec]
side = 32
feature = 32
"""
RECOGNIZER = "side = 32\nframes = 5\nepochs = 1\nbatch = 2\nbfloat16 = false\nvalidate_epochs = 1\nwarmup = 1\n"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine clips of noise with an ME each, one of them for validation."""
    folder, random = tmp_path_factory.mktemp("set"), np.random.default_rng(0)
    times = [i * TICK for i in range(FRAMES)]
    micro = {"kind": "micro", "units": ["AU4"], "onset_ns": 20 * TICK, "apex_ns": 25 * TICK, "offset_ns": 30 * TICK,
             "label3": "positive", "label5": "happiness"}  # fmt: skip
    clips = [
        {"face": f"f{i}", "split": "validation" if i == 8 else "train", "start": i * FRAMES, "count": FRAMES,
         "times_ns": times, "movements": [micro]}
        for i in range(9)
    ]  # fmt: skip
    np.save(folder / "crops.npy", random.integers(0, 256, (9 * FRAMES, 3, SIDE, SIDE), np.uint8))
    (folder / "index.json").write_text(json.dumps({"clips": clips}))
    return folder


def together(network: str, config: str, data: Path, folder: Path) -> Path:
    """Train with two processes; OUT."""
    (folder / "config.toml").write_text(config)
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "engines",
        "train", network, "--data", str(data), "--out", str(folder / "run"), "--config", str(folder / "config.toml"),
        "--threads", "1",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder / "run"


def test_two_train_the_spotter_as_one(data: Path, tmp_path: Path) -> None:
    out = together("spotter", SPOTTER, data, tmp_path)
    with (out / "log.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["loss"]]
    steps = [(row["stage"], int(row["step"])) for row in rows]
    assert steps == [("pretrain", 1), ("pretrain", 2), *(("joint", i) for i in range(1, 5))], "one writes, not both"
    assert all(torch.isfinite(value).all() for value in load_file(out / "spotter.safetensors").values())


def test_two_train_the_recognizer_as_one(data: Path, tmp_path: Path) -> None:
    out = together("recognizer", RECOGNIZER, data, tmp_path)
    with (out / "recognizer.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert int(row["step"]) == 2  # eight MEs, two at a time for each of two
    assert all(torch.isfinite(value).all() for value in load_file(out / "recognizer.safetensors").values())


def test_alone_nothing_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    team = Team.join()
    network = torch.nn.Linear(2, 1)
    network(torch.ones(1, 2)).sum().backward()
    before = network.weight.grad.clone()
    team.average_gradients(network)
    team.average_statistics(network)
    assert torch.equal(network.weight.grad, before)
    assert (team.leads, team.size, team.agree(0.25)) == (True, 1, 0.25)


def test_denormals_are_zero_only_while_training() -> None:
    tiny = torch.tensor([1e-30])
    with denormals_as_zero():
        assert (tiny * 1e-10).item() == 0
    assert (tiny * 1e-10).item() > 0


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert Team.join().device == torch.device("cuda", 0)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="--nproc-per-node 1"):
        Team.join()
