"""Configuration of the spotter's training.

`spotter.toml` beside this module is the shipped configuration; unknown keys are refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import MicrospotError, UsageError
from ...specs import SpotterSpec
from ...text.documents import DocumentError, read_toml
from ..targets import Assignment
from .frames import Augmentation

DEFAULT = Path(__file__).with_name("spotter.toml")


@dataclass(frozen=True)
class SpotterTraining:
    """Every number of the two stages; spotter.toml is the shipped choice.

    Learning rates are peaks: linear warm-up, then a cosine to zero. None of the numbers is from the
    paper.
    """

    seed: int = 20
    threads: int = 2
    bfloat16: bool = True
    pretrain_steps: int = 600
    pretrain_clips: int = 32
    pretrain_length: int = 16  # N_pre; the name is [S1 M21]
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
    frozen_encoder: bool = False  # after these steps too the encoder stays as it began
    warm_steps: int = 30
    # of kernels: a step takes this share of its learning rate off them
    weight_decay: float = 0.05
    dropout: float = 0.2
    norm_faces: int = 256  # that the norms' statistics are measured on before joint training
    norm_frames: int = 4  # of each
    lambda_crn: float = 1.0
    crn_scale: float = 0.32  # where the Smooth L1 loss of CRN's boundaries turns linear
    crn_boundaries: float = 1.0  # weight of that loss beside the classes'
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
