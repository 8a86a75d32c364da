"""Events as an ELAN annotation file (.eaf), the format that behaviour researchers code video in.

One tier per face; each final event is an interval in ms of the source's stream time, its value the label and how sure
it is. The file is rewritten whole with every event, so that it can be opened whatever happens to the program.
"""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from .errors import DataError
from .sinks import Sink
from .video import reason

KIND = "micro-expression"
SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"


class ElanSink(Sink):
    """Final events in one .eaf file. Raises DataError when it cannot be written."""

    def __init__(self, path: Path) -> None:
        self._path, self._events = path, list[dict[str, Any]]()
        self._date = ""
        self._save()

    def write(self, record: dict[str, Any]) -> None:
        if record["type"] == "start":
            self._date = next((s["started_utc"] for s in record["sources"] if s["started_utc"]), "")
        if record["type"] == "event" and record["status"] == "final":
            self._events.append(record)
            self._save()

    def _save(self) -> None:
        """Replace the file at once, never half of it."""
        part = self._path.with_name(self._path.name + ".part")
        try:
            part.write_bytes(document(self._events, self._date))
            os.replace(part, self._path)
        except OSError as error:
            raise DataError(f"cannot write {self._path}: {reason(error)}") from error


def document(events: list[dict[str, Any]], date: str = "") -> bytes:
    """The .eaf document of final events, given as the command's JSON lines."""
    root = ET.Element("ANNOTATION_DOCUMENT", AUTHOR="microspot", DATE=date, FORMAT="3.0", VERSION="3.0")
    root.set("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance")
    root.set("xsi:noNamespaceSchemaLocation", SCHEMA)
    ET.SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    order = ET.SubElement(root, "TIME_ORDER")
    slots = _slots(events)
    for ms, name in slots.items():
        ET.SubElement(order, "TIME_SLOT", TIME_SLOT_ID=name, TIME_VALUE=str(ms))
    tiers = sorted({(event["source"], event["face"]) for event in events})
    number = 0
    for source, face in tiers or [("", 0)]:
        name = " ".join(part for part in (source, f"face {face + 1}", KIND) if part)
        tier = ET.SubElement(root, "TIER", LINGUISTIC_TYPE_REF=KIND, TIER_ID=name)
        for event in (e for e in events if (e["source"], e["face"]) == (source, face)):
            number += 1
            start, stop = _span(event)
            holder = ET.SubElement(tier, "ANNOTATION")
            note = ET.SubElement(holder, "ALIGNABLE_ANNOTATION", ANNOTATION_ID=f"a{number}",
                                 TIME_SLOT_REF1=slots[start], TIME_SLOT_REF2=slots[stop])  # fmt: skip
            ET.SubElement(note, "ANNOTATION_VALUE").text = value(event)
    ET.SubElement(root, "LINGUISTIC_TYPE", LINGUISTIC_TYPE_ID=KIND, TIME_ALIGNABLE="true", GRAPHIC_REFERENCES="false")
    ET.indent(root)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + bytes(ET.tostring(root, "utf-8"))


def value(event: dict[str, Any]) -> str:
    """What an annotation says: label, its probability, the spotting score."""
    scores = event["label_scores"] or {}
    sure = f" {scores[event['label']]:.2f}" if event["label"] in scores else ""
    return f"{event['label'] or KIND}{sure}, spotted {event['score']:.2f}"


def _span(event: dict[str, Any]) -> tuple[int, int]:
    start = round(event["onset_s"] * 1000)
    return start, max(start + 1, round(event["offset_s"] * 1000))


def _slots(events: list[dict[str, Any]]) -> dict[int, str]:
    """A name for every time, in order of time as the format demands."""
    times = sorted({ms for event in events for ms in _span(event)})
    return {ms: f"ts{i + 1}" for i, ms in enumerate(times)}
