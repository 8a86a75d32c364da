"""Configuration and checkpoints of the spotter's training.

`spotter.toml` beside this module is the shipped configuration; unknown keys are refused. A
checkpoint is one safetensors file: weights, the optimiser's moments, and stage, step and time as
metadata. Nothing is pickled.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ...errors import DataError, MicrospotError, UsageError
from ...specs import SpotterSpec
from ...text.documents import DocumentError, read_toml
from ..targets import Assignment
from .frames import Augmentation

DEFAULT = Path(__file__).with_name("spotter.toml")


@dataclass(frozen=True)
class SpotterTraining:
    """Every number of the two stages; spotter.toml is the shipped choice.

    Learning rates are peaks: linear warm-up, then a cosine to zero.
    """

    seed: int = 20
    threads: int = 2
    bfloat16: bool = True
    pretrain_steps: int = 600
    pretrain_clips: int = 32
    pretrain_lr: float = 1e-3
    pretrain_hard: float = 0.5
    pretrain_share: float = 0.25
    joint_steps: int = 12000
    joint_clips: int = 4
    joint_ticks: int = 150
    joint_lr: float = 1e-3
    encoder_scale: float = 0.5
    cpn_steps: int = 60
    crn_steps: int = 60
    warm_steps: int = 30
    l2: float = 1e-4
    lambda_crn: float = 1.0
    lambda_nuisance: float = 0.2
    # most that CPN's positives may weigh: more raises recall where it is never used; 1 is off
    beta_max: float = 4.0
    clip_norm: float = 5.0
    validation_clips: int = 120
    validate_minutes: float = 10.0
    checkpoint_minutes: float = 5.0
    spec: SpotterSpec = field(default_factory=SpotterSpec)
    assignment: Assignment = field(default_factory=Assignment)
    augmentation: Augmentation = field(default_factory=Augmentation)


def load_config(path: Path = DEFAULT) -> SpotterTraining:
    """Read a TOML file; tables [spec], [assignment], [augmentation].

    Raises UsageError that names what is wrong.
    """
    tables = {"spec": SpotterSpec, "assignment": Assignment, "augmentation": Augmentation}
    try:
        values = read_toml(path)
        for name, kind in tables.items():
            if name in values:
                values[name] = kind(**{k: _tuples(v) for k, v in values[name].items()})
        return SpotterTraining(**values)
    except (DocumentError, TypeError, AttributeError, MicrospotError) as error:
        raise UsageError(f"{path.name}: {error}; see {DEFAULT.name} for the known keys") from error


def _tuples(value: Any) -> Any:
    """The value with every list in it as a tuple."""
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


@dataclass
class Progress:
    """How far a run has come; written into checkpoints."""

    stage: str = "pretrain"
    step: int = 0
    stage_seconds: float = 0.0
    seconds: float = 0.0
    began_with: str = ""  # SHA-256 of the weights of its warm start, if any


def save_checkpoint(
    path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress
) -> None:
    """Write weights, optimiser and progress; an interrupted write leaves the earlier file whole."""
    tensors: dict[str, Tensor] = {
        f"network.{k}": v.contiguous() for k, v in network.state_dict().items()
    }
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {
            f"optimizer.{index}.{name}": value.contiguous() for name, value in moments.items()
        }
    partial = path.with_suffix(".partial")
    save_file(tensors, partial, {"progress": json.dumps(dataclasses.asdict(progress))})
    partial.replace(path)


def read_progress(path: Path) -> Progress:
    """How far the checkpoint's run had come; DataError where there is no checkpoint."""
    try:
        with safe_open(path, "pt") as file:
            return Progress(**json.loads(file.metadata()["progress"]))
    except (OSError, KeyError, TypeError) as error:
        raise DataError(
            f"{path.name}: no checkpoint to resume ({error}); start without --resume"
        ) from error


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
