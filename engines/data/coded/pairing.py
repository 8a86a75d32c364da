"""Coded intervals, and how starts, stops and points of behaviours become them; in seconds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ...errors import DataError
from .words import APEX, is_apex, kind_of


@dataclass(frozen=True)
class CodedInterval:
    """One coded expression: times in seconds since the video's first frame.

    video: name of the file without folders; "" where the file of the tool does not say. kind: micro
    or macro.
    """

    video: str
    subject: str
    kind: str
    onset_s: float
    offset_s: float
    label: str | None = None
    apex_s: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.onset_s <= self.offset_s < float("inf"):
            raise DataError(
                f"an interval from {self.onset_s} to {self.offset_s} s: expected 0 or more, "
                "and its end not before its start"
            )


@dataclass(frozen=True)
class Mark:
    """A row of a log of behaviours.

    status: start, stop or point; where: its place in the file, for errors.
    """

    video: str
    subject: str
    behavior: str
    status: str
    at_s: float
    label: str | None = None
    where: str = ""


@dataclass(frozen=True)
class Apex:
    """An apex, in s. behavior: what the behaviour or tier is called that marks it."""

    video: str
    subject: str
    behavior: str
    at_s: float

    @property
    def kind(self) -> str | None:
        """Of which kind of expression it says that it is."""
        return kind_of(self.behavior)


def paired(marks: Iterable[Mark]) -> list[CodedInterval]:
    """Intervals of the micro- and macro-expressions among `marks`, with their apices.

    A behaviour of a subject that starts again before it has stopped is an error, as is one without
    an end: DataError.
    """
    intervals: list[tuple[str, CodedInterval]] = []
    apices: list[Apex] = []
    running: dict[tuple[str, str, str, str | None], Mark] = {}
    for mark in marks:
        kind = kind_of(mark.behavior)
        if mark.status == "point":
            if is_apex(mark.behavior):
                apices.append(Apex(mark.video, mark.subject, mark.behavior, mark.at_s))
            continue
        if kind is None:
            continue
        key = (mark.video, mark.subject, mark.behavior, mark.label)
        if mark.status == "start":
            if key in running:
                raise DataError(f"{mark.where}: {mark.behavior!r} starts again before it stopped")
            running[key] = mark
            continue
        start = running.pop(key, None)
        if start is None:
            raise DataError(f"{mark.where}: {mark.behavior!r} stops without a start")
        interval = (mark.video, mark.subject, kind, start.at_s, mark.at_s, mark.label)
        intervals.append((mark.behavior, CodedInterval(*interval)))
    for start in running.values():
        raise DataError(f"{start.where}: {start.behavior!r} starts and does not stop")
    return with_apices(intervals, apices)


def with_apices(
    intervals: Iterable[tuple[str, CodedInterval]], apices: Iterable[Apex]
) -> list[CodedInterval]:
    """The intervals by onset, each with the first of its apices; with the name of its behaviour.

    An apex is of an interval of its video and subject in which it lies. One that is called as a
    behaviour is with "apex" after it (`micro-expression 2 apex`) is of that behaviour alone, one
    that is called micro or macro of that kind.
    """
    coded = sorted(intervals, key=lambda each: (each[1].video, each[1].onset_s, each[1].offset_s))
    behaviors = {behavior.lower() for behavior, _ in coded}

    def of(behavior: str, interval: CodedInterval, apex: Apex) -> bool:
        own = apex.behavior.lower().removesuffix(APEX).strip()
        named = own == behavior.lower() if own in behaviors else apex.kind in (None, interval.kind)
        same = (apex.video, apex.subject) == (interval.video, interval.subject)
        return named and same and interval.onset_s <= apex.at_s <= interval.offset_s

    peaks = list(apices)
    found = []
    for behavior, interval in coded:
        within = (apex.at_s for apex in peaks if of(behavior, interval, apex))
        found.append(replace(interval, apex_s=next(within, None)))
    return found
