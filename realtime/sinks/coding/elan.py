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
import xml.etree.ElementTree as ET
from collections.abc import Iterable

from microspot.engines.data.coded.words import APEX, MARKERS, MICRO

from ...overlay.event_text import movement_words, name_and_share
from ..base import JsonRecord
from .coded_run import UNDATED, CodedRun, CodedSource, values_by_ms

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
Span = tuple[int, int, str]  # start and stop in ms, value


def document(run: CodedRun) -> bytes:
    """The .eaf document of a run."""
    dates = [source.started_utc for source in run.sources if source.started_utc]
    root = ET.Element("ANNOTATION_DOCUMENT")
    root.attrib |= {
        "AUTHOR": "microspot",
        "DATE": dates[0] if dates else UNDATED,
        "FORMAT": "3.0",
        "VERSION": "3.0",
    }
    root.set("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance")
    root.set("xsi:noNamespaceSchemaLocation", SCHEMA)
    header = ET.SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    for source in run.sources:
        _link(header, source)
    for source in run.sources:
        ET.SubElement(header, "PROPERTY", NAME="source").text = source.name
    time_order = ET.SubElement(root, "TIME_ORDER")
    tiers = _tiers(run)
    slots = iter(_add_time_slots(time_order, [span for _, spans in tiers for span in spans]))
    numbers = itertools.count(1)
    for attributes, spans in tiers:
        tier = ET.SubElement(root, "TIER", attributes)
        for _, _, value in spans:
            start, stop = next(slots)
            annotation = ET.SubElement(
                ET.SubElement(tier, "ANNOTATION"),
                "ALIGNABLE_ANNOTATION",
                ANNOTATION_ID=f"a{next(numbers)}",
                TIME_SLOT_REF1=start,
                TIME_SLOT_REF2=stop,
            )
            ET.SubElement(annotation, "ANNOTATION_VALUE").text = value
    for kind in dict.fromkeys([MICRO, *(tier["LINGUISTIC_TYPE_REF"] for tier, _ in tiers)]):
        ET.SubElement(
            root,
            "LINGUISTIC_TYPE",
            LINGUISTIC_TYPE_ID=kind,
            TIME_ALIGNABLE="true",
            GRAPHIC_REFERENCES="false",
        )
    ET.indent(root)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, "unicode").encode()


def _tiers(run: CodedRun) -> list[tuple[dict[str, str], list[Span]]]:
    """The attributes and annotations of every tier: events, their apices, a source's markers."""
    tiers = []
    for name, events in run.tiers().items():
        whose = {"PARTICIPANT": events[-1].subject} if events else {}
        spans = [(e.onset_ms, e.offset_ms, annotation_value(e.record)) for e in events]
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


def annotation_value(event: JsonRecord) -> str:
    """What an annotation says: the label, its probability, the spotting score, what moved."""
    name, share = name_and_share(event)
    moved = movement_words(event)
    spotted = f"spotted {event['score']:.2f}" + (f", {moved}" if moved else "")
    if event["label"] is None:
        return f"{name}, {spotted}"
    return f"{name} {share:.2f}, {spotted}"


def _link(header: ET.Element, source: CodedSource) -> None:
    """Link a source that is a file: ELAN looks at its path, then beside the document."""
    if source.media is None:
        return
    ET.SubElement(
        header,
        "MEDIA_DESCRIPTOR",
        MEDIA_URL=source.media.absolute().as_uri(),
        RELATIVE_MEDIA_URL=f"./{source.media.name}",
        MIME_TYPE=MIME_TYPES.get(source.media.suffix.lower(), OTHER_MIME),
    )


def _add_time_slots(time_order: ET.Element, spans: Iterable[Span]) -> list[tuple[str, str]]:
    """Add two time slots for each span, in order of time as the format demands; their names.

    No slot is shared, so that moving one annotation moves no other.
    """
    ends: list[tuple[int, int, int]] = []  # ms, place of the span, 0 for its start or 1
    for place, (start, stop, _) in enumerate(spans):
        ends += [(start, place, 0), (stop, place, 1)]
    names: dict[tuple[int, int], str] = {}
    for number, (ms, place, side) in enumerate(sorted(ends), 1):
        names[place, side] = f"ts{number}"
        ET.SubElement(time_order, "TIME_SLOT", TIME_SLOT_ID=f"ts{number}", TIME_VALUE=str(ms))
    return [(names[place, 0], names[place, 1]) for place in range(len(ends) // 2)]
