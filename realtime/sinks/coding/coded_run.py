"""A run as people who code behaviour see it: observations of videos, subjects, behaviours, times.

Every format here is a function from a CodedRun to the bytes of a file. CodingSink writes the file
anew, whole, with every event, so that it can be opened whatever happens to the program. An event
stays the same object from one file to the next, so that formats can keep what they made of it:
else a run of an hour would spend more on its files than on its networks.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from microspot.engines.data.coded.words import MARKERS, MICRO
from microspot.engines.text.redaction import printable

from ...overlay.event_text import movement_words, name_and_share
from ..atomic_file import replace_file
from ..base import JsonRecord, Sink, is_marker_in_recording

UNDATED = "1970-01-01T00:00:00Z"  # where a format demands a date: a recording's is not known
KEPT = 16384  # events or marks, of all runs of this program, of which a format keeps its part


@dataclass(frozen=True)
class CodedSource:
    """One video or camera. media: its file, where it is one; seconds: how long it is so far."""

    name: str
    started_utc: str | None = None
    fps: float | None = None
    media: Path | None = None
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)  # each is one of its own, and quickly found
class CodedEvent:
    """One event. Times are stream time in ms.

    behavior: `micro-expression`; an event that overlaps one of its subject is of a second behaviour
    `micro-expression 2` and so on, since most tools code a behaviour of a subject once at a time.
    """

    source: str
    subject: str
    behavior: str
    onset_ms: int
    apex_ms: int | None
    offset_ms: int
    record: JsonRecord

    @property
    def label(self) -> str:
        """The emotion; "" where there is none."""
        return self.record["label"] or ""

    @cached_property
    def words(self) -> str:
        """What an annotation says: the label, its probability, the spotting score, what moved."""
        name, share = name_and_share(self.record)
        moved = movement_words(self.record)
        spotted = f"spotted {self.record['score']:.2f}" + (f", {moved}" if moved else "")
        if self.record["label"] is None:
            return f"{name}, {spotted}"
        return f"{name} {share:.2f}, {spotted}"


@dataclass(frozen=True)
class CodedMarker:
    """A stimulus marker. at_ms: stream time; frame: nearest in time; name: of its stream."""

    source: str
    at_ms: int
    frame: int
    name: str
    value: str


@dataclass(frozen=True)
class CodedRun:
    """The sources of a run, and its events in order of source, subject and onset.

    markers: in order of source and time.
    """

    sources: tuple[CodedSource, ...] = ()
    events: tuple[CodedEvent, ...] = ()
    markers: tuple[CodedMarker, ...] = ()

    def of(self, source: str) -> list[CodedEvent]:
        """The events of a source."""
        return [event for event in self.events if event.source == source]

    def tiers(self) -> dict[str, list[CodedEvent]]:
        """Events that do not overlap, by a name of subject and behaviour.

        Names are the same in every file, so that searches over many files find them; only where a
        run has several sources do they begin with the source's. Without events one empty tier.
        """
        tiers: dict[str, list[CodedEvent]] = {}
        for event in self.events:
            name = f"{event.subject} {event.behavior}"
            if len(self.sources) > 1:
                name = f"{event.source} {name}"
            tiers.setdefault(name, []).append(event)
        return tiers or {f"{subject_of({'face': 0})} {MICRO}": []}

    def marker_tiers(self) -> dict[str, list[CodedMarker]]:
        """The markers of each source that has some, by the name of their tier; by time."""
        tiers: dict[str, list[CodedMarker]] = {}
        for marker in self.markers:
            name = MARKERS if len(self.sources) == 1 else f"{marker.source} {MARKERS}"
            tiers.setdefault(name, []).append(marker)
        return tiers


Document = Callable[[CodedRun], bytes]


def values_by_ms(markers: Iterable[CodedMarker]) -> dict[int, str]:
    """What markers say, by ms, for formats in which no two may be at one time: those are joined."""
    values: dict[int, str] = {}
    for marker in markers:
        before = values.get(marker.at_ms)
        values[marker.at_ms] = marker.value if before is None else f"{before}; {marker.value}"
    return values


def quoted(text: str) -> str:
    """A text in quotes, those within doubled, as The Observer XT and Praat have them."""
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


class CodingSink(Sink):
    """Final events in one file of a coding tool. Raises DataError when it cannot be written.

    media: files of the sources, by name, to which the document links.
    """

    stores = True

    def __init__(
        self, path: Path, document: Document, media: Mapping[str, Path] | None = None
    ) -> None:
        self._path = path
        self._document = document
        self._media = dict(media or {})
        self._sources: dict[str, CodedSource] = {}
        self._events: list[CodedEvent] = []  # by source, face and onset
        self._markers: list[CodedMarker] = []  # by source and time
        self._save()

    def write(self, record: JsonRecord) -> None:
        """Keep sources, events, markers and lengths; save the file with what is new.

        A marker waits for what is next saved: there may be many, and the file is written whole. One
        from before the first frame is left out.
        """
        if record["type"] == "start":
            for entry in record["sources"]:
                name = entry["source"]
                self._sources[name] = CodedSource(
                    name, entry.get("started_utc"), entry.get("fps"), self._media.get(name)
                )
        elif record["type"] == "event":
            insort(self._events, _event(record), key=_place)
            self._lengthen(record["source"], record["emitted_s"])
        elif is_marker_in_recording(record):
            insort(self._markers, _marker(record), key=lambda each: (each.source, each.at_ms))
            return
        elif record["type"] == "end":
            fps = self._source(record["source"]).fps
            self._lengthen(record["source"], record["frames"] / fps if fps else 0.0)
        else:
            return
        self._save()

    def _source(self, name: str) -> CodedSource:
        return self._sources.setdefault(name, CodedSource(name))

    def _lengthen(self, name: str, seconds: float) -> None:
        source = self._source(name)
        longer = max(source.seconds, seconds)
        self._sources[name] = replace(source, seconds=longer)

    def _save(self) -> None:
        shown = [replace(each, name=printable(each.name)) for each in self._sources.values()]
        self._events = _in_lanes(self._events)
        run = CodedRun(tuple(shown), tuple(self._events), tuple(self._markers))
        replace_file(self._path, self._document(run))


def _event(record: JsonRecord) -> CodedEvent:
    """A final `event` record, in the first lane."""
    onset = _ms(record["onset_s"])
    offset = max(onset + 1, _ms(record["offset_s"]))
    apex = None if record["apex_s"] is None else _ms(record["apex_s"])
    source = printable(record["source"])
    return CodedEvent(source, subject_of(record), MICRO, onset, apex, offset, record)


def _place(event: CodedEvent) -> tuple[str, int, float]:
    """By what events are ordered."""
    record = event.record
    return record["source"], record["face"], record["onset_s"]


def _in_lanes(events: Sequence[CodedEvent]) -> list[CodedEvent]:
    """Events in their order, each of the first behaviour in which it overlaps none before it."""
    ends: dict[tuple[str, str, int], int] = {}  # of source, subject and lane, its last offset
    placed = []
    for event in events:
        lane = 1
        while ends.get((event.source, event.subject, lane), -1) >= event.onset_ms:
            lane += 1
        ends[event.source, event.subject, lane] = event.offset_ms
        behavior = MICRO if lane == 1 else f"{MICRO} {lane}"
        placed.append(event if event.behavior == behavior else replace(event, behavior=behavior))
    return placed


def _marker(record: JsonRecord) -> CodedMarker:
    source, name, value = (printable(record[key]) for key in ("source", "name", "value"))
    return CodedMarker(source, _ms(record["at_s"]), record["frame"], name, value)


def subject_of(record: Mapping[str, object]) -> str:
    """What a coder calls whom an event is of: the subject's name, else `face 1` for face 0."""
    return str(record.get("subject") or f"face {int(str(record['face'])) + 1}")


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
