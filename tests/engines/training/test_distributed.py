"""Two processes that train as one, started as a user would start them."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from microspot.engines.errors import UsageError
from microspot.engines.training.distributed import TrainingGroup, denormals_as_zero
from tests.noise_set import RECOGNIZER, SPOTTER, noise_set

# One of two processes: the main one is slow to write, the other has nothing to do; or the other
# fails while the main one is busy.
MEMBER = """
import sys, time
from pathlib import Path
import torch.distributed as dist
from microspot.engines.training.distributed import TrainingGroup

out, fails = Path(sys.argv[1]), sys.argv[2] == "fails"
try:
    with TrainingGroup.joined() as group:
        if fails and not group.is_main_process:
            raise RuntimeError("an odd set")
        if group.is_main_process:
            time.sleep(60 if fails else 2)
            (out / "weights").write_text(str(time.monotonic_ns()))
finally:
    (out / f"left-{group.rank}").write_text(f"{time.monotonic_ns()} {dist.is_initialized()}")
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return noise_set(tmp_path_factory.mktemp("set"))


def torchrun(*program: str) -> subprocess.CompletedProcess[str]:
    """Start two processes of a program as one group."""
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        *program,
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


def together(network: str, config: str, data: Path, folder: Path) -> Path:
    """Train with two processes; OUT."""
    (folder / "config.toml").write_text(config)
    done = torchrun(
        "-m",
        "microspot.engines",
        "train",
        network,
        "--data",
        str(data),
        "--out",
        str(folder / "run"),
        "--config",
        str(folder / "config.toml"),
        "--threads",
        "1",
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return folder / "run"


def members(folder: Path, how: str) -> tuple[int, list[tuple[int, str]]]:
    """Run MEMBER twice; torchrun's exit status, when each left, and whether its group was open."""
    (folder / "member.py").write_text(MEMBER)
    done = torchrun(str(folder / "member.py"), str(folder), how)
    left = [path.read_text().split() for path in sorted(folder.glob("left-*"))]
    return done.returncode, [(int(when), still_open) for when, still_open in left]


def test_nobody_leaves_before_the_leader_has_written(tmp_path: Path) -> None:
    status, left = members(tmp_path, "waits")
    written = int((tmp_path / "weights").read_text())
    assert status == 0
    assert [when > written for when, _ in left] == [True, True]
    assert [still_open for _, still_open in left] == ["False", "False"], (
        "a group left open can abort its process"
    )


def test_who_fails_leaves_at_once_and_closes_its_group(tmp_path: Path) -> None:
    status, left = members(tmp_path, "fails")
    assert status != 0
    assert {still_open for _, still_open in left} == {"False"}
    assert not (tmp_path / "weights").exists()


def test_two_train_the_spotter_as_one(data: Path, tmp_path: Path) -> None:
    out = together("spotter", SPOTTER, data, tmp_path)
    with (out / "log.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["loss"]]
    steps = [(row["stage"], int(row["step"])) for row in rows]
    assert steps == [("pretrain", 1), ("pretrain", 2), *(("joint", i) for i in range(1, 5))], (
        "one writes, not both"
    )
    assert all(
        torch.isfinite(value).all() for value in load_file(out / "spotter.safetensors").values()
    )


def test_two_train_the_recognizer_as_one(data: Path, tmp_path: Path) -> None:
    out = together("recognizer", RECOGNIZER, data, tmp_path)
    with (out / "recognizer.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert int(row["step"]) == 2  # eight MEs, two at a time for each of two
    assert all(
        torch.isfinite(value).all() for value in load_file(out / "recognizer.safetensors").values()
    )


def test_alone_nothing_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    group = TrainingGroup.join()
    network = torch.nn.Linear(2, 1)
    network(torch.ones(1, 2)).sum().backward()
    before = network.weight.grad.clone()
    group.average_gradients(network)
    group.average_statistics(network)
    assert torch.equal(network.weight.grad, before)
    assert (group.is_main_process, group.size, group.agree(0.25)) == (True, 1, 0.25)


def test_denormals_are_zero_only_while_training() -> None:
    tiny = torch.tensor([1e-30])
    with denormals_as_zero():
        assert (tiny * 1e-10).item() == 0
    assert (tiny * 1e-10).item() > 0


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert TrainingGroup.join().device == torch.device("cuda", 0)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="--nproc-per-node 1"):
        TrainingGroup.join()
