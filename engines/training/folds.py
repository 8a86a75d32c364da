"""Protocols: which subjects a fold chooses on, which it is tested on, and when these may be read.

Whatever a fold chooses (a threshold, an epoch, a hyper-parameter) is chosen by a function that is
given the training subjects alone:

    for split in leave_one_subject_out(subjects):
        selected = Fold(split, read).select(choose)     # choose sees the training subjects
        pooled += predict(selected.choice, selected.test)

Until `choose` has returned nothing of the test subjects is read, and a fold selects once, so that
nothing can be chosen again after a look at them. A subject is whole in one part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from ..data.annotations import Interval
from ..data.three_classes import CLASSES, in_three_classes
from ..errors import DataError, UsageError

Item = TypeVar("Item")
Choice = TypeVar("Choice")

COMPOSITE = ("smic-hs", "casme-ii", "samm")  # of MEGC2019: 442 clips of 68 subjects
# Clips of CASME II that the composite does not have though their emotion is in a class.
NOT_IN_COMPOSITE = ("sub04/EP12_01f", "sub05/EP09_05f")


class LeakError(RuntimeError):
    """A selection asked for what it may not see. It is a mistake of the program that selects."""


class Subject(NamedTuple):
    """A person of a data set: people of two sets may have one name."""

    dataset: str
    name: str

    def __str__(self) -> str:
        return f"{self.dataset}/{self.name}"


@dataclass(frozen=True)
class Split:
    """The subjects of a fold. Raises DataError where one is in both parts or a part is empty."""

    name: str
    training: tuple[Subject, ...]
    test: tuple[Subject, ...]

    def __post_init__(self) -> None:
        if not self.training or not self.test:
            counts = f"{len(self.training)} training and {len(self.test)} test subjects"
            raise DataError(f"fold {self.name}: {counts}, expected one of each at least")
        both = sorted(set(self.training) & set(self.test))
        if both:
            raise DataError(f"fold {self.name}: {both[0]} is a training and a test subject")


def leave_one_subject_out(subjects: Iterable[Subject]) -> list[Split]:
    """A fold for each subject, tested on that one alone. Raises DataError with fewer than two."""
    everyone = _distinct(subjects)
    return [
        Split(str(one), tuple(other for other in everyone if other != one), (one,))
        for one in everyone
    ]


def hold_out(subjects: Iterable[Subject], share: float, seed: int = 0) -> Split:
    """One fold, tested on a share of the subjects, one at least, drawn by `seed`.

    The draw depends on names alone. Not from the papers. Raises UsageError for a share that is not
    between 0 and 1, DataError where a part is empty.
    """
    if not 0 < share < 1:
        raise UsageError(f"share {share:g}: expected more than 0 and less than 1")
    drawn = sorted(_distinct(subjects), key=lambda subject: _draw(subject, seed))
    count = max(1, round(share * len(drawn)))
    return Split(f"hold-out {seed}", tuple(sorted(drawn[count:])), tuple(sorted(drawn[:count])))


def cross_database(subjects: Iterable[Subject]) -> list[Split]:
    """A fold for each data set, tested on all of it and trained on the others.

    Raises DataError with fewer than two data sets.
    """
    everyone = _distinct(subjects)
    return [
        Split(
            dataset,
            tuple(one for one in everyone if one.dataset != dataset),
            tuple(one for one in everyone if one.dataset == dataset),
        )
        for dataset in sorted({one.dataset for one in everyone})
    ]


def composite(rows: Mapping[str, Sequence[Interval]]) -> dict[Subject, list[Interval]]:
    """The micro-expressions of MEGC2019's composite by subject, with their three classes.

    rows: of the data sets of COMPOSITE, by name. Leaving each subject out is the protocol. Raises
    UsageError where one of the sets is not there.
    """
    lacking = [name for name in COMPOSITE if name not in rows]
    if lacking:
        raise UsageError(f"the composite is of {', '.join(COMPOSITE)}: {lacking[0]} is not there")
    found: dict[Subject, list[Interval]] = {}
    for dataset in COMPOSITE:
        for row in in_three_classes(dataset, rows[dataset]):
            if row.type == "micro" and row.label in CLASSES and row.video not in NOT_IN_COMPOSITE:
                found.setdefault(Subject(dataset, row.subject), []).append(row)
    return found


def _distinct(subjects: Iterable[Subject]) -> list[Subject]:
    return sorted(set(subjects))


def _draw(subject: Subject, seed: int) -> str:
    return hashlib.sha256(f"{seed}/{subject}".encode()).hexdigest()


class Readable(Mapping[Subject, Item]):
    """What is known of some subjects, read when it is asked for, and of no other."""

    def __init__(self, subjects: Sequence[Subject], read: Callable[[Subject], Item]) -> None:
        self._subjects = tuple(subjects)
        self._read = read

    def __getitem__(self, subject: Subject) -> Item:
        if subject not in self._subjects:
            raise LeakError(f"{subject} is not among the subjects that may be read here")
        return self._read(subject)

    def __iter__(self) -> Iterator[Subject]:
        return iter(self._subjects)

    def __len__(self) -> int:
        return len(self._subjects)


@dataclass(frozen=True)
class Selected(Generic[Choice, Item]):
    """What a fold chose, and only now its test subjects."""

    split: Split
    choice: Choice
    test: Readable[Item]


class Fold(Generic[Item]):
    """One fold, which gives its test subjects in exchange for a choice.

    read: gives what is known of a subject.
    """

    def __init__(self, split: Split, read: Callable[[Subject], Item]) -> None:
        self.split = split
        self._reader: Callable[[Subject], Item] | None = read

    def select(self, choose: Callable[[Readable[Item]], Choice]) -> Selected[Choice, Item]:
        """Let `choose` choose by the training subjects.

        Raises LeakError for another selection, also within `choose`, and where `choose` asks for
        a subject that is none of training.
        """
        read = self._reader
        if read is None:
            raise LeakError(f"fold {self.split.name} has selected: its test part may be known")
        self._reader = None
        choice = choose(Readable(self.split.training, read))
        return Selected(self.split, choice, Readable(self.split.test, read))
