"""Trains CMNet on a synthesised set: three losses by a coefficient vector, both label sets on one trunk [S2 C28].

Every random choice follows from (seed, step), so a run that was stopped and resumed ends as one that was not.
Checkpoints are safetensors and JSON: nothing is unpickled.
"""

from __future__ import annotations

import csv
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from ...errors import DataError, UsageError
from ...networks.cmnet import CMNet
from ...networks.weights import save_weights
from .. import losses
from ..crops import Crops
from ..distributed import TrainingGroup, denormals_as_zero
from .data import PARTS, TRAIN, VALIDATION, RecognizerConfig, Sample, make_batch, read_samples
from .step import batch_losses, class_weights
from .validation import FIGURES, validate

COLUMNS = ("epoch", "step", "loss", *PARTS, "samples_per_s", *FIGURES)
PROGRESS_STEPS = 50
SEED_STRIDE = 1_000_003  # keeps the seeds of neighbouring runs apart
FREE = (
    "data",
    "out",
    "threads",
    "device",
    "checkpoint_minutes",
)  # settings that may differ when a run goes on


# ---- the run ----------------------------------------------------------------------------------------------------


@dataclass
class Run:
    """What a checkpoint holds: network, optimiser, steps and seconds done; and the team."""

    network: CMNet
    optimiser: torch.optim.Adam
    team: TrainingGroup
    step: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Budget:
    """How much is to be done: `steps`, or fewer where `minutes` of training pass first."""

    steps: int
    minutes: float | None

    def share(self, run: Run) -> float:
        """Done so far, 0 to 1; it drives the learning rate and kappa."""
        timed = run.seconds / (60 * self.minutes) if self.minutes else 0.0
        return min(1.0, max(run.step / self.steps, timed))


@dataclass(frozen=True, eq=False)
class Material:
    """The set, opened."""

    crops: Crops
    train: list[Sample]
    validation: list[Sample]
    weights: dict[str, Tensor]

    @classmethod
    def open(cls, config: RecognizerConfig) -> Self:
        crops, samples = read_samples(config)
        return cls(
            crops, samples[TRAIN], samples[VALIDATION], class_weights(samples[TRAIN], config)
        )


def run(
    data: Path,
    out: Path,
    *,
    config: Path | None = None,
    minutes: float | None = None,
    threads: int | None = None,
    resume: bool = False,
) -> dict[str, float]:
    """The command `train recognizer`. Raises UsageError where OUT holds a run that `resume` does not ask for."""
    with TrainingGroup.joined() as team:
        changes: dict[str, Any] = {"device": str(team.device)} | (
            {} if threads is None else {"threads": threads}
        )
        settings = RecognizerConfig.read(data, out, config, **changes)
        if _checkpoint(settings).exists() and not resume:
            raise UsageError(
                f"{out} holds a run: add --resume to go on with it, or choose another folder"
            )
        return train(settings, minutes=minutes, team=team)


