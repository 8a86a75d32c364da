"""Train CMNet on a synthesised set: three losses, both label sets on one trunk [S2 C28].

Every random choice follows from (seed, step), so a run that was stopped and resumed ends as one
that was not. Checkpoints are safetensors and JSON: nothing is unpickled.
"""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import DataError
from ...networks.weights import save_weights
from .. import losses
from ..crops import Crops
from ..distributed import TrainingGroup, denormals_as_zero
from ..run_folder import check_start
from .checkpoint import RunState, checkpoint_of, save, start
from .data import PARTS, TRAIN, VALIDATION, RecognizerConfig, Sample, make_batch, read_samples
from .step import batch_losses, class_weights, draw_shares
from .validation import FIGURES, validate

COLUMNS = ("epoch", "step", "loss", *PARTS, "samples_per_s", *FIGURES)
PROGRESS_STEPS = 50
SEED_STRIDE = 1_000_003  # keeps the seeds of neighbouring runs apart


# ---- the run


@dataclass(frozen=True)
class Budget:
    """How much is to be done: `steps`, or fewer where `minutes` of training pass first."""

    steps: int
    minutes: float | None

    def share(self, run: RunState) -> float:
        """Share done so far, 0 to 1, which drives the learning rate and kappa."""
        timed = run.seconds / (60 * self.minutes) if self.minutes else 0.0
        return min(1.0, max(run.step / self.steps, timed))


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """The opened set: crops, samples by split, class weights by head."""

    crops: Crops
    train: list[Sample]
    validation: list[Sample]
    weights: dict[str, Tensor]

    @classmethod
    def open(cls, config: RecognizerConfig) -> Self:
        """Open the set that `config` names; DataError where it is unfit."""
        crops, samples = read_samples(config)
        weights = class_weights(samples[TRAIN], config)
        return cls(crops, samples[TRAIN], samples[VALIDATION], weights)


def run(
    data: Path,
    out: Path,
    *,
    config: Path | None = None,
    minutes: float | None = None,
    threads: int | None = None,
    resume: bool = False,
    weights: Path | None = None,
) -> dict[str, float]:
    """Train as the command `train recognizer` does.

    weights: what a warm start begins with. Raises UsageError where OUT holds a run that `resume`
    does not ask for, and for `weights` where there is one.
    """
    with TrainingGroup.joined() as group:
        changes: dict[str, Any] = {"device": str(group.device)}
        if threads is not None:
            changes["threads"] = threads
        settings = RecognizerConfig.read(data, out, config, **changes)
        check_start(checkpoint_of(settings), resume=resume, weights=weights)
        return train(settings, minutes=minutes, group=group, weights=weights)


