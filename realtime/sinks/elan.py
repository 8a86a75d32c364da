"""Events as an ELAN annotation file (.eaf), the format in which behaviour researchers code video.

One tier per face, further ones for events that overlap. Each final event is an annotation: an
interval in ms of the source's stream time, its value the label and how sure it is. The file is
rewritten whole with every event, so that it can be opened whatever happens to the program.
"""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path

from microspot.engines.text.redaction import printable

from ..overlay.event_text import name_and_share
from .atomic_file import replace_file
from .base import JsonRecord, Sink

KIND = "micro-expression"
UNDATED = "1970-01-01T00:00:00Z"  # the schema demands a date, and a recording's is not known
SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"


class ElanSink(Sink):
    """Final events in one .eaf file. Raises DataError when it cannot be written."""

    stores = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self._events: list[JsonRecord] = []
        self._date = UNDATED
        self._save()

    def write(self, record: JsonRecord) -> None:
        """Add an event to the file; keep the date of the `start` record."""
        if record["type"] == "start":
            dates = [source["started_utc"] for source in record["sources"]]
            self._date = next((date for date in dates if date), UNDATED)
        if record["type"] == "event":
            self._events.append(record)
            self._save()

    def _save(self) -> None:
        replace_file(self._path, document(self._events, self._date))


def document(events: list[JsonRecord], date: str = UNDATED) -> bytes:
    """The .eaf document of final events, given as the command's JSON lines. date: xs:dateTime."""
    root = ET.Element("ANNOTATION_DOCUMENT")
    root.attrib |= {"AUTHOR": "microspot", "DATE": date, "FORMAT": "3.0", "VERSION": "3.0"}
    root.set("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance")
    root.set("xsi:noNamespaceSchemaLocation", SCHEMA)
    ET.SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    time_order = ET.SubElement(root, "TIME_ORDER")
    tiers = _tiers(events)
    slots = iter(_add_time_slots(time_order, itertools.chain.from_iterable(tiers.values())))
    numbers = itertools.count(1)
    for name, tier_events in tiers.items():
        tier = ET.SubElement(root, "TIER", LINGUISTIC_TYPE_REF=KIND, TIER_ID=name)
        for event in tier_events:
            start, stop = next(slots)
            annotation = ET.SubElement(
                ET.SubElement(tier, "ANNOTATION"),
                "ALIGNABLE_ANNOTATION",
                ANNOTATION_ID=f"a{next(numbers)}",
                TIME_SLOT_REF1=start,
                TIME_SLOT_REF2=stop,
            )
            ET.SubElement(annotation, "ANNOTATION_VALUE").text = annotation_value(event)
    ET.SubElement(
        root,
        "LINGUISTIC_TYPE",
        LINGUISTIC_TYPE_ID=KIND,
        TIME_ALIGNABLE="true",
        GRAPHIC_REFERENCES="false",
    )
    ET.indent(root)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + bytes(ET.tostring(root, "utf-8"))


def annotation_value(event: JsonRecord) -> str:
    """What an annotation says: the label, its probability, the spotting score."""
    name, share = name_and_share(event)
    if event["label"] is None:
        return f"{name}, spotted {event['score']:.2f}"
    return f"{name} {share:.2f}, spotted {event['score']:.2f}"


def _span_ms(event: JsonRecord) -> tuple[int, int]:
    """Onset and offset in ms, at least 1 ms from each other."""
    start = round(event["onset_s"] * 1000)
    return start, max(start + 1, round(event["offset_s"] * 1000))


def _tiers(events: list[JsonRecord]) -> dict[str, list[JsonRecord]]:
    """Events by tier, in order of onset; without events one empty tier.

    Annotations of one tier cannot overlap, but events may a little: an event that does goes to a
    further tier of its face.
    """
    tiers: dict[str, list[JsonRecord]] = {}
    for event in sorted(events, key=lambda e: (e["source"], e["face"], e["onset_s"])):
        name = f"{printable(event['source'])} face {event['face'] + 1} {KIND}"
        for number in itertools.count(1):
            tier_events = tiers.setdefault(name if number == 1 else f"{name} {number}", [])
            if not tier_events or _span_ms(tier_events[-1])[1] <= _span_ms(event)[0]:
                tier_events.append(event)
                break
    return tiers or {f"face 1 {KIND}": []}


def _add_time_slots(time_order: ET.Element, events: Iterable[JsonRecord]) -> list[tuple[str, str]]:
    """Add two time slots for each event, in order of time as the format demands; their names.

    No slot is shared, so that moving one annotation moves no other.
    """
    spans = [_span_ms(event) for event in events]
    ends: list[tuple[int, int, int]] = []  # ms, place of the event, 0 for its start or 1
    for place, (start, stop) in enumerate(spans):
        ends += [(start, place, 0), (stop, place, 1)]
    names: dict[tuple[int, int], str] = {}
    for number, (ms, place, side) in enumerate(sorted(ends), 1):
        names[place, side] = f"ts{number}"
        ET.SubElement(time_order, "TIME_SLOT", TIME_SLOT_ID=f"ts{number}", TIME_VALUE=str(ms))
    return [(names[place, 0], names[place, 1]) for place in range(len(spans))]