@denormals_as_zero()
def train(
    config: RecognizerConfig,
    until_step: int | None = None,
    minutes: float | None = None,
    say: Callable[[str], None] = print,
    team: TrainingGroup | None = None,
) -> dict[str, float]:
    """Train, or go on from the checkpoint in `config.out`; returns the last validation.

    Writes there `recognizer.csv` (one row per epoch) and the checkpoint, and at the end `recognizer.safetensors` (the
    last weights: the rate has come down to zero, and no look at the validation faces chooses among them) and
    `recognizer.json` (their metrics and the configuration). `until_step` stops earlier and the next
    call goes on; `minutes` shortens the whole run, its schedules with it. Sets torch's thread count. Raises DataError
    for the set, UsageError where the checkpoint's configuration is another.
    """
    torch.set_num_threads(config.threads)
    Path(config.out).mkdir(parents=True, exist_ok=True)
    now = _start(config, team or TrainingGroup())
    material = Material.open(config)
    is_main_process = now.team.is_main_process
    per_epoch = math.ceil(len(material.train) / (config.batch * now.team.size))
    budget = Budget(config.epochs * per_epoch, minutes)
    last = budget.steps if until_step is None else min(until_step, budget.steps)
    say = say if is_main_process else lambda line: None
    counts = f"{len(material.train)} training and {len(material.validation)} validation MEs"
    say(f"recognizer: {counts}, step {now.step} of at most {last}")
    checked: dict[str, float] = {}
    while now.step < last and now.team.agree(budget.share(now)) < 1:
        stop = min(last, per_epoch * (now.step // per_epoch + 1))
        means = _epoch(now, material, config, budget, stop, say)
        now.team.average_statistics(now.network)
        epoch, over = now.step / per_epoch, budget.share(now) == 1
        if not is_main_process:
            continue
        row = {"epoch": epoch, "step": now.step, **means}
        if over or epoch % config.validate_epochs == 0:
            checked = validate(now.network, material.crops, material.validation, config)
            row |= checked
        if over or epoch.is_integer():
            _log(Path(config.out) / "recognizer.csv", row, say)
        _save(now, config)
        if over:
            _finish(now, checked, config)
    return (
        checked or validate(now.network, material.crops, material.validation, config)
        if is_main_process
        else {}
    )


def _epoch(
    now: Run,
    material: Material,
    config: RecognizerConfig,
    budget: Budget,
    stop: int,
    say: Callable[[str], None],
) -> dict[str, float]:
    """Steps up to `stop`, all within one epoch; means of the losses, and samples per second."""
    team = now.team
    together = config.batch * team.size
    per_epoch = math.ceil(len(material.train) / together)
    order = np.random.default_rng([config.seed, now.step // per_epoch]).permutation(
        len(material.train)
    )
    sums: dict[str, float] = {}
    first, before, saved = now.step, now.seconds, time.monotonic()
    while now.step < stop and team.agree(budget.share(now)) < 1:
        began = time.perf_counter()
        at = now.step % per_epoch * together
        mine = order[at : at + together][team.rank :: team.size]
        chosen = [material.train[i] for i in (mine if len(mine) else order[: config.batch])]
        for name, value in _step(now, material, chosen, config, budget.share(now)).items():
            sums[name] = sums.get(name, 0.0) + value
        now.seconds += time.perf_counter() - began
        if now.step % PROGRESS_STEPS == 0:
            left = now.seconds * (1 / budget.share(now) - 1) / 60
            say(
                f"step {now.step}: loss {sums['loss'] / (now.step - first):.3f}, {left:.1f} min left"
            )
        due = time.monotonic() - saved > 60 * config.checkpoint_minutes and budget.share(now) < 1
        if team.agree(due):
            saved = time.monotonic()
            team.average_statistics(now.network)
            if team.is_main_process:
                _save(now, config)
    count = now.step - first
    speed = count * together / (now.seconds - before)
    return {name: value / count for name, value in sums.items()} | {"samples_per_s": speed}


def _step(
    now: Run, material: Material, chosen: list[Sample], config: RecognizerConfig, share: float
) -> dict[str, float]:
    seed = config.seed * SEED_STRIDE + now.step * now.team.size + now.team.rank
    for group in now.optimiser.param_groups:
        group["lr"] = config.rate * _schedule(now.step, config.warmup, share)
    batch = make_batch(material.crops, chosen, config, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # kornia draws from the global generator
        parts = batch_losses(now.network, batch, material.weights, config, share, seed)
    loss = losses.total(parts, {name: config.coefficients[name] for name in parts})
    if not bool(torch.isfinite(loss)):
        raise DataError(
            f"the loss is {loss.item()} at step {now.step}: lower the rate or look at the set"
        )
    now.optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    now.team.average_gradients(now.network)
    torch.nn.utils.clip_grad_norm_(now.network.parameters(), config.clip_gradient)
    now.optimiser.step()
    now.step += 1
    return {"loss": loss.item(), **{name: part.item() for name, part in parts.items()}}


def _schedule(step: int, warmup: int, share: float) -> float:
    """Linear warm-up, then half a cosine to zero."""
    return min(1.0, (step + 1) / max(warmup, 1)) * 0.5 * (1 + math.cos(math.pi * share))


# ---- files ---------------------------------------------------------------------------------------


def _checkpoint(config: RecognizerConfig) -> Path:
    return Path(config.out) / "recognizer-checkpoint.safetensors"


def _settings(config: RecognizerConfig) -> dict[str, Any]:
    """What must not change between the parts of one run, as JSON would read it back."""
    settings: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    return {name: value for name, value in settings.items() if name not in FREE}


def _start(config: RecognizerConfig, team: TrainingGroup) -> Run:
    """A new run, or the one that the checkpoint holds."""
    torch.manual_seed(config.seed)
    network = CMNet(
        config.side, classes=(len(config.labels3), len(config.labels5)), magnify=config.magnify
    )
    network.to(config.device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a quarter faster on a CPU
    now = Run(
        network,
        torch.optim.Adam(network.parameters(), config.rate, weight_decay=config.decay),
        team,
    )
    path = _checkpoint(config)
    if not path.exists():
        return now
    with safe_open(path, "pt", device=config.device) as file:
        state = json.loads(file.metadata()["run"])
        # safe_open is no mapping, whatever its method is called
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if odd := [k for k, v in _settings(config).items() if state["settings"].get(k) != v]:
        raise UsageError(
            f"{path} was trained with another {', '.join(odd)}: choose another output folder"
        )
    network.load_state_dict(
        {k.removeprefix("net."): v for k, v in tensors.items() if k.startswith("net.")}
    )
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("adam."):
            _, index, key = name.split(".")
            moments.setdefault(int(index), {})[key] = tensor
    now.optimiser.load_state_dict({**now.optimiser.state_dict(), "state": moments})
    now.step, now.seconds = state["step"], state["seconds"]
    return now


def _save(now: Run, config: RecognizerConfig) -> None:
    """Replace the checkpoint in one move, so that a kill leaves the old one or the new one."""
    tensors = {f"net.{k}": v.contiguous() for k, v in now.network.state_dict().items()}
    for index, moments in now.optimiser.state_dict()["state"].items():
        tensors |= {f"adam.{index}.{k}": v.contiguous() for k, v in moments.items()}
    state = {"step": now.step, "seconds": now.seconds, "settings": _settings(config)}
    path = _checkpoint(config)
    save_file(tensors, path.with_suffix(".new"), {"run": json.dumps(state)})
    os.replace(path.with_suffix(".new"), path)


def _finish(now: Run, checked: dict[str, float], config: RecognizerConfig) -> None:
    """Write the weights of the last step."""
    out = Path(config.out)
    save_weights(now.network, out / "recognizer.safetensors")
    report = {
        "step": now.step,
        "minutes": round(now.seconds / 60, 1),
        "metrics": checked,
        "config": asdict(config),
    }
    (out / "recognizer.json").write_text(json.dumps(report, indent=1), encoding="utf-8")


def _log(path: Path, row: dict[str, float], say: Callable[[str], None]) -> None:
    """One row per epoch; the figures of a validation only where there was one."""
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        if new:
            writer.writeheader()
        writer.writerow({k: round(v, 5) for k, v in row.items()})
    say(" ".join(f"{k} {v:.4g}" for k, v in row.items()))