@denormals_as_zero()
def train(
    config: RecognizerConfig,
    until_step: int | None = None,
    minutes: float | None = None,
    say: Callable[[str], None] = print,
    group: TrainingGroup | None = None,
    weights: Path | None = None,
) -> dict[str, float]:
    """Train, or go on from the checkpoint in `config.out`; returns the last validation.

    Writes there `recognizer.csv` (one row per epoch) and the checkpoint, and at the end
    `recognizer.safetensors` (the last weights: the learning rate has come down to zero, and no
    validation chooses among them) and `recognizer.json` (their metrics and the configuration).
    `until_step` stops earlier and the next call goes on; `minutes` shortens the whole run, its
    schedules with it. Sets torch's thread count. Raises DataError for the set, UsageError where the
    checkpoint's configuration is another.
    """
    torch.set_num_threads(config.threads)
    Path(config.out).mkdir(parents=True, exist_ok=True)
    now = start(config, group or TrainingGroup(), weights)
    data = TrainingSet.open(config)
    is_main_process = now.group.is_main_process
    per_epoch = math.ceil(len(data.train) / (config.batch * now.group.size))
    budget = Budget(config.epochs * per_epoch, minutes)
    last = budget.steps if until_step is None else min(until_step, budget.steps)
    say = say if is_main_process else lambda line: None
    counts = f"{len(data.train)} training and {len(data.validation)} validation MEs"
    say(f"recognizer: {counts}, step {now.step} of at most {last}")
    metrics: dict[str, float] = {}
    while now.step < last and now.group.agree(budget.share(now)) < 1:
        stop = min(last, per_epoch * (now.step // per_epoch + 1))
        means = _epoch(now, data, config, budget, stop, say)
        now.group.average_statistics(now.network)
        if is_main_process:
            row = {"epoch": now.step / per_epoch, "step": now.step, **means}
            over = budget.share(now) == 1
            metrics = _validate_and_save(now, data, config, row, over, say) or metrics
    if not is_main_process:
        return {}
    return metrics or validate(now.network, data.crops, data.validation, config)


def _validate_and_save(
    now: RunState,
    data: TrainingSet,
    config: RecognizerConfig,
    row: dict[str, float],
    over: bool,
    say: Callable[[str], None],
) -> dict[str, float]:
    """Validate where that is due, and write the files; figures, none without a validation.

    row: epoch, step and losses; over: whether the run has ended.
    """
    epoch = row["epoch"]
    metrics: dict[str, float] = {}
    if over or epoch % config.validate_epochs == 0:
        metrics = validate(now.network, data.crops, data.validation, config)
    if over or epoch.is_integer():
        _log(Path(config.out) / "recognizer.csv", row | metrics, say)
    save(now, config)
    if over:
        _finish(now, metrics, config)
    return metrics


def _epoch(
    now: RunState,
    data: TrainingSet,
    config: RecognizerConfig,
    budget: Budget,
    stop: int,
    say: Callable[[str], None],
) -> dict[str, float]:
    """Train up to step `stop`, within one epoch; means of the losses, and samples per second."""
    group = now.group
    together = config.batch * group.size
    per_epoch = math.ceil(len(data.train) / together)
    random = np.random.default_rng([config.seed, now.step // per_epoch])
    order = _order(random, data, config)
    sums: dict[str, float] = {}
    first = now.step
    before = now.seconds
    saved = time.monotonic()
    while now.step < stop and group.agree(budget.share(now)) < 1:
        began = time.perf_counter()
        at = now.step % per_epoch * together
        chosen = [data.train[i] for i in _own_samples(order, at, config.batch, group)]
        for name, value in _step(now, data, chosen, config, budget.share(now)).items():
            sums[name] = sums.get(name, 0.0) + value
        now.seconds += time.perf_counter() - began
        if now.step % PROGRESS_STEPS == 0:
            loss = sums["loss"] / (now.step - first)
            left = now.seconds * (1 / budget.share(now) - 1) / 60
            say(f"step {now.step}: loss {loss:.3f}, {left:.1f} min left")
        due = time.monotonic() - saved > 60 * config.checkpoint_minutes and budget.share(now) < 1
        if group.agree(due):
            saved = time.monotonic()
            group.average_statistics(now.network)
            if group.is_main_process:
                save(now, config)
    count = now.step - first
    speed = count * together / (now.seconds - before)
    return {name: value / count for name, value in sums.items()} | {"samples_per_s": speed}


def _order(
    random: np.random.Generator, data: TrainingSet, config: RecognizerConfig
) -> NDArray[np.int64]:
    """The samples of an epoch: each once in any order, or evenly by what moves."""
    count = len(data.train)
    if config.units and config.even_units:
        return random.choice(count, count, p=draw_shares(data.train, config))
    return random.permutation(count)


def _own_samples(
    order: NDArray[np.int64], at: int, batch: int, group: TrainingGroup
) -> NDArray[np.int64]:
    """This process's share of the samples from `at` on; the first samples where it has none."""
    own = order[at : at + batch * group.size][group.rank :: group.size]
    return own if len(own) else order[:batch]


def _step(
    now: RunState, data: TrainingSet, chosen: list[Sample], config: RecognizerConfig, share: float
) -> dict[str, float]:
    """One step on the samples `chosen`; the losses by name. share: done of the run, 0 to 1."""
    seed = config.seed * SEED_STRIDE + now.step * now.group.size + now.group.rank
    for parameters in now.optimiser.param_groups:
        parameters["lr"] = config.rate * _schedule(now.step, config.warmup, share)
    batch = make_batch(data.crops, chosen, config, seed)
    parts = batch_losses(now.network, batch, data.weights, config, share, seed)
    loss = losses.total(parts, {name: config.coefficients[name] for name in parts})
    if not bool(torch.isfinite(loss)):
        raise DataError(
            f"the loss is {loss.item()} at step {now.step}: lower the rate or look at the set"
        )
    now.optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    now.group.average_gradients(now.network)
    torch.nn.utils.clip_grad_norm_(now.network.parameters(), config.clip_gradient)
    now.optimiser.step()
    now.step += 1
    return {"loss": loss.item(), **{name: part.item() for name, part in parts.items()}}


def _schedule(step: int, warmup: int, share: float) -> float:
    """Learning rate as a share of its peak: linear warm-up, and half a cosine to zero."""
    return min(1.0, (step + 1) / max(warmup, 1)) * 0.5 * (1 + math.cos(math.pi * share))


# ---- files


def _finish(now: RunState, metrics: dict[str, float], config: RecognizerConfig) -> None:
    """Write the weights of the last step and recognizer.json."""
    out = Path(config.out)
    save_weights(now.network, out / "recognizer.safetensors")
    report = {
        "step": now.step,
        "minutes": round(now.seconds / 60, 1),
        "began_with": now.began_with,
        "metrics": metrics,
        "config": asdict(config),
    }
    (out / "recognizer.json").write_text(json.dumps(report, indent=1), encoding="utf-8")


def _log(path: Path, row: dict[str, float], say: Callable[[str], None]) -> None:
    """Add the row of an epoch; it has the figures of a validation where there was one."""
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        if new:
            writer.writeheader()
        writer.writerow({k: round(v, 5) for k, v in row.items()})
    say(" ".join(f"{k} {v:.4g}" for k, v in row.items()))
