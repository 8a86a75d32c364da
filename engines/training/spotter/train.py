"""Train MESNet in its stages [S1].

They are: the 2+1D network on short clips (M18-M21), CPN (M22-M27), CRN (M28-M34), all (M35).

    microspot-engines train spotter --data SET --out RUN [--minutes 60] [--config mine.toml]
        [--resume] [--weights spotter.safetensors]

Several processes share the work where torchrun starts them (`engines/training/distributed.py`).

Writes RUN/log.csv and checkpoint.safetensors on the way, and at the end spotter.safetensors (the
last weights: the learning rate has come down to zero, and no validation chooses among them) and
spotter.json (spec, metrics). `--minutes` is turned into steps before the first one. Every step
draws from a generator of (seed, stage, step), so that a resumed run ends with the same bits as one
that went through.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...errors import EngineError
from ...networks.mesnet import ClipClassifier, MESNet
from ...networks.weights import save_weights
from ...specs import SpotterSpec
from ..distributed import TrainingGroup, denormals_as_zero
from ..losses import total
from ..run_folder import check_start
from ..warm_start import digest_of, warm_start
from .checkpoint import Progress, load_checkpoint, read_progress, recorded, save_checkpoint
from .config import DEFAULT, SpotterTraining, load_config
from .data import ClipSet, TrainingClip, collate, draw
from .encoder_norms import dead_channels, measure_norms, sample_inputs
from .frames import Frames, frames_for, make_caches, sees_greys
from .joint_training import freeze, joint_losses, phase_of
from .optimizer import decayed, make_optimizer, set_rate, size_of
from .pretraining import Losses, pretrain_batch, pretrain_losses
from .schedule import planned, rate, seconds_per_step
from .validation import FIGURES, quietened, validate

STAGES = ("pretrain", "joint")
CHECKPOINT = "checkpoint.safetensors"
LEAST_SHARE = 0.5  # of a run's time that is for steps, however long measuring and validating take
COLUMNS = (
    "stage",
    "step",
    "minutes",
    "loss",
    "cpn",
    "crn",
    "clip",
    "nuisance",
    "l2",
    "frames_per_s",
    *FIGURES,
)

Step = Callable[[nn.Module, int], tuple[Losses, int]]
Say = Callable[[str], None]


class Trainer:
    """One run: its data, its clock, its files.

    minutes: the time of the whole run, turned into steps before the first one; None for all steps
    of the configuration. say: gets one line of progress at a time. weights: what a warm start
    begins with. data: the folder of a set or of sets, or a set that is open. With no
    `validation_clips` in the configuration nothing is validated.
    """

    def __init__(
        self,
        config: SpotterTraining,
        data: Path | ClipSet,
        out: Path,
        minutes: float | None = None,
        say: Say = print,
        group: TrainingGroup | None = None,
        weights: Path | None = None,
    ) -> None:
        self.weights = weights
        self.given = config
        self.config = config
        self.out = out
        self.minutes = minutes
        self.say = say
        self.group = group or TrainingGroup()
        self.data = data if isinstance(data, ClipSet) else ClipSet.open(data, config.spec)
        self.clips = self.data.split("train")
        self.frames = self._frames()
        self.validation_clips: list[TrainingClip] = []
        if config.validation_clips:
            self.validation_clips = self.data.split("validation")[: config.validation_clips]
        self.fresh = Progress(
            digest=self.data.digest,
            began_with="" if weights is None else digest_of(weights),
            config=recorded(config),
            processes=self.group.size,
        )
        self._go_on_from(dataclasses.replace(self.fresh))
        self.metrics: dict[str, float] = {}
        self.dead: list[int] = []  # channels of each layer that do nothing, by the last validation
        out.mkdir(parents=True, exist_ok=True)

    def _frames(self) -> Frames:
        """What the encoder is trained on; the main process makes what is missing on disk."""
        if self.group.is_main_process and sees_greys(self.config.spec):
            make_caches(self.data.crops, self.say)
        self.group.agree(0.0)
        return frames_for(self.config.spec, self.data.crops)

    def _go_on_from(self, progress: Progress) -> None:
        """Set the progress; after a warm start there is no pre-training, nor time for it."""
        self.config = self.given
        if progress.began_with:
            self.config = dataclasses.replace(self.given, pretrain_steps=0)
        self.progress = progress
        fresh = not (progress.step or progress.seconds or progress.stage == STAGES[1])
        if fresh and not self.config.pretrain_steps:  # as an ablation does
            self.progress = dataclasses.replace(progress, stage=STAGES[1])

    @denormals_as_zero()
    def run(self, resume: bool = False) -> MESNet:
        """Train both stages; the network of the last step.

        resume: go on from the checkpoint. Raises DataError for an unfit set or checkpoint, and
        EngineError where a loss is no longer finite.
        """
        torch.manual_seed(self.config.seed)
        device = self.group.device
        classifier = ClipClassifier(self.config.spec, self.config.pretrain_length).to(device)
        network = MESNet(self.config.spec).to(device)
        for module in (*classifier.modules(), *network.modules()):
            if isinstance(module, nn.Dropout):
                module.p = self.config.dropout
        if resume:
            self._go_on_from(read_progress(self.out / CHECKPOINT, self.fresh))
        if not self.progress.joint_steps:
            self._plan(classifier, network)
        if self.progress.stage == "pretrain":
            self._stage(classifier, self._pretrain_step, resume)
            network.encoder.load_state_dict(classifier.encoder.state_dict())
            network.temporal.load_state_dict(classifier.temporal.state_dict())
            self.progress = dataclasses.replace(
                self.progress, stage=STAGES[1], step=0, stage_seconds=0.0
            )
            self._measure_norms(network)
            resume = False
        elif not resume:
            kept = warm_start(network, self.weights) if self.weights else []
            self._measure_norms(network, kept)
        self._stage(network, self._joint_step, resume)
        if self.group.is_main_process:
            self._save(network, self._validate(network))
        return network

    def _plan(self, classifier: ClipClassifier, network: MESNet) -> None:
        """Set the length of both stages; measures the speed where the run has a time."""
        config = self.config
        now = self.progress
        if self.minutes is None:
            self.progress = planned(now, config)
            return
        began = time.monotonic()
        seconds = {"pretrain": 0.0, "joint": 0.0}
        parts = {
            "pretrain": (classifier, self._pretrain_step),
            "joint": (network, self._joint_step),
        }
        for stage, (part, step) in parts.items():
            if stage == "joint" or config.pretrain_steps:
                # everything learns, as in most steps
                late = config.cpn_steps + config.crn_steps
                self.progress = dataclasses.replace(now, stage=stage, step=late)
                measured = self._seconds_per_step(part, step)
                seconds[stage] = self.group.agree(measured)
        left = 60 * self.minutes - (time.monotonic() - began)
        left = max(left - self._validation_seconds(network), 60 * self.minutes * LEAST_SHARE)
        left = self.group.agree(left)
        self.progress = planned(now, config, left, seconds["pretrain"], seconds["joint"])
        if not self.group.is_main_process:
            return
        self.say(
            f"{self.minutes:g} minutes are {self.progress.pretrain_steps} and "
            f"{self.progress.joint_steps} steps"
        )

    def _seconds_per_step(self, network: nn.Module, step: Step) -> float:
        """How long a step with its update takes."""
        optimizers: list[torch.optim.Optimizer] = []

        def whole(twin: nn.Module, i: int) -> None:
            if not optimizers:
                optimizers.append(make_optimizer(twin, self.config))
            twin.train()
            losses, _ = step(twin, self.group.size * i + self.group.rank)
            self._update(twin, optimizers[0], losses)

        return seconds_per_step(network, whole)

    def _validation_seconds(self, network: MESNet) -> float:
        """About how long all validations of the run will take.

        A network that has learnt nothing lets most windows pass to CRN and a trained one few, so
        that one is timed which lets none pass.
        """
        if not self.group.is_main_process:
            return 0.0
        assert self.minutes is not None
        some = self.validation_clips[:2]
        if not some:
            return 0.0
        quiet = quietened(network)
        validate(quiet, some[:1], self.data.crops)  # compiles, and fills caches
        began = time.monotonic()
        validate(quiet, some, self.data.crops)
        each = (time.monotonic() - began) * len(self.validation_clips) / len(some)
        return each * (1 + self.minutes // self.config.validate_minutes)

    def _measure_norms(self, network: MESNet, kept: Sequence[int] = ()) -> None:
        """Give the norms statistics of many faces; channels `kept` go on as they were."""
        measure_norms(network.encoder, self._sample_inputs(network), self.group, kept)

    def _sample_inputs(self, network: MESNet) -> Tensor:
        return sample_inputs(network.encoder, self.clips, self.frames, self.config, self.group)

    def _stage(self, network: nn.Module, step: Step, resume: bool) -> None:
        """Train one stage, with checkpoints and validations on the way."""
        config = self.config
        now = self.progress
        optimizer = make_optimizer(network, config)
        checkpoint = self.out / CHECKPOINT
        if resume:
            load_checkpoint(checkpoint, network, optimizer)
        validated = time.monotonic()
        saved = validated
        while now.done < 1:
            began = time.monotonic()
            set_rate(optimizer, rate(now.step, now.done, config.warm_steps))
            drawn = now.step * self.group.size + self.group.rank
            # for dropout, also when resumed
            torch.manual_seed(config.seed + 2 * drawn + STAGES.index(now.stage))
            network.train()
            losses, frames = step(network, drawn)
            loss = self._update(network, optimizer, losses)
            now.step += 1
            self._tick(began)
            if not self.group.is_main_process:
                continue
            losses["l2"] = torch.tensor(size_of(decayed(network)))
            self._report(loss, losses, self.group.size * frames / (time.monotonic() - began))
            due = time.monotonic() - validated > 60 * config.validate_minutes
            if due and isinstance(network, MESNet):
                validated = time.monotonic()
                self._validate(network)
                self._tick(validated)
            if time.monotonic() - saved > 60 * config.checkpoint_minutes:
                saved = time.monotonic()
                save_checkpoint(checkpoint, network, optimizer, now)
        if self.group.is_main_process:
            save_checkpoint(checkpoint, network, optimizer, now)

    def _update(
        self, network: nn.Module, optimizer: torch.optim.Optimizer, losses: Losses
    ) -> Tensor:
        """One step of the optimizer; the loss.

        Raises EngineError, and changes no weight, where the loss or its gradient is not finite.
        """
        weights = {"cpn": 1.0, "crn": self.config.lambda_crn, "clip": 1.0}
        weights["nuisance"] = self.config.lambda_nuisance
        loss = total(losses, {name: weights[name] for name in losses})
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.group.average_gradients(network)
        norm = nn.utils.clip_grad_norm_(network.parameters(), self.config.clip_norm)
        if not (math.isfinite(loss.item()) and math.isfinite(norm.item())):
            now = self.progress
            raise EngineError(
                f"training broke down at step {now.step} of stage {now.stage} (loss "
                f"{loss.item():g}, gradient {norm.item():g}): lower {now.stage}_lr and train anew"
            )
        optimizer.step()
        return loss

    def _pretrain_step(self, network: nn.Module, drawn: int) -> tuple[Losses, int]:
        assert isinstance(network, ClipClassifier)
        device = self.group.device
        batch, current, labels = pretrain_batch(self.clips, self.frames, self.config, drawn)
        batch = batch.to(device)
        current = current.to(device)
        labels = labels.to(device)
        return pretrain_losses(network, batch, current, labels, self.config.bfloat16), len(current)

    def _joint_step(self, network: nn.Module, drawn: int) -> tuple[Losses, int]:
        assert isinstance(network, MESNet)
        config = self.config
        rng = np.random.default_rng([config.seed, 1, drawn])
        count = min(config.joint_clips, len(self.clips))
        segments = []
        for i in rng.choice(len(self.clips), count, replace=False):
            segments.append(
                draw(self.clips[i], config.spec, config.joint_ticks, config.augmentation, rng)
            )
        batch = collate(segments, self.frames, config.augmentation, rng).to(self.group.device)
        network.encoder.eval()  # norm statistics stay as they were measured
        phase = phase_of(self.progress.step, config)
        freeze(network, phase)
        return joint_losses(network, batch, config, phase, rng), len(batch.current)

    def _tick(self, began: float) -> None:
        """Add the time since `began` (of time.monotonic) to the run's clocks."""
        spent = time.monotonic() - began
        self.progress.seconds += spent
        self.progress.stage_seconds += spent

    def _report(self, loss: Tensor, losses: Losses, speed: float) -> None:
        now = self.progress
        done = max(now.done, 1e-9)
        left = now.stage_seconds * (1 - done) / done / 60
        parts = {name: round(value.item(), 4) for name, value in losses.items()}
        self._log({"loss": round(loss.item(), 4), "frames_per_s": round(speed), **parts})
        shown = " ".join(f"{name} {value:.3f}" for name, value in parts.items())
        f1 = f" F1 {self.metrics['f1']:.3f}" if self.metrics else ""
        self.say(
            f"{now.stage} {now.step} {100 * done:.0f}% {shown}{f1} "
            f"{speed:.0f} frames/s, {max(left, 0):.1f} min left"
        )

    def _log(self, values: dict[str, float]) -> None:
        """Add a row to log.csv."""
        path = self.out / "log.csv"
        now = self.progress
        fresh = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            if fresh:
                writer.writeheader()
            minutes = round(now.seconds / 60, 3)
            writer.writerow({"stage": now.stage, "step": now.step, "minutes": minutes, **values})

    def _validate(self, network: MESNet) -> SpotterSpec:
        if not self.validation_clips:
            return network.spec
        spec, self.metrics = validate(network, self.validation_clips, self.data.crops)
        self._log({name: round(value, 4) for name, value in self.metrics.items()})
        self.dead = dead_channels(network, self._sample_inputs(network))
        self.say(
            f"validation at T_CPN {spec.t_cpn}, T_CRN {spec.t_crn}: {self.metrics}; "
            f"dead channels of the encoder's layers: {self.dead}"
        )
        return spec

    def _save(self, network: MESNet, spec: SpotterSpec) -> None:
        """Write the weights and spotter.json."""
        save_weights(network, self.out / "spotter.safetensors")
        config = dataclasses.asdict(self.config)
        del config["spec"]  # it stands beside `training`
        training: dict[str, Any] = {
            "step": self.progress.step,
            "pretrain_steps": self.progress.pretrain_steps,
            "minutes": round(self.progress.seconds / 60, 1),
            "dead_channels": self.dead,
            "config": config,
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
    """Train as `microspot-engines train spotter` does; sets torch's thread count.

    Raises UsageError where OUT holds a run that `resume` does not ask for, and for `resume` with
    `weights`.
    """
    check_start(out / CHECKPOINT, resume=resume, weights=weights)
    chosen = load_config(config or DEFAULT)
    with TrainingGroup.joined() as group:
        torch.set_num_threads(threads or max(1, chosen.threads // group.size))
        trainer = Trainer(chosen, data, out, minutes, _print, group, weights)
        trainer.run(resume)


def _print(line: str) -> None:
    print(line, flush=True)
