"""A run as a log of behaviours, as BORIS and The Observer XT have it: starts, stops and points.

An event is a state with a start and a stop; its apex, and a stimulus marker, are points.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from microspot.engines.data.coded.words import APEX, MARKER

from .coded_run import KEPT, CodedEvent, CodedMarker, CodedRun

# What a mark says. At one time a state stops, then a point comes, then a state starts.
STOP = 0
POINT = 1
START = 2


@dataclass(frozen=True, eq=False)  # each is one of its own, and quickly found
class Mark:
    """A row of a log. at_ms: stream time; frame: index, from 0 on, nearest to it.

    modifier: the label of an event, what a marker says; subject: "" for a marker; lasts_ms: how
    long the state that starts here lasts, 0 for another mark.
    """

    at_ms: int
    kind: int
    frame: int
    subject: str
    behavior: str
    modifier: str
    comment: str = ""
    lasts_ms: int = 0


def marks_of(run: CodedRun, source: str) -> list[Mark]:
    """The marks of a source, in the order in which a coder would set them."""
    marks = [mark for event in run.of(source) for mark in _of_event(event)]
    marks += [_of_marker(marker) for marker in run.markers if marker.source == source]
    return sorted(marks, key=lambda mark: (mark.at_ms, mark.kind))


@lru_cache(maxsize=KEPT)
def _of_event(event: CodedEvent) -> tuple[Mark, ...]:
    record = event.record
    own = (event.subject, event.behavior, event.label)
    lasts_ms = event.offset_ms - event.onset_ms
    marks = [
        Mark(event.onset_ms, START, record["onset_frame"], *own, event.words, lasts_ms),
        Mark(event.offset_ms, STOP, record["offset_frame"], *own),
    ]
    if event.apex_ms is not None:
        peak = (event.subject, f"{event.behavior} {APEX}", event.label)
        marks.append(Mark(event.apex_ms, POINT, record["apex_frame"], *peak))
    return tuple(marks)


@lru_cache(maxsize=KEPT)
def _of_marker(marker: CodedMarker) -> Mark:
    comment = f"{marker.name}: {marker.value}"
    return Mark(marker.at_ms, POINT, marker.frame, "", MARKER, marker.value, comment)
