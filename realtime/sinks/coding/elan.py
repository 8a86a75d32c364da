"""Events as an ELAN annotation file (.eaf), the format in which behaviour researchers code video.

A tier for each subject, further ones for events that overlap. Each final event is an annotation: an
interval in ms of the source's stream time, its value the label and how sure it is. Apices and
stimulus markers have tiers of their own; ELAN knows no points, so each is where its annotation
begins, which lasts APEX_MS or MARKER_MS, or until the next one. No such tier depends on another:
one within the events' could hold no apex that is an offset. The video is linked, where it is a
file, by its path and by its place beside the document.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from microspot.engines.data.coded.words import APEX, MARKERS, MICRO
from microspot.engines.text.redaction import printable

from .coded_run import UNDATED, CodedRun, values_by_ms

SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
MIME_TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mpg": "video/mpeg",
    ".mov": "video/quicktime",
}
OTHER_MIME = "unknown"  # as ELAN writes it
APEX_MS = 40  # a frame of 25 Hz: seen, and seldom longer than what is left of the event
MARKER_MS = 100
QUOTE = {'"': "&quot;"}
Span = tuple[int, int, str]  # start and stop in ms, value


def document(run: CodedRun) -> bytes:
    """The .eaf document of a run. It is text from the start: trees of it took ten times as long."""
    tiers = _tiers(run)
    slots, time_slots = _time_slots([span for _, spans in tiers for span in spans])
    dates = [source.started_utc for source in run.sources if source.started_utc]
    root = {
        "AUTHOR": "microspot",
        "DATE": dates[0] if dates else UNDATED,
        "FORMAT": "3.0",
        "VERSION": "3.0",
        "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
        "xsi:noNamespaceSchemaLocation": SCHEMA,
    }
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', _begin("ANNOTATION_DOCUMENT", root)]
    lines += _header(run)
    lines += ["  <TIME_ORDER>", *time_slots, "  </TIME_ORDER>"]
    names = iter(slots)
    numbers = itertools.count(1)
    for attributes, spans in tiers:
        lines.append("  " + _begin("TIER", attributes))
        lines += [_annotation(next(numbers), *next(names), value) for _, _, value in spans]
        lines.append("  </TIER>")
    for kind in dict.fromkeys([MICRO, *(tier["LINGUISTIC_TYPE_REF"] for tier, _ in tiers)]):
        alignable = {"TIME_ALIGNABLE": "true", "GRAPHIC_REFERENCES": "false"}
        lines.append("  " + _empty("LINGUISTIC_TYPE", {"LINGUISTIC_TYPE_ID": kind} | alignable))
    return "\n".join([*lines, "</ANNOTATION_DOCUMENT>"]).encode()


def _begin(name: str, attributes: dict[str, str]) -> str:
    """The tag with which an element begins."""
    pairs = [f"{key}={quoteattr(text, QUOTE)}" for key, text in attributes.items()]
    return f"<{' '.join([name, *pairs])}>"


def _empty(name: str, attributes: dict[str, str]) -> str:
    """An element without content."""
    return _begin(name, attributes).removesuffix(">") + " />"


def _header(run: CodedRun) -> list[str]:
    """The lines that link the sources which are files, and name all."""
    links = [_link(source.media) for source in run.sources if source.media is not None]
    names = [f'<PROPERTY NAME="source">{escape(source.name)}</PROPERTY>' for source in run.sources]
    begin = _begin("HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    return [f"  {begin}", *(f"    {line}" for line in links + names), "  </HEADER>"]


def _annotation(number: int, start: str, stop: str, value: str) -> str:
    """The lines of an annotation between two time slots."""
    slots = f'TIME_SLOT_REF1="{start}" TIME_SLOT_REF2="{stop}"'
    return f"""    <ANNOTATION>
      <ALIGNABLE_ANNOTATION ANNOTATION_ID="a{number}" {slots}>
        <ANNOTATION_VALUE>{escape(value)}</ANNOTATION_VALUE>
      </ALIGNABLE_ANNOTATION>
    </ANNOTATION>"""


def _tiers(run: CodedRun) -> list[tuple[dict[str, str], list[Span]]]:
    """The attributes and annotations of every tier: events, their apices, a source's markers."""
    tiers = []
    for name, events in run.tiers().items():
        whose = {"PARTICIPANT": events[-1].subject} if events else {}
        spans = [(e.onset_ms, e.offset_ms, e.words) for e in events]
        tiers.append(({"LINGUISTIC_TYPE_REF": MICRO, "TIER_ID": name} | whose, spans))
        peaks = {event.apex_ms: APEX for event in events if event.apex_ms is not None}
        if peaks:
            attributes = {"LINGUISTIC_TYPE_REF": APEX, "TIER_ID": f"{name} {APEX}"} | whose
            tiers.append((attributes, _point_spans(peaks, APEX_MS)))
    for name, markers in run.marker_tiers().items():
        attributes = {"LINGUISTIC_TYPE_REF": MARKERS, "TIER_ID": name}
        tiers.append((attributes, _point_spans(values_by_ms(markers), MARKER_MS)))
    return tiers


def _point_spans(points: dict[int, str], longest_ms: int) -> list[Span]:
    """Annotations of points, given by ms in order of time, that do not overlap."""
    starts = list(points)
    ends = [*starts[1:], starts[-1] + longest_ms]
    return [
        (start, min(start + longest_ms, end), points[start])
        for start, end in zip(starts, ends, strict=True)
    ]


def _link(media: Path) -> str:
    """The link of a source that is a file: ELAN looks at its path, then beside the document."""
    attributes = {
        "MEDIA_URL": media.absolute().as_uri(),
        "RELATIVE_MEDIA_URL": f"./{printable(media.name)}",
        "MIME_TYPE": MIME_TYPES.get(media.suffix.lower(), OTHER_MIME),
    }
    return _empty("MEDIA_DESCRIPTOR", attributes)


def _time_slots(spans: Iterable[Span]) -> tuple[list[tuple[str, str]], list[str]]:
    """Names of two time slots for each span, and the lines of all, by time as the format demands.

    No slot is shared, so that moving one annotation moves no other.
    """
    ends: list[tuple[int, int, int]] = []  # ms, place of the span, 0 for its start or 1
    for place, (start, stop, _) in enumerate(spans):
        ends += [(start, place, 0), (stop, place, 1)]
    names: dict[tuple[int, int], str] = {}
    lines = []
    for number, (ms, place, side) in enumerate(sorted(ends), 1):
        names[place, side] = f"ts{number}"
        lines.append(f'    <TIME_SLOT TIME_SLOT_ID="ts{number}" TIME_VALUE="{ms}" />')
    return [(names[place, 0], names[place, 1]) for place in range(len(ends) // 2)], lines
