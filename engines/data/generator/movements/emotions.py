"""Which units an emotion's MEs show, and the labels that follow from units.

Shares of units by emotion follow published tables of spontaneous MEs. Nothing here is from the
papers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..actions import SIDES
from ..families import USUAL, MeasuredField, Shape, draw_shape
from ..sites import region_of
from ..timeline import Recipe, Strengths
from .even_units import draw_even

Labels = tuple[str | None, str | None]  # in 3 and in 5 classes


class Combination(NamedTuple):
    """Units that show an emotion, its share of the emotion's MEs, and how many are one-sided."""

    units: tuple[str, ...]
    share: float
    one_sided: float


class Emotion(NamedTuple):
    """An emotion in 5 and in 3 classes (None: in none of them), its share of MEs, and its units."""

    label5: str
    label3: str | None
    share: float
    combinations: tuple[Combination, ...]


HAPPINESS = (
    Combination(("AU12",), 0.55, 0.41),
    Combination(("AU6", "AU12"), 0.3, 0.2),
    Combination(("AU12", "AU14"), 0.15, 0.4),
)
SURPRISE = (
    Combination(("AU1", "AU2"), 0.5, 0.35),
    Combination(("AU1",), 0.15, 0.4),
    Combination(("AU2",), 0.2, 0.56),
    Combination(("AU1", "AU2", "AU5", "AU25"), 0.15, 0.0),
)
DISGUST = (
    Combination(("AU4", "AU7"), 0.45, 0.1),
    Combination(("AU4", "AU9"), 0.15, 0.0),
    Combination(("AU4", "AU10"), 0.2, 0.1),
    Combination(("AU9",), 0.1, 0.1),
    Combination(("AU10",), 0.1, 0.3),
)
REPRESSION = (
    Combination(("AU17",), 0.45, 0.0),
    Combination(("AU15",), 0.2, 0.2),
    Combination(("AU15", "AU17"), 0.2, 0.0),
    Combination(("AU14",), 0.15, 0.5),
)
OTHERS = (
    Combination(("AU4",), 0.6, 0.1),
    Combination(("AU14",), 0.12, 0.8),
    Combination(("AU24",), 0.14, 0.0),
    Combination(("AU20",), 0.14, 0.2),
)
EMOTIONS = (
    Emotion("happiness", "positive", 0.24, HAPPINESS),
    Emotion("surprise", "surprise", 0.22, SURPRISE),
    Emotion("disgust", "negative", 0.22, DISGUST),
    Emotion("repression", "negative", 0.20, REPRESSION),
    Emotion("others", None, 0.12, OTHERS),
)


def draw_expression(
    rng: np.random.Generator, recipe: Recipe, measured: Sequence[MeasuredField]
) -> tuple[Labels, Shape]:
    """What an ME moves, of any family, and its labels, which only known units have."""
    if recipe.families.even and rng.random() < recipe.families.even:
        even = draw_even(rng)
        return labels_of(even.units), even
    other = draw_shape(rng, recipe.families, measured)
    if other is not None:
        return labels_of(other.units), other
    labels, names, strengths = _expression(rng)
    suffix = names[0][-1]
    side = suffix if suffix in SIDES else ""
    return labels, Shape(strengths, names, USUAL, region_of(names), side)


def labels_of(units: tuple[str, ...]) -> Labels:
    """The labels of units that make up a combination of one emotion only."""
    names = tuple(unit.rstrip("LR") for unit in units)
    emotions = [e for e in EMOTIONS if any(c.units == names for c in e.combinations)]
    return (emotions[0].label3, emotions[0].label5) if len(emotions) == 1 else (None, None)


def _expression(
    rng: np.random.Generator,
) -> tuple[tuple[str | None, str], tuple[str, ...], Strengths]:
    """What an ME shows: its labels in 3 and 5 classes, the names of its units, their strengths."""
    emotion = EMOTIONS[rng.choice(len(EMOTIONS), p=[e.share for e in EMOTIONS])]
    found = emotion.combinations
    units, _, one_sided = found[rng.choice(len(found), p=[c.share for c in found])]
    sides: tuple[str, ...] = SIDES
    suffix = ""
    if rng.random() < one_sided:
        suffix = SIDES[rng.integers(2)]
        sides = (suffix,)
    lean = rng.uniform(0.75, 1.0)  # of the left side
    shape: Strengths = {}
    for unit in units:
        share = rng.uniform(0.6, 1.0)
        for side in sides:
            shape[unit, side] = share * lean if side == "L" else share
    labels = (emotion.label3, emotion.label5)
    return labels, tuple(unit + suffix for unit in units), shape
