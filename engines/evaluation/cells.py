"""Which figures of people may be given away: a cell must rest on enough micro-expressions.

A cell is any figure of a class, a type or a condition. One that rests on fewer than LEAST_EVENTS
events, or on fewer than LEAST_PEOPLE people, is withheld. So are so many others beside it that it
does not follow from the total. Not from the papers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

LEAST_EVENTS = 30
# Where people are drawn again, the 2.5 % quantile of three of them is the figure of one alone: in
# 3.7 % of the draws it is the same person three times. Of four that is 0.4 %.
LEAST_PEOPLE = 4

Cell = dict[str, Any]


@dataclass(frozen=True)
class Least:
    """What a cell must rest on."""

    events: int = LEAST_EVENTS
    people: int = LEAST_PEOPLE

    def __str__(self) -> str:
        return f"fewer than {self.events} micro-expressions or {self.people} people"


LEAST = Least()


def enough(subjects: Iterable[str], least: Least) -> bool:
    """Whether a cell of events, each with its subject, may be given away."""
    named = list(subjects)
    return len(named) >= least.events and len(set(named)) >= least.people


def withheld(least: Least) -> Cell:
    """What stands in the place of a cell that is not given away."""
    return {"withheld": str(least)}


def withheld_classes(subjects: Mapping[str, Iterable[str]], least: Least) -> set[str]:
    """The names of the classes that are withheld, where the total of all is given away.

    subjects: of the events of each class. Beside classes that are too small the smallest others are
    withheld until they are two or more, and enough together to be a cell.
    """
    events = {name: Counter(own) for name, own in subjects.items()}
    size = {name: own.total() for name, own in events.items()}
    hidden = {name for name, own in events.items() if not enough(own.elements(), least)}
    for name in sorted(size.keys() - hidden, key=lambda name: (size[name], name)):
        together = [subject for each in hidden for subject in events[each].elements()]
        if not hidden or (len(hidden) > 1 and enough(together, least)):
            break
        hidden.add(name)
    return hidden
