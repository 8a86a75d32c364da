"""Coded intervals, and how starts, stops and points of behaviours become them; in seconds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ...errors import DataError
from .words import is_apex, kind_of


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


def paired(marks: Iterable[Mark]) -> list[CodedInterval]:
    """Intervals of the micro- and macro-expressions among `marks`, with their apices.

    A behaviour of a subject that starts again before it has stopped is an error, as is one without
    an end: DataError.
    """
    intervals: list[CodedInterval] = []
    apices: list[Mark] = []
    running: dict[tuple[str, str, str, str | None], Mark] = {}
    for mark in marks:
        kind = kind_of(mark.behavior)
        if mark.status == "point":
            if is_apex(mark.behavior):
                apices.append(mark)
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
        intervals.append(CodedInterval(*interval))
    for start in running.values():
        raise DataError(f"{start.where}: {start.behavior!r} starts and does not stop")
    return with_apices(intervals, [(mark.video, mark.subject, mark.at_s) for mark in apices])


def with_apices(
    intervals: Iterable[CodedInterval], apices: list[tuple[str, str, float]]
) -> list[CodedInterval]:
    """The intervals by onset, each with the first apex (video, subject, seconds) within it."""
    found = []
    for interval in sorted(intervals, key=lambda each: (each.video, each.onset_s, each.offset_s)):
        within = (
            at_s
            for video, subject, at_s in apices
            if (video, subject) == (interval.video, interval.subject)
            and interval.onset_s <= at_s <= interval.offset_s
        )
        found.append(replace(interval, apex_s=next(within, None)))
    return found
