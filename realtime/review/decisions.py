"""What a coder decides of an event, and the event as it then is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

from ..errors import UsageError
from ..sinks.base import JsonRecord

UNDECIDED = "undecided"
ACCEPTED = "accepted"
REJECTED = "rejected"
VERDICTS = (UNDECIDED, ACCEPTED, REJECTED)
POINTS = ("onset", "apex", "offset")
ADDED = "added"  # the field of an event that the spotter missed: the frame where it was added
FRAMES = (*POINTS, ADDED)  # fields that hold a frame and its time
FIELDS = ("verdict", *POINTS, "label", "action_units", "note", ADDED)
# What a record says of movement as it was measured, which is left out where a coder says it.
MEASURED = ("action_units", "region", "objective_class", "label_by_units")

NO_OFFSET = "an event that you add needs an offset before it is accepted: go to its frame, then F"

# Longest texts, in characters.
LABEL_CHARACTERS = 40
NOTE_CHARACTERS = 2000
MOST_UNITS = 40
# An action unit as FACS coders write it: side or half, number, intensity.
UNIT = re.compile(r"(?:AU)?([LRTB]?)(\d{1,2})([A-E]?)", re.IGNORECASE)


class Point(NamedTuple):
    """An onset, apex or offset that a coder set: index of the frame, and its stream time in s."""

    frame: int
    at_s: float


@dataclass(frozen=True)
class Decision:
    """What one coder says of one event; None is for what stays as it was spotted.

    label: "" for none; action_units: such as AU4, AUL12 and AU14B, empty where none moved; added:
    where the coder added the event, None where the spotter found it.
    """

    verdict: str = UNDECIDED
    onset: Point | None = None
    apex: Point | None = None
    offset: Point | None = None
    label: str | None = None
    action_units: tuple[str, ...] | None = None
    note: str = ""
    added: Point | None = None

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """The decision of values as JSON holds them, by field; null for what is not decided."""
        given = {name: value for name, value in values.items() if value is not None}
        for name in FRAMES:
            if name in given:
                given[name] = Point(*given[name])
        if "action_units" in given:
            given["action_units"] = tuple(given["action_units"])
        return cls(**given)


UNTOUCHED = Decision()


def checked_text(name: str, value: object) -> Any:
    """The value of a field that is no point, as JSON is to hold it; None for as it was spotted.

    Raises UsageError for another value.
    """
    if name == "verdict" and value in VERDICTS:
        return value
    if name == "label" and (value is None or _is_text(value, LABEL_CHARACTERS)):
        return value
    if name == "note" and _is_text(value, NOTE_CHARACTERS):
        return value
    if name == "action_units" and (value is None or isinstance(value, str)):
        return None if value is None else units_of(value)
    raise UsageError(f"{name}: {value!r} cannot be taken")


def units_of(text: str) -> list[str]:
    """Action units of a text such as `4 L12+14B`, each once. Raises UsageError for other words."""
    words = [word for word in re.split(r"[\s+,;/]+", text) if word]
    found = [UNIT.fullmatch(word) for word in words]
    units = [f"AU{unit[1]}{int(unit[2])}{unit[3]}".upper() for unit in found if unit]
    if len(units) < len(words) or len(units) > MOST_UNITS:
        raise UsageError(f"action units {text!r}: expected numbers such as 4 L12 14B")
    return list(dict.fromkeys(units))


def check_order(event: JsonRecord, decision: Decision) -> None:
    """Raise UsageError unless onset, apex and offset come in that order."""
    points = {name: frame_of(event, decision, name) for name in POINTS}
    known = {name: frame for name, frame in points.items() if frame is not None}
    names = list(known)
    for i in range(1, len(names)):
        before = names[i - 1]
        after = names[i]
        if known[before] > known[after]:
            raise UsageError(
                f"the {before} (frame {known[before]}) would come after the {after} "
                f"(frame {known[after]}): move that one first"
            )


def check_whole(event: JsonRecord, decision: Decision) -> None:
    """Raise UsageError where an event is accepted that has no offset: an added one has none yet."""
    if decision.verdict == ACCEPTED and frame_of(event, decision, "offset") is None:
        raise UsageError(NO_OFFSET)


def frame_of(event: JsonRecord, decision: Decision, point: str) -> int | None:
    """The frame of a point, moved or as it was spotted; None for one that is not known."""
    moved: Point | None = getattr(decision, point)
    frame: int | None = event[f"{point}_frame"]
    return frame if moved is None else moved.frame


def decided(event: JsonRecord, decision: Decision, coder: str) -> JsonRecord:
    """The `event` record as a coder left it.

    The intensity, which is spread evenly from onset to offset, and measured movement are left out
    where they are no longer those of the event. A label that a coder set has probability 1.
    """
    changed: JsonRecord = dict(event)
    for name in POINTS:
        moved: Point | None = getattr(decision, name)
        if moved is not None:
            changed[f"{name}_frame"] = moved.frame
            changed[f"{name}_s"] = moved.at_s
    if decision.onset is not None or decision.offset is not None:
        changed["intensity"] = None
    if decision.label is not None:
        changed["label"] = decision.label or None
        changed["label_scores"] = {decision.label: 1.0} if decision.label else None
    units = decision.action_units
    if units is not None:
        changed = {name: value for name, value in changed.items() if name not in MEASURED}
    changed["reviewed"] = {
        "coder": coder,
        "action_units": None if units is None else list(units),
        "note": decision.note,
    }
    if decision.added is not None:
        changed["reviewed"][ADDED] = True
    return changed


def with_value(decision: Decision, name: str, value: Any) -> Decision:
    """The decision with another value of a field, as JSON holds it."""
    return replace(decision, **{name: getattr(Decision.of({name: value}), name)})


def _is_text(value: object, longest: int) -> bool:
    return isinstance(value, str) and len(value) <= longest
