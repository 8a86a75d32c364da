"""Events as an ELAN annotation file (.eaf), the format in which behaviour researchers code video.

A tier for each subject, further ones for events that overlap. Each final event is an annotation: an
interval in ms of the source's stream time, its value the label and how sure it is. The video is
linked, where it is a file, by its path and by its place beside the document.
"""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from collections.abc import Iterable

from microspot.engines.data.coded.words import MICRO

from ...overlay.event_text import movement_words, name_and_share
from ..base import JsonRecord
from .coded_run import UNDATED, CodedEvent, CodedRun, CodedSource

SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
MIME_TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mpg": "video/mpeg",
    ".mov": "video/quicktime",
}
OTHER_MIME = "unknown"  # as ELAN writes it


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
    tiers = run.tiers()
    slots = iter(_add_time_slots(time_order, itertools.chain.from_iterable(tiers.values())))
    numbers = itertools.count(1)
    for name, events in tiers.items():
        tier = ET.SubElement(root, "TIER", LINGUISTIC_TYPE_REF=MICRO, TIER_ID=name)
        for event in events:
            tier.set("PARTICIPANT", event.subject)
            start, stop = next(slots)
            annotation = ET.SubElement(
                ET.SubElement(tier, "ANNOTATION"),
                "ALIGNABLE_ANNOTATION",
                ANNOTATION_ID=f"a{next(numbers)}",
                TIME_SLOT_REF1=start,
                TIME_SLOT_REF2=stop,
            )
            ET.SubElement(annotation, "ANNOTATION_VALUE").text = annotation_value(event.record)
    ET.SubElement(
        root,
        "LINGUISTIC_TYPE",
        LINGUISTIC_TYPE_ID=MICRO,
        TIME_ALIGNABLE="true",
        GRAPHIC_REFERENCES="false",
    )
    ET.indent(root)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + bytes(ET.tostring(root, "utf-8"))


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


def _add_time_slots(time_order: ET.Element, events: Iterable[CodedEvent]) -> list[tuple[str, str]]:
    """Add two time slots for each event, in order of time as the format demands; their names.

    No slot is shared, so that moving one annotation moves no other.
    """
    spans = [(event.onset_ms, event.offset_ms) for event in events]
    ends: list[tuple[int, int, int]] = []  # ms, place of the event, 0 for its start or 1
    for place, (start, stop) in enumerate(spans):
        ends += [(start, place, 0), (stop, place, 1)]
    names: dict[tuple[int, int], str] = {}
    for number, (ms, place, side) in enumerate(sorted(ends), 1):
        names[place, side] = f"ts{number}"
        ET.SubElement(time_order, "TIME_SLOT", TIME_SLOT_ID=f"ts{number}", TIME_VALUE=str(ms))
    return [(names[place, 0], names[place, 1]) for place in range(len(spans))]
