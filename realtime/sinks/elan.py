"""Events as an ELAN annotation file (.eaf), the format that behaviour researchers code video in.

One tier per face, further ones for events that overlap; each final event is an interval in ms of the source's stream
time, its value the label and how sure it is. The file is rewritten whole with every event, so that it can be opened
whatever happens to the program.
"""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from microspot.engines.redaction import printable

from ..overlay.event_text import name_and_share
from .atomic_file import replace_file
from .base import Sink

KIND = "micro-expression"
UNDATED = "1970-01-01T00:00:00Z"  # the schema wants a date, and a recording's is not known
SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"


class ElanSink(Sink):
    """Final events in one .eaf file. Raises DataError when it cannot be written."""

    def __init__(self, path: Path) -> None:
        self._path, self._events = path, list[dict[str, Any]]()
        self._date = UNDATED
        self._save()

    def write(self, record: dict[str, Any]) -> None:
        if record["type"] == "start":
            self._date = next(
                (s["started_utc"] for s in record["sources"] if s["started_utc"]), UNDATED
            )
        if record["type"] == "event":
            self._events.append(record)
            self._save()

    def _save(self) -> None:
        """Replace the file at once, never half of it."""
        replace_file(self._path, document(self._events, self._date))


def document(events: list[dict[str, Any]], date: str = UNDATED) -> bytes:
    """The .eaf document of final events, given as the command's JSON lines. date: xs:dateTime."""
    root = ET.Element(
        "ANNOTATION_DOCUMENT", AUTHOR="microspot", DATE=date, FORMAT="3.0", VERSION="3.0"
    )
    root.set("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance")
    root.set("xsi:noNamespaceSchemaLocation", SCHEMA)
    ET.SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    tiers = _tiers(events)
    slots = iter(
        _slots(
            ET.SubElement(root, "TIME_ORDER"), [event for held in tiers.values() for event in held]
        )
    )
    number = itertools.count(1)
    for name, held in tiers.items():
        tier = ET.SubElement(root, "TIER", LINGUISTIC_TYPE_REF=KIND, TIER_ID=name)
        for event in held:
            holder, (start, stop) = ET.SubElement(tier, "ANNOTATION"), next(slots)
            note = ET.SubElement(holder, "ALIGNABLE_ANNOTATION", ANNOTATION_ID=f"a{next(number)}",
                                 TIME_SLOT_REF1=start, TIME_SLOT_REF2=stop)  # fmt: skip
            ET.SubElement(note, "ANNOTATION_VALUE").text = value(event)
    ET.SubElement(
        root,
        "LINGUISTIC_TYPE",
        LINGUISTIC_TYPE_ID=KIND,
        TIME_ALIGNABLE="true",
        GRAPHIC_REFERENCES="false",
    )
    ET.indent(root)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + bytes(ET.tostring(root, "utf-8"))


def value(event: dict[str, Any]) -> str:
    """What an annotation says: label, its probability, the spotting score."""
    name, share = name_and_share(event)
    sure = "" if event["label"] is None else f" {share:.2f}"
    return f"{name}{sure}, spotted {event['score']:.2f}"


def _span(event: dict[str, Any]) -> tuple[int, int]:
    start = round(event["onset_s"] * 1000)
    return start, max(start + 1, round(event["offset_s"] * 1000))


def _tiers(events: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Events by tier and onset. Annotations of a tier cannot overlap, but events may a little: those get a further one.

    Without events there is one empty tier.
    """
    tiers = dict[str, list[dict[str, Any]]]()
    for event in sorted(events, key=lambda e: (e["source"], e["face"], e["onset_s"])):
        name = f"{printable(event['source'])} face {event['face'] + 1} {KIND}"
        for held in (
            tiers.setdefault(f"{name} {n}" if n > 1 else name, []) for n in itertools.count(1)
        ):
            if not held or _span(held[-1])[1] <= _span(event)[0]:
                held.append(event)
                break
    return tiers or {f"face 1 {KIND}": []}


def _slots(order: ET.Element, events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Two slots for each event, none shared: moving one annotation moves no other. The format wants them by time."""
    ends = sorted(
        (ms, number, side)
        for number, event in enumerate(events)
        for side, ms in enumerate(_span(event))
    )
    names = dict[tuple[int, int], str]()
    for place, (ms, number, side) in enumerate(ends, 1):
        names[number, side] = f"ts{place}"
        ET.SubElement(order, "TIME_SLOT", TIME_SLOT_ID=f"ts{place}", TIME_VALUE=str(ms))
    return [(names[number, 0], names[number, 1]) for number in range(len(events))]
