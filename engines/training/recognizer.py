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
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from .. import losses
from ..errors import DataError, UsageError
from ..networks.cmnet import CMNet, Recognition
from .recognizer_data import (
    HEADS,
    PARTS,
    Batch,
    Pixels,
    RecognizerConfig,
    Sample,
    class_weights,
    make_batch,
    open_crops,
    positive_clips,
    read_samples,
)
from .recognizer_eval import FIGURES, standing, validate

TRAIN, VALIDATION = "train", "validation"
COLUMNS = ("epoch", "step", "loss", *PARTS, "samples_per_s", *FIGURES)
PROGRESS_STEPS = 50
SEED_STRIDE = 1_000_003  # keeps the seeds of neighbouring runs apart
FREE = ("data", "out", "threads", "device")  # settings that may differ when a run goes on


# ---- one step ------------------------------------------------------------------------------------


def batch_losses(
    network: CMNet, batch: Batch, weights: dict[str, Tensor], config: RecognizerConfig, done: float, seed: int
) -> dict[str, Tensor]:
    """The losses whose coefficients are not zero, by name; `done` in [0, 1] anneals kappa."""
    with torch.autocast(config.device, torch.bfloat16, enabled=config.bfloat16):
        found = network(batch.clips)
    active = {name for name, value in config.coefficients.items() if value}
    parts = {"classes": _classes(found, batch, weights)}
    random = torch.Generator(device=batch.clips.device).manual_seed(seed)
    if "tendency" in active and found.h is not None:
        mu, sigma = losses.prototype(batch.apex, config.frames, config.eps)
        draws = losses.draw_prototype(mu, sigma, config.draws, random)
        kappa = config.kappa[0] + (config.kappa[1] - config.kappa[0]) * done
        parts["tendency"] = losses.wilcoxon(found.s.float(), draws, config.delta, kappa, config.scope, config.form)
    if "distillation" in active and found.h is not None:
        parts["distillation"] = _distillation(network, found.h, batch, config, random)
    return parts


def _classes(found: Recognition, batch: Batch, weights: dict[str, Tensor]) -> Tensor:
    parts = [losses.classification_loss(found.logits[n].float(), batch.labels[n], weights[n]) for n in HEADS]
    return torch.stack(parts).mean()


def _distillation(network: CMNet, h: Tensor, batch: Batch, config: RecognizerConfig, random: torch.Generator) -> Tensor:
    count = max(1, math.ceil(config.positives * len(h)))
    clips, indices = batch.clips[:count], batch.indices[:count]
    negatives = losses.sample_negatives(clips, config.strategy, None, config.temperature, random)
    # a short ME fills N positions with fewer captured frames: a copy of the anchor is no negative
    negatives = negatives & (indices[:, :, None] != indices[:, None, :])
    with torch.autocast(config.device, torch.bfloat16, enabled=config.bfloat16):
        positive = network.clues(positive_clips(clips, config))
    return losses.intensity_distillation(h[:count].float(), positive.float(), negatives, config.tau)


# ---- the run -------------------------------------------------------------------------------------


@dataclass
class Run:
    """What a checkpoint holds: network, optimiser, steps done and the best validation so far."""

    network: CMNet
    optimiser: torch.optim.Adam
    step: int = 0
    best: float = -math.inf


