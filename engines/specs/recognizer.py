"""CMNet as trained: frames, labels, action units and regions, and the tensors of its engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..errors import EngineError
from .checked import MOST, CheckedSpec, is_within
from .tensors import TensorSpec

# What FFE sees of the movement beside the face: all of it; its direction without its strength, each
# frame's difference and flow at unit energy; nothing. [S2 C2, C26]
TEXTURES = ("strength", "direction", "face")
# Energy (RMS) of a frame's difference or flow below which it is not raised to unit energy: noise
# alone has 0.04 and 0.09 in the generator's clips. Not from the papers.
ENERGY_FLOOR = 0.02
# Least and most of what a unit's logit is divided and raised by; not from the papers.
TEMPERATURES = (0.05, 20.0)
BIASES = (-20.0, 20.0)
SIDES = ("L", "R", "both")  # of the subject, where something moved


@dataclass(frozen=True)
class RecognizerSpec(CheckedSpec):
    """CMNet as trained."""

    frames: int = 11  # N
    side: int = 112  # S
    labels: tuple[str, ...] = ("negative", "positive", "surprise")
    label_floor: float = 0.4  # below this probability the label is "uncertain"
    texture: str = "strength"  # what FFE sees of the movement, of TEXTURES
    energy_floor: float = ENERGY_FLOOR  # of texture "direction"
    # action units and regions of the face that heads beside the labels tell apart; both or neither
    units: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    unit_floor: float = 0.5  # below this probability a unit did not move
    # of each unit's logit, which is divided by the one and raised by the other; () leaves the
    # probabilities as they are: engines/units/reading.py
    unit_temperatures: tuple[float, ...] = ()
    unit_biases: tuple[float, ...] = ()

    NUMBERS: ClassVar = {"frames": (1, 256), "side": (4, 1024)}
    SHARES: ClassVar = ("label_floor", "energy_floor", "unit_floor")
    ADDED: ClassVar = (
        "texture",
        "energy_floor",
        "units",
        "regions",
        "unit_floor",
        "unit_temperatures",
        "unit_biases",
    )

    def __post_init__(self) -> None:
        self.check_numbers()
        if self.texture not in TEXTURES:
            raise self.wrong("texture", f"one of {', '.join(TEXTURES)}")
        if self.energy_floor == 0:
            raise self.wrong("energy_floor", "a number above 0")
        self._check_names("labels", 1)
        self._check_names("units", 0)
        self._check_names("regions", 0)
        if bool(self.units) != bool(self.regions):
            raise EngineError(
                f"units and regions: expected both or neither, got {self.units} and {self.regions}"
            )
        self._check_unit_scores()

    def _check_unit_scores(self) -> None:
        """Raise EngineError unless every unit has a temperature and a bias, or none has either."""
        counts = (len(self.units),) * 2 if self.unit_temperatures or self.unit_biases else (0, 0)
        limits = (("unit_temperatures", TEMPERATURES), ("unit_biases", BIASES))
        for (name, (low, high)), count in zip(limits, counts, strict=True):
            value = getattr(self, name)
            listed = isinstance(value, tuple) and len(value) == count
            if not listed or not all(is_within(number, low, high) for number in value):
                raise self.wrong(
                    name, f"{count} numbers from {low:g} to {high:g}, as many as units"
                )

    def _check_names(self, key: str, least: int) -> None:
        """Raise EngineError unless the value is a tuple of so many names that differ."""
        names = getattr(self, key)
        listed = isinstance(names, tuple) and least <= len(names) <= MOST
        if not listed or not all(isinstance(name, str) and name.strip() for name in names):
            raise self.wrong(key, f"{least} to {MOST} names")
        if len(set(names)) < len(names):
            raise self.wrong(key, "names that differ")

    def tensors(self) -> dict[str, tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]]:
        """Inputs and outputs of the recognizer."""
        return {
            "recognizer": (
                (TensorSpec("clip", "uint8", ("B", self.frames, 3, self.side, self.side)),),
                (
                    TensorSpec("classes", "float32", ("B", len(self.labels))),
                    TensorSpec("intensity", "float32", ("B", self.frames)),
                    *self.movement_tensors(),
                ),
            )
        }

    def movement_tensors(self) -> tuple[TensorSpec, ...]:
        """Outputs of the heads that say what moved: U units, G regions; none without such heads.

        units (B, U), regions (B, G): probabilities, those of the regions sum to 1. unit_sides
        (B, U, 3), side (B, 3): probabilities of SIDES, of each unit and of the whole movement.
        unit_px (B, U), px (B,): peak displacement in px of the crop.
        """
        if not self.units:
            return ()
        units = len(self.units)
        return (
            TensorSpec("units", "float32", ("B", units)),
            TensorSpec("unit_sides", "float32", ("B", units, len(SIDES))),
            TensorSpec("unit_px", "float32", ("B", units)),
            TensorSpec("regions", "float32", ("B", len(self.regions))),
            TensorSpec("side", "float32", ("B", len(SIDES))),
            TensorSpec("px", "float32", ("B",)),
        )
