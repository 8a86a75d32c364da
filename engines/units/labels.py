"""From action units to a class and a label by rule, without training.

The class is one of the objective classes I to VII of Davison, Merghani and Yap ("Objective Classes
for Micro-Facial Expression Recognition", Journal of Imaging 4(10):119, 2018, table 1), which asks
for the units and for nobody's report. Class VII is everything that the table does not list. The
label is that of the emotion which the class is linked to. Where the table lists nothing, it is that
of the one emotion whose core units are among those that moved (after EMFACS, Friesen and Ekman
1983), if it is one alone. Sides and sizes decide nothing. Neither says what a person feels.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

OTHER = "VII"


class ObjectiveClass(NamedTuple):
    """One class: its emotion, its label among three, its combinations of units by number."""

    name: str
    emotion: str
    label: str
    combinations: tuple[tuple[int, ...], ...]


CLASSES = (
    ObjectiveClass("I", "happiness", "positive", ((6,), (12,), (6, 12), (6, 7, 12), (7, 12))),
    ObjectiveClass(
        "II", "surprise", "surprise", ((1, 2), (5,), (25,), (1, 2, 25), (25, 26), (5, 24))
    ),
    ObjectiveClass(
        "III",
        "anger",
        "negative",
        ((23,), (4,), (4, 7), (4, 5), (4, 5, 7), (17, 24), (4, 6, 7), (4, 38)),
    ),
    ObjectiveClass(
        "IV",
        "disgust",
        "negative",
        (
            (10,), (9,), (4, 9), (4, 40), (4, 5, 40), (4, 7, 9), (4, 9, 17), (4, 7, 10),
            (4, 5, 7, 9), (7, 10),
        ),
    ),
    ObjectiveClass("V", "sadness", "negative", ((1,), (15,), (1, 4), (6, 15), (15, 17))),
    ObjectiveClass("VI", "fear", "negative", ((1, 2, 4), (20,))),
)  # fmt: skip
# Core units of an emotion, for combinations that no class lists; fear's hold those of surprise.
CORES = {
    "happiness": ((6, 12),),
    "surprise": ((1, 2, 5), (1, 2, 26)),
    "anger": ((4, 5, 7), (4, 7, 23), (4, 7, 24)),
    "disgust": ((9,), (10,)),
    "sadness": ((1, 4, 15), (6, 15)),
    "fear": ((1, 2, 4),),
}


class RuleLabel(NamedTuple):
    """What the rule says of some units: class I to VII, emotion and label; "" for none."""

    objective_class: str
    emotion: str
    label: str


def label_of(units: Iterable[str]) -> RuleLabel:
    """The class and the label of units such as AU12; of no unit at all nothing is said."""
    numbers = frozenset(int(unit.removeprefix("AU")) for unit in units)
    if not numbers:
        return RuleLabel("", "", "")
    for one in CLASSES:
        if any(numbers == frozenset(listed) for listed in one.combinations):
            return RuleLabel(one.name, one.emotion, one.label)
    emotions = {name for name, cores in CORES.items() if any(numbers >= set(c) for c in cores)}
    if "fear" in emotions:
        emotions.discard("surprise")
    if len(emotions) != 1:
        return RuleLabel(OTHER, "", "")
    (emotion,) = emotions
    label = next(one.label for one in CLASSES if one.emotion == emotion)
    return RuleLabel(OTHER, emotion, label)
