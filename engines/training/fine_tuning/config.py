"""Configuration of fine-tuning in folds.

`fine_tuning.toml` beside this module is the shipped configuration; unknown keys are refused.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ...errors import MicrospotError, UsageError
from ...specs import SpotterSpec
from ...text.documents import DocumentError, read_toml
from ..spotter.config import SpotterTraining
from ..spotter.frames import Augmentation

MOST = 2**31 - 1  # that a whole number may be
COUNTED = ("threads", "joint_clips", "joint_ticks", "norm_faces", "norm_frames")  # at least 1

DEFAULT = Path(__file__).with_name("fine_tuning.toml")


@dataclass(frozen=True)
class FineTuning:
    """What each fold does. None of the numbers is from the papers.

    steps: those that a fold chooses among, 0 is the weights as they were given; inner_share: of the
    training people, whom the choice is made by; piece_s: length of what long recordings are cut
    into; me_share: of the pieces drawn, those with an ME; recorded_share: of the clips drawn where
    there are synthetic ones too. training: of the steps; its number of steps is not used, and
    nothing is validated on the way.
    """

    seed: int = 20
    steps: tuple[int, ...] = (0, 100, 400)
    inner_share: float = 0.25
    piece_s: float = 6.0
    me_share: float = 0.5
    recorded_share: float = 0.5
    training: SpotterTraining = field(default_factory=SpotterTraining)

    def __post_init__(self) -> None:
        for part in (self, self.training, self.training.augmentation):
            _check_numbers(part)
        if not isinstance(self.steps, tuple):
            raise UsageError(f"steps = {self.steps!r}: expected a list of whole numbers")
        _check_whole("steps", self.steps)
        if not self.steps or min(self.steps) < 0 or len(set(self.steps)) < len(self.steps):
            raise UsageError(f"steps {list(self.steps)}: expected different numbers from 0 on")
        for name in ("inner_share", "me_share", "recorded_share"):
            if not 0 < getattr(self, name) < 1:
                raise UsageError(f"{name} {getattr(self, name)}: expected more than 0, less than 1")
        if self.piece_s <= 0:
            raise UsageError(f"piece_s {self.piece_s}: expected seconds")


def _check_numbers(part: Any) -> None:
    """Raise UsageError where a number or switch of a table is of another type, or negative."""
    for each in fields(part):
        value = getattr(part, each.name)
        if each.type == "int":
            _check_whole(each.name, [value], least=int(each.name in COUNTED))
        elif each.type == "bool" and not isinstance(value, bool):
            raise UsageError(f"{each.name} = {value!r}: expected true or false")
        elif each.type == "float" and not (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and math.isfinite(value)
            and value >= 0
        ):
            raise UsageError(f"{each.name} = {value!r}: expected a number from 0 on")


def _check_whole(name: str, values: Sequence[Any], least: int = 0) -> None:
    """Raise UsageError where one is no whole number."""
    for value in values:
        if type(value) is not int or not least <= value <= MOST:
            raise UsageError(f"{name} = {value!r}: expected a whole number from {least} on")


def load_config(spec: SpotterSpec, path: Path = DEFAULT) -> FineTuning:
    """Read a TOML file; tables [training] and [training.augmentation]. spec: of the weights.

    Raises UsageError that names what is wrong.
    """
    try:
        values = read_toml(path)
        given = values.pop("training", {})
        augmentation = Augmentation(**given.pop("augmentation", {}))
        if isinstance(values.get("steps"), list):
            values["steps"] = tuple(values["steps"])
        training = SpotterTraining(
            **given, spec=spec, augmentation=augmentation, validation_clips=0, pretrain_steps=0
        )
        return FineTuning(**values, training=training)
    except (DocumentError, TypeError, AttributeError, MicrospotError) as error:
        raise UsageError(f"{path.name}: {error}; see {DEFAULT.name} for the known keys") from error