def train(
    config: RecognizerConfig, until_step: int | None = None, say: Callable[[str], None] = print
) -> dict[str, float]:
    """Train, or go on from the checkpoint in `config.out`; returns the last validation.

    Writes there `recognizer.safetensors` (the best validation so far), `recognizer.json` (its metrics and
    the configuration), `recognizer.csv` (one row per epoch) and the checkpoint. `until_step` stops earlier;
    the next call goes on. Sets torch's thread count. Raises DataError for the set, UsageError where the
    checkpoint's configuration is another.
    """
    torch.set_num_threads(config.threads)
    Path(config.out).mkdir(parents=True, exist_ok=True)
    crops, samples, held_out = open_crops(config), read_samples(config, TRAIN), read_samples(config, VALIDATION)
    run, weights = _start(config), class_weights(samples, config)
    per_epoch = math.ceil(len(samples) / config.batch)
    last = config.epochs * per_epoch if until_step is None else min(until_step, config.epochs * per_epoch)
    say(f"recognizer: {len(samples)} training and {len(held_out)} validation MEs, step {run.step} of {last}")
    checked: dict[str, float] = {}
    while run.step < last:
        means = _epoch(run, crops, samples, weights, config, min(last, per_epoch * (run.step // per_epoch + 1)), say)
        epoch = run.step // per_epoch
        if run.step % per_epoch == 0:
            if epoch % config.validate_epochs == 0 or epoch == config.epochs:
                checked = validate(run.network, crops, held_out, config)
                _keep_best(run, checked, config)
            _log(Path(config.out) / "recognizer.csv", {"epoch": epoch, "step": run.step, **means, **checked}, say)
        _save(run, config)
    return checked or validate(run.network, crops, held_out, config)


def _epoch(
    run: Run,
    crops: Pixels,
    samples: list[Sample],
    weights: dict[str, Tensor],
    config: RecognizerConfig,
    stop: int,
    say: Callable[[str], None],
) -> dict[str, float]:
    """Steps up to `stop`, all within one epoch; means of the losses, and samples per second."""
    per_epoch = math.ceil(len(samples) / config.batch)
    order = np.random.default_rng([config.seed, run.step // per_epoch]).permutation(len(samples))
    sums: dict[str, float] = {}
    began, first = time.perf_counter(), run.step
    while run.step < stop:
        at = run.step % per_epoch * config.batch
        chosen = [samples[i] for i in order[at : at + config.batch]]
        for name, value in _step(run, crops, chosen, weights, config, config.epochs * per_epoch).items():
            sums[name] = sums.get(name, 0.0) + value
        if run.step % PROGRESS_STEPS == 0:
            say(f"step {run.step}: loss {sums['loss'] / (run.step - first):.3f}")
    count = run.step - first
    speed = count * config.batch / (time.perf_counter() - began)
    return {name: value / count for name, value in sums.items()} | {"samples_per_s": speed}


def _step(
    run: Run, crops: Pixels, chosen: list[Sample], weights: dict[str, Tensor], config: RecognizerConfig, steps: int
) -> dict[str, float]:
    seed = config.seed * SEED_STRIDE + run.step
    for group in run.optimiser.param_groups:
        group["lr"] = config.rate * _schedule(run.step, config.warmup, steps)
    batch = make_batch(crops, chosen, config, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # kornia draws from the global generator
        parts = batch_losses(run.network, batch, weights, config, run.step / steps, seed)
    loss = losses.total(parts, {name: config.coefficients[name] for name in parts})
    if not bool(torch.isfinite(loss)):
        raise DataError(f"the loss is {loss.item()} at step {run.step}: lower the rate or look at the set")
    run.optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(run.network.parameters(), config.clip_gradient)
    run.optimiser.step()
    run.step += 1
    return {"loss": loss.item(), **{name: part.item() for name, part in parts.items()}}


def _schedule(step: int, warmup: int, steps: int) -> float:
    """Linear warm-up, then half a cosine to zero."""
    return min(1.0, (step + 1) / max(warmup, 1)) * 0.5 * (1 + math.cos(math.pi * step / steps))


# ---- files ---------------------------------------------------------------------------------------


def _checkpoint(config: RecognizerConfig) -> Path:
    return Path(config.out) / "recognizer-checkpoint.safetensors"


def _settings(config: RecognizerConfig) -> dict[str, Any]:
    """What must not change between the parts of one run, as JSON would read it back."""
    settings: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    return {name: value for name, value in settings.items() if name not in FREE}


def _start(config: RecognizerConfig) -> Run:
    """A new run, or the one that the checkpoint holds."""
    torch.manual_seed(config.seed)
    network = CMNet(config.side, classes=(len(config.labels3), len(config.labels5)), magnify=config.magnify)
    network.to(config.device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a quarter faster on a CPU
    run = Run(network, torch.optim.Adam(network.parameters(), config.rate, weight_decay=config.decay))
    path = _checkpoint(config)
    if not path.exists():
        return run
    with safe_open(path, "pt", device=config.device) as file:
        state = json.loads(file.metadata()["run"])
        # safe_open is no mapping, whatever its method is called
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if odd := [k for k, v in _settings(config).items() if state["settings"].get(k) != v]:
        raise UsageError(f"{path} was trained with another {', '.join(odd)}: choose another output folder")
    network.load_state_dict({k.removeprefix("net."): v for k, v in tensors.items() if k.startswith("net.")})
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("adam."):
            _, index, key = name.split(".")
            moments.setdefault(int(index), {})[key] = tensor
    run.optimiser.load_state_dict({**run.optimiser.state_dict(), "state": moments})
    run.step, run.best = state["step"], state["best"]
    return run


def _save(run: Run, config: RecognizerConfig) -> None:
    """Replace the checkpoint in one move, so that a kill leaves the old one or the new one."""
    tensors = {f"net.{k}": v.contiguous() for k, v in run.network.state_dict().items()}
    for index, moments in run.optimiser.state_dict()["state"].items():
        tensors |= {f"adam.{index}.{k}": v.contiguous() for k, v in moments.items()}
    state = {"step": run.step, "best": run.best, "settings": _settings(config)}
    path = _checkpoint(config)
    save_file(tensors, path.with_suffix(".new"), {"run": json.dumps(state)})
    os.replace(path.with_suffix(".new"), path)


def _keep_best(run: Run, checked: dict[str, float], config: RecognizerConfig) -> None:
    """Write the weights where their standing is the best so far."""
    figure = standing(checked)
    if figure <= run.best:
        return
    run.best, out = figure, Path(config.out)
    save_file({k: v.contiguous() for k, v in run.network.state_dict().items()}, out / "recognizer.safetensors")
    report = {"step": run.step, "metrics": checked, "config": asdict(config)}
    (out / "recognizer.json").write_text(json.dumps(report, indent=1), encoding="utf-8")


def _log(path: Path, row: dict[str, float], say: Callable[[str], None]) -> None:
    """One row per epoch; a validation's figures stand until the next."""
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        if new:
            writer.writeheader()
        writer.writerow({k: round(v, 5) for k, v in row.items()})
    say(" ".join(f"{k} {v:.4g}" for k, v in row.items()))
