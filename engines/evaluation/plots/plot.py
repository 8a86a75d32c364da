"""What figures are made from, and what a figure is before it is drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ...data.annotations import TYPES, Interval
from ..metrics import HIT_IOU
from ..metrics.comparison import Comparison
from ..metrics.spotting import KINDS, OVERALL
from .theme import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes

UNKNOWN_SPOTTER = (
    "Tables do not say what spotted their intervals. microspot's shipped weights are trained on "
    "synthetic movement: theirs are not evidence of emotion."
)

BELOW = 0.6  # inches: ticks and the name of an axis

Confusion = Mapping[str, Mapping[str, int]]  # counts by true and then by predicted label


@dataclass(frozen=True)
class Scored:
    """Two tables and the protocol by which they are compared.

    rule, iou: of a hit; emits: types that the spotter emits; minutes: length of all videos, None
    where it is not known; confusion: of the hits' labels, None without; delays_s: from the end of
    an interval to its decision, None where nothing knows them; note: what must be said of the
    weights behind `found`; everything: what is spotted at low thresholds, for curves over them,
    None where that is not known.
    """

    truth: Sequence[Interval]
    found: Sequence[Interval]
    rule: str = "one_to_one"
    iou: float = HIT_IOU
    emits: Sequence[str] = TYPES
    minutes: float | None = None
    confusion: Confusion | None = None
    delays_s: Sequence[float] | None = None
    note: str = UNKNOWN_SPOTTER
    everything: Sequence[Interval] | None = None

    @cached_property
    def compared(self) -> Comparison:
        """The tables compared. Raises DataError as `Comparison`."""
        return Comparison(self.truth, self.found, self.iou)

    @property
    def kinds(self) -> list[str]:
        """Which of micro, macro and overall have a curve: those emitted of which there is truth.

        Overall has one only where both types occur: it would be the same curve.
        """
        true = {row.type for row in self.truth}
        there = true | {row.type for row in self.found}
        kinds = [kind for kind in TYPES if kind in self.emits and kind in true]
        whole = set(KINDS[OVERALL])
        return [*kinds, OVERALL] if kinds and whole <= set(self.emits) & there else kinds


@dataclass(frozen=True)
class Plot:
    """A figure that can be drawn in any theme.

    name: of its file, without an ending; protocol: what was counted; note: of the weights, may be
    empty; alt: the figure's numbers in words; draw: fills empty axes; height: of the axes;
    left, below: of the margins that hold their labels; all in inches.
    """

    name: str
    title: str
    protocol: str
    note: str
    alt: str
    draw: Callable[[Axes, Theme], None]
    height: float = 3.4
    left: float = 0.8
    below: float = BELOW


@dataclass(frozen=True)
class LeftOut:
    """Figures that cannot be drawn, and why: what a person can do about it."""

    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.what} not drawn: {self.why}"
