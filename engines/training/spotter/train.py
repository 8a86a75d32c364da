"""Train MESNet in its stages [S1]: the 2+1D network on short clips (M18-M21), CPN (M22-M27), CRN (M28-M34), all (M35).

    microspot-engines train spotter --data SET --out RUN [--minutes 60] [--config mine.toml] [--resume]
        [--weights spotter.safetensors]

Several processes share the work where torchrun starts them (`engines/training/distributed.py`).

Writes RUN/log.csv and checkpoint.safetensors on the way, and at the end spotter.safetensors (the last weights: the rate
has come down to zero, and no look at the validation faces chooses among them) and spotter.json (spec, metrics).
Every step draws from a generator of (seed, stage, step): a resumed run sees the same samples. Norm layers learn their
statistics in pre-training and keep them in joint training, whose batches hold too few faces.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...clips import window_mask
from ...errors import UsageError
from ...networks.mesnet import ClipClassifier, MESNet
from ...networks.weights import save_weights
from ...specs import SpotterSpec
from ..distributed import TrainingGroup, denormals_as_zero
from ..losses import cpn_loss, crn_loss, l2, regularised, total
from ..targets import IGNORED, POSITIVE, Samples, proposal_labels, refiner_samples
from ..warm_start import digest_of, warm_start
from .config import (
    DEFAULT,
    Progress,
    SpotterTraining,
    load_checkpoint,
    load_config,
    read_progress,
    save_checkpoint,
)
from .data import Batch, ClipSet, collate, draw, encode_frames, resample_batch, tick_features
from .pretraining import Losses, pretrain_batch, pretrain_losses
from .validation import validate

STAGES = ("pretrain", "joint")
CHECKPOINT = "checkpoint.safetensors"
COLUMNS = ("stage", "step", "minutes", "loss", "cpn", "crn", "clip", "l2", "frames_per_s", "f1", "precision", "recall",
           "false_alarms_per_min", "truths")  # fmt: skip

Step = Callable[[nn.Module, int], tuple[Losses, int]]
Say = Callable[[str], None]


def phase_of(step: int, config: SpotterTraining) -> str:
    """What joint training does at a step: CPN alone, then CRN alone, then everything together."""
    if step < config.cpn_steps:
        return "cpn"
    return "crn" if step < config.cpn_steps + config.crn_steps else "joint"


def hold(network: MESNet, phase: str) -> None:
    """Let only the parts of a phase learn. Without a gradient they are out of the L2 term too, which moves as well."""
    learning = {"cpn": ("temporal", "proposals"), "crn": ("refiner",)}
    for name, part in network.named_children():
        part.requires_grad_(phase == "joint" or name in learning[phase])


def joint_losses(
    network: MESNet, batch: Batch, config: SpotterTraining, phase: str, rng: np.random.Generator
) -> Losses:
    """CPN's balanced loss, CRN's classification and regression loss on windows sampled from CPN's output, or both."""
    with torch.set_grad_enabled(phase == "joint"):
        frames = encode_frames(network.encoder, batch, config.bfloat16, batch.current)
    features, valid = tick_features(frames, batch)  # (B, L, N), (B, N)
    logits = network(features, valid)  # (B, M, N)
    labels = np.full(logits.shape, IGNORED, np.int8)
    spec, rule = network.spec, config.assignment
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
    if phase != "cpn":
        losses["crn"] = refine_loss(network, features, samples)
    return losses


def refine_loss(network: MESNet, features: Tensor, samples: list[Samples]) -> Tensor:
    """CRN's loss on the samples of all segments of a batch; features (B, L, N)."""
    device = features.device
    row = torch.from_numpy(np.repeat(np.arange(len(samples)), [len(s.start) for s in samples])).to(
        device
    )
    start, stop, labels, targets = (
        torch.from_numpy(np.concatenate([getattr(s, name) for s in samples])).to(device)
        for name in ("start", "stop", "labels", "targets")
    )
    clips = resample_batch(features, row, start, stop, network.spec.refine_length)
    classes, offsets = network.refiner(clips)
    return crn_loss(classes, offsets, labels, targets)


