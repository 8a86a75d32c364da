"""Two coders' decisions brought together by a third: what they agree on is taken over.

The third sees what both said of every event, and so only once both have decided them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace

from ..errors import UsageError
from ..sinks.base import JsonRecord
from .agreement import Decisions
from .decisions import (
    ACCEPTED,
    FIELDS,
    POINTS,
    UNDECIDED,
    UNTOUCHED,
    Decision,
    decided,
    frame_of,
)
from .results import EventKey
from .store import Store

Events = Mapping[EventKey, JsonRecord]


def check_done(events: Events, coder: str, decisions: Decisions) -> None:
    """Raise UsageError where a coder has not decided every event."""
    left = sum(decisions.get(key, UNTOUCHED).verdict == UNDECIDED for key in events)
    if left:
        raise UsageError(f"{coder} has {left} of {len(events)} events left: merge when none are")


def take_over(store: Store, events: Events, first: Decisions, second: Decisions, near: int) -> int:
    """Take over what two coders agree on, of events that `store` has no row of; how many.

    What its coder took back has rows, and is not taken over again.

    near: frames by which their points may differ; those of the first are taken. Of an added event
    on which they do not agree all but the verdict is taken from whoever added it, the first of two,
    so that there is something to decide on.
    """
    own = {change.key for change in store.changes()}
    taken = 0
    for key, event in events.items():
        if key in own:
            continue
        if agree(event, first[key], second[key], near):
            taken += 1
            _take(store, key, first[key])
        elif adder := next((said for said in (first[key], second[key]) if said.added), None):
            _take(store, key, replace(adder, verdict=UNDECIDED))
    return taken


def agree(event: JsonRecord, first: Decision, second: Decision, near: int) -> bool:
    """Whether two decisions are the same; of rejected events nothing but the verdict counts."""
    if first.verdict != ACCEPTED or second.verdict != ACCEPTED:
        return first.verdict == second.verdict
    for point in POINTS:
        a = frame_of(event, first, point)
        b = frame_of(event, second, point)
        if (a is None) != (b is None) or (a is not None and b is not None and abs(a - b) > near):
            return False
    labels = {decided(event, decision, "")["label"] for decision in (first, second)}
    return len(labels) == 1 and first.action_units == second.action_units


def words(event: JsonRecord, decision: Decision) -> str:
    """A decision as the third reads it, such as "accepted, frames 20 24 29, negative, AU4"."""
    if decision.verdict != ACCEPTED:
        return ", ".join(filter(None, (decision.verdict, decision.note)))
    frames = (frame_of(event, decision, point) for point in POINTS)
    parts = [
        decision.verdict,
        "frames " + " ".join("-" if frame is None else str(frame) for frame in frames),
        decided(event, decision, "")["label"],
        "+".join(decision.action_units or ()),
        decision.note,
    ]
    return ", ".join(part for part in parts if part)


def _take(store: Store, key: EventKey, decision: Decision) -> None:
    """Write the fields of a decision that say something, the verdict last, `added` first."""
    said = asdict(decision)
    untouched = asdict(UNTOUCHED)
    values = {name: said[name] for name in reversed(FIELDS) if said[name] != untouched[name]}
    store.change_all(key, values)
