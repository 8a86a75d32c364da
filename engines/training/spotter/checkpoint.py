"""Checkpoints of the spotter's training: how far a run has come, its weights, AdamW's moments.

A checkpoint is one safetensors file with the progress as metadata; nothing is pickled. With the
set, which comes again from its seed, it is all that a run needs to go on, here or elsewhere.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ...errors import DataError
from ...system.replacement import replace
from .config import SpotterTraining

# Keys of a configuration on which no step depends.
FREE = ("threads", "validation_clips", "validate_minutes", "checkpoint_minutes")


@dataclass
class Progress:
    """How far a run has come and how long it will be; written into checkpoints.

    pretrain_steps, joint_steps: the length of the stages, 0 until it is known. digest: of the set
    (`ClipSet.digest`). began_with: SHA-256 of the weights of its warm start, if any. config: what
    `recorded` says of its configuration. processes: how many share the run.
    """

    stage: str = "pretrain"
    step: int = 0
    pretrain_steps: int = 0
    joint_steps: int = 0
    stage_seconds: float = 0.0
    seconds: float = 0.0
    digest: str = ""
    began_with: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    processes: int = 1

    @property
    def done(self) -> float:
        """Share of the stage that is done; 1 ends it."""
        steps = self.pretrain_steps if self.stage == "pretrain" else self.joint_steps
        return self.step / steps if steps else 1.0


def save_checkpoint(
    path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress
) -> None:
    """Write weights, moments and progress; an interrupted write leaves the earlier file whole."""
    tensors: dict[str, Tensor] = {
        f"network.{k}": v.contiguous() for k, v in network.state_dict().items()
    }
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {
            f"optimizer.{index}.{name}": value.contiguous() for name, value in moments.items()
        }
    partial = path.with_suffix(".partial")
    save_file(tensors, partial, {"progress": json.dumps(dataclasses.asdict(progress))})
    replace(partial, path)


def recorded(config: SpotterTraining) -> dict[str, Any]:
    """What a checkpoint keeps of a configuration: its values by key, tables as `table.key`.

    Keys on which no step depends are left out.
    """
    values: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config)))
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{name}": inner for name, inner in value.items()}
        elif key not in FREE:
            flat[key] = value
    return flat


def read_progress(path: Path, fresh: Progress) -> Progress:
    """How far the checkpoint's run had come.

    fresh: the progress that the run would have without the checkpoint. Raises DataError where there
    is no checkpoint, or its run had another set, another configuration or other processes.
    """
    try:
        with safe_open(path, "pt") as file:
            progress = Progress(**json.loads(file.metadata()["progress"]))
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise DataError(
            f"{path.name}: no checkpoint to resume ({error}); start without --resume"
        ) from error
    if progress.digest != fresh.digest:
        raise DataError(
            f"{path.name} is of a run on another set ({progress.digest[:12]}, this one is "
            f"{fresh.digest[:12]}): resume with its set, or make that again from its seed"
        )
    if progress.processes != fresh.processes:
        raise DataError(
            f"{path.name} is of a run of {progress.processes} processes, not {fresh.processes}: "
            "resume with as many"
        )
    keys = sorted({*progress.config, *fresh.config})
    other = [key for key in keys if progress.config.get(key) != fresh.config.get(key)]
    if progress.config and other:  # checkpoints of earlier versions say nothing of it
        raise DataError(
            f"{path.name} is of a run with other values of {', '.join(other)}: "
            "resume with its configuration"
        )
    return progress


def load_checkpoint(path: Path, network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Put the checkpoint's weights into `network` and its moments into `optimizer`."""
    weights: dict[str, Tensor] = {}
    state: dict[int, dict[str, Tensor]] = {}
    with safe_open(path, "pt") as file:
        for key in file.keys():  # noqa: SIM118 - a safetensors handle is no mapping
            kind, rest = key.split(".", 1)
            if kind == "network":
                weights[rest] = file.get_tensor(key)
            else:
                index, name = rest.split(".")
                state.setdefault(int(index), {})[name] = file.get_tensor(key)
    network.load_state_dict(weights)
    optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