class Trainer:
    """One run: its data, its clock, its files. `say` gets one line of progress at a time."""

    def __init__(
        self, config: SpotterTraining, data: Path, out: Path, minutes: float | None = None, say: Say = print,
        team: TrainingGroup | None = None, weights: Path | None = None,
    ) -> None:  # fmt: skip
        self.weights, self.given = weights, config
        self.config, self.out, self.minutes, self.say = config, out, minutes, say
        self.team = team or TrainingGroup()
        self.data = ClipSet.open(data, config.spec)
        self.clips = self.data.split("train")
        self.watched = self.data.split("validation")[: config.validation_clips]
        self._stand(Progress(began_with="" if weights is None else digest_of(weights)))
        self.metrics: dict[str, float] = {}
        out.mkdir(parents=True, exist_ok=True)

    def _stand(self, progress: Progress) -> None:
        """Go on from here. What began with weights needs no pre-training, nor has it any share of the time."""
        self.config = (
            dataclasses.replace(self.given, pretrain_steps=0) if progress.began_with else self.given
        )
        fresh = not (progress.step or progress.seconds)
        skips = fresh and not self.config.pretrain_steps  # as an ablation does
        self.progress = dataclasses.replace(progress, stage=STAGES[1]) if skips else progress

    @denormals_as_zero()
    def run(self, resume: bool = False) -> MESNet:
        """Both stages; the network of the last step. Raises DataError for an unfit set or checkpoint."""
        torch.manual_seed(self.config.seed)
        device = self.team.device
        classifier, network = (
            ClipClassifier(self.config.spec).to(device),
            MESNet(self.config.spec).to(device),
        )
        checkpoint = self.out / CHECKPOINT
        if resume:
            self._stand(read_progress(checkpoint))
        if self.progress.stage == "pretrain":
            self._stage(classifier, self._pretrain_step, resume)
            self.team.average_statistics(classifier)
            network.encoder.load_state_dict(classifier.encoder.state_dict())
            network.temporal.load_state_dict(classifier.temporal.state_dict())
            self.progress = Progress(STAGES[1], seconds=self.progress.seconds)
            resume = False
        elif self.weights and not resume:
            warm_start(network, self.weights)
        self._stage(network, self._joint_step, resume)
        if self.team.is_main_process:
            self._save(network, self._validate(network))
        return network

    def _stage(self, network: nn.Module, step: Step, resume: bool) -> None:
        config, now = self.config, self.progress
        optimizer = torch.optim.Adam(self._groups(network))
        checkpoint = self.out / CHECKPOINT
        if resume:
            load_checkpoint(checkpoint, network, optimizer)
        watched = saved = time.monotonic()
        while (done := self.team.agree(self._done())) < 1:
            began = time.monotonic()
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * self._rate(done)
            drawn = now.step * self.team.size + self.team.rank
            torch.manual_seed(
                config.seed + 2 * drawn + STAGES.index(now.stage)
            )  # dropout, also when resumed
            network.train()
            losses, frames = step(network, drawn)
            loss = self._update(network, optimizer, losses)
            now.step += 1
            self._tick(began)
            if not self.team.is_main_process:
                continue
            self._report(loss, losses, self.team.size * frames / (time.monotonic() - began))
            if (
                isinstance(network, MESNet)
                and time.monotonic() - watched > 60 * config.validate_minutes
            ):
                began = watched = time.monotonic()
                self._validate(network)
                self._tick(began)
            if time.monotonic() - saved > 60 * config.checkpoint_minutes:
                saved = time.monotonic()
                save_checkpoint(checkpoint, network, optimizer, now)
        if self.team.is_main_process:
            save_checkpoint(checkpoint, network, optimizer, now)

    def _update(
        self, network: nn.Module, optimizer: torch.optim.Optimizer, losses: Losses
    ) -> Tensor:
        assert isinstance(network, MESNet | ClipClassifier)
        excluded = (
            network.refiner.heads() if isinstance(network, MESNet) else (network.last,)
        )  # [S1 M20, M31]
        losses["l2"] = l2(regularised(network, excluded), self.config.l2)
        weights = {"cpn": 1.0, "crn": self.config.lambda_crn, "clip": 1.0, "l2": 1.0}
        loss = total(losses, {name: weights[name] for name in losses})
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.team.average_gradients(network)
        nn.utils.clip_grad_norm_(network.parameters(), self.config.clip_norm)
        optimizer.step()
        return loss

    def _pretrain_step(self, network: nn.Module, drawn: int) -> tuple[Losses, int]:
        assert isinstance(network, ClipClassifier)
        device = self.team.device
        batch, current, labels = pretrain_batch(self.clips, self.data, self.config, drawn)
        batch, current, labels = batch.to(device), current.to(device), labels.to(device)
        return pretrain_losses(network, batch, current, labels, self.config.bfloat16), len(current)

    def _joint_step(self, network: nn.Module, drawn: int) -> tuple[Losses, int]:
        assert isinstance(network, MESNet)
        config = self.config
        rng = np.random.default_rng([config.seed, 1, drawn])
        chosen = rng.choice(
            len(self.clips), min(config.joint_clips, len(self.clips)), replace=False
        )
        clips = [self.clips[i] for i in chosen]
        segments = [
            draw(clip, config.spec, config.joint_ticks, config.augmentation, rng) for clip in clips
        ]
        batch = collate(segments, self.data.crops, config.augmentation, rng).to(self.team.device)
        network.encoder.eval()  # norm statistics stay as pre-training left them
        phase = phase_of(self.progress.step, config)
        hold(network, phase)
        return joint_losses(network, batch, config, phase, rng), len(batch.current)

    def _groups(self, network: nn.Module) -> Iterator[dict[str, object]]:
        joint = isinstance(network, MESNet)
        peak = self.config.joint_lr if joint else self.config.pretrain_lr
        slow = [
            p for name, p in network.named_parameters() if name.startswith(("encoder", "temporal"))
        ]
        fast = [
            p
            for name, p in network.named_parameters()
            if not name.startswith(("encoder", "temporal"))
        ]
        yield {"params": slow, "peak": peak * (self.config.encoder_scale if joint else 1)}
        yield {"params": fast, "peak": peak}

    def _done(self) -> float:
        config, now = self.config, self.progress
        steps, share = (
            (config.pretrain_steps, config.pretrain_share)
            if now.stage == "pretrain"
            else (config.joint_steps, 1 - config.pretrain_share * bool(config.pretrain_steps))
        )
        by_time = 0.0 if self.minutes is None else now.stage_seconds / (60 * self.minutes * share)
        return max(now.step / steps, by_time)

    def _rate(self, done: float) -> float:
        return (
            min(1.0, (self.progress.step + 1) / self.config.warm_steps)
            * (1 + math.cos(math.pi * done))
            / 2
        )

    def _tick(self, began: float) -> None:
        spent = time.monotonic() - began
        self.progress.seconds += spent
        self.progress.stage_seconds += spent

    def _report(self, loss: Tensor, losses: Losses, speed: float) -> None:
        now, done = self.progress, max(self._done(), 1e-9)
        left = now.stage_seconds * (1 - done) / done / 60
        parts = {name: round(value.item(), 4) for name, value in losses.items()}
        self._log({"loss": round(loss.item(), 4), "frames_per_s": round(speed), **parts})
        shown = " ".join(f"{name} {value:.3f}" for name, value in parts.items())
        f1 = f" F1 {self.metrics['f1']:.3f}" if self.metrics else ""
        self.say(
            f"{now.stage} {now.step} {100 * done:.0f}% {shown}{f1} {speed:.0f} frames/s, {max(left, 0):.1f} min left"
        )

    def _log(self, values: dict[str, float]) -> None:
        path, now = self.out / "log.csv", self.progress
        fresh = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            if fresh:
                writer.writeheader()
            minutes = round(now.seconds / 60, 3)
            writer.writerow({"stage": now.stage, "step": now.step, "minutes": minutes, **values})

    def _validate(self, network: MESNet) -> SpotterSpec:
        spec, self.metrics = validate(network, self.watched, self.data.crops)
        self._log({name: round(value, 4) for name, value in self.metrics.items()})
        self.say(f"validation at T_CPN {spec.t_cpn}, T_CRN {spec.t_crn}: {self.metrics}")
        return spec

    def _save(self, network: MESNet, spec: SpotterSpec) -> None:
        save_weights(network, self.out / "spotter.safetensors")
        training: dict[str, Any] = {
            "step": self.progress.step,
            "minutes": round(self.progress.seconds / 60, 1),
        }
        training["config"] = {
            k: v for k, v in dataclasses.asdict(self.config).items() if k != "spec"
        }
        if self.progress.began_with:
            training["began_with"] = self.progress.began_with
        content = {"spotter": spec.to_json(), "training": training, "metrics": self.metrics}
        (self.out / "spotter.json").write_text(json.dumps(content, indent=1) + "\n")


def run(
    data: Path,
    out: Path,
    *,
    config: Path | None = None,
    minutes: float | None = None,
    threads: int | None = None,
    resume: bool = False,
    weights: Path | None = None,
) -> None:
    """What `microspot-engines train spotter` does; sets torch's thread count.

    Raises UsageError where OUT holds a run that `resume` does not ask for, and for `resume` with `weights`.
    """
    if resume and weights is not None:
        raise UsageError(
            "--resume goes on with a run and --weights begins one: leave one of them out"
        )
    if (out / CHECKPOINT).exists() and not resume:
        raise UsageError(
            f"{out} holds a run: add --resume to go on with it, or choose another folder"
        )
    chosen = load_config(config or DEFAULT)
    with TrainingGroup.joined() as team:
        torch.set_num_threads(threads or max(1, chosen.threads // team.size))
        Trainer(
            chosen, data, out, minutes, lambda line: print(line, flush=True), team, weights
        ).run(resume)
