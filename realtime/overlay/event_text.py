"""How events and faces are worded, in every place where a person reads about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microspot.engines.running_neutral import WARM_UP_S
from microspot.engines.units.places import PLACES

from ..records import PersonalState

CONFOUNDED = 0.5  # probability from which a person is told what else moved
# What people are not told of, though records have it: the shipped head takes most MEs for a longer
# expression (10 of the 11 in sample:synthetic:7, where there is none).
UNTOLD = ("macro",)
NAMELESS = "micro-expression"  # without a recognizer
PROVISIONAL = "provisional"
SIDE_WORDS = {"L": "left", "R": "right", "both": "both sides"}  # of the subject


def name_and_share(event: Mapping[str, Any]) -> tuple[str, float]:
    """What an event is called and how sure that is, 0 to 1; `event` as its JSON record.

    The label and its probability; where the label is uncertain, the probability of the most
    probable one. Without a label the action units and the probability of the most probable one. A
    provisional event, and one without a recognizer, has its spotting score.
    """
    if event["status"] != "final":
        return PROVISIONAL, event["score"]
    if event["label"] is None:
        units = event.get("action_units") or []
        if units:
            return "+".join(unit["au"] for unit in units), units[0]["score"]
        return NAMELESS, event["score"]
    shares = event["label_scores"] or {}
    return event["label"], shares.get(event["label"], max(shares.values(), default=event["score"]))


def caption(event: Mapping[str, Any]) -> str:
    """An event in a few words, such as "surprise 93%"."""
    name, share = name_and_share(event)
    return f"{name} {share:.0%}"


def described(event: Mapping[str, Any]) -> str:
    """What an event is called, with its probability where it has a label, and what moved."""
    name = name_and_share(event)[0] if event["label"] is None else caption(event)
    return "; ".join(filter(None, (name, movement_words(event))))


def confounder_words(event: Mapping[str, Any]) -> str:
    """What else moved during an event, such as "blink 80%, speech 60%"; "" for nothing likely."""
    found = event.get("confounders") or {}
    likely = [(share, name) for name, share in _told(found).items() if share >= CONFOUNDED]
    return ", ".join(f"{name} {share:.0%}" for share, name in sorted(likely, reverse=True))


def movement_words(event: Mapping[str, Any]) -> str:
    """What moved in an event: the region, then the units; "" where nothing is known."""
    return "; ".join(filter(None, (region_words(event), unit_words(event))))


def region_words(event: Mapping[str, Any]) -> str:
    """Where the face moved most, such as "mouth corner, left"; "" where the event does not say.

    Of a region on the midline that moved on both sides the name alone.
    """
    region = event.get("region")
    if not region:
        return ""
    name = region["name"]
    place = PLACES.get(name)
    if region["side"] == "both" and place is not None and not place.paired:
        return str(name)
    return f"{name}, {SIDE_WORDS[region['side']]}"


def unit_words(event: Mapping[str, Any]) -> str:
    """What moved, such as "AU12 left, 1.2 px (c) 88%", and a label by rule that differs.

    "" where the weights do not say what moved, or nothing did.
    """
    return "; ".join(unit_parts(event))


def unit_parts(event: Mapping[str, Any]) -> list[str]:
    """The parts of `unit_words`: one for each action unit, and one for a label by rule.

    Of a reviewed event those that the coder named.
    """
    coded = (event.get("reviewed") or {}).get("action_units")
    if coded is not None:
        return list(coded)
    found = []
    for unit in event.get("action_units") or []:
        size = f"{unit['px']:.1f} px ({unit['size']})"
        found.append(f"{unit['au']} {SIDE_WORDS[unit['side']]}, {size} {unit['score']:.0%}")
    if differs(event):
        found.append(f"by rule {event['label_by_units']}")
    return found


def differs(event: Mapping[str, Any]) -> bool:
    """Whether the rule makes another label of the action units than the recognizer found.

    The rule knows three labels, so that it is silent about others.
    """
    by_rule = event.get("label_by_units")
    return bool(by_rule) and by_rule in (event["label_scores"] or {}) and by_rule != event["label"]


def whose(event: Mapping[str, Any]) -> str:
    """Whose event it is: the subject's name, else the face's place, such as "face 1"."""
    return str(event.get("subject") or f"face {int(event['face']) + 1}")


def nuisance_words(nuisances: Mapping[str, float]) -> str:
    """What else moves now, with its probabilities; "" where the weights do not say."""
    return "   ".join(f"{name} {share:.0%}" for name, share in _told(nuisances).items())


def _told(shares: Mapping[str, float]) -> dict[str, float]:
    """Those that people are told of."""
    return {name: share for name, share in shares.items() if name not in UNTOLD}


def threshold_words(state: PersonalState) -> str:
    """What a person is told of a face's own threshold."""
    if state.learning:
        return (
            f"threshold {state.threshold:.2f}, {state.seen_s:.0f} of {WARM_UP_S:.0f} s of learning"
        )
    seen = f"{state.seen_s / 60:.0f} min" if state.seen_s >= 60 else f"{state.seen_s:.0f} s"
    asked = f"{state.alarms_per_min:g} alarms/min"
    return f"threshold {state.threshold:.2f} for {asked}, {seen} seen"


def face_small(width_px: float) -> str:
    """What a person is told of a face so wide, in px of the frame."""
    return f"face small: {width_px:.0f} px"
