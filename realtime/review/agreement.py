"""How far two coders agree on the events that both have judged.

Kappa is Cohen's ("A coefficient of agreement for nominal scales", Educational and Psychological
Measurement 20, 1960), without weights.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..sinks.base import JsonRecord
from .decisions import ACCEPTED, POINTS, UNDECIDED, UNTOUCHED, Decision, decided, frame_of
from .results import EventKey

TOLERANCE = 1  # frames
Decisions = Mapping[EventKey, Decision]


@dataclass(frozen=True)
class Agreement:
    """Two coders side by side. None is for what cannot be told: no events, or kappa of one class.

    events: those spotted and those that a coder added (see `added`); judged: by both; accepted,
    rejected: by both; only_first, only_second: accepted by one and rejected by the other; agreed:
    share of `judged` with the same verdict; kappa: of the verdicts. Of the events that both
    accepted: iou: mean of the intervals, offset included; near: share of onsets, apices and offsets
    at most `tolerance` frames apart; labels: share of equal ones; label_kappa: of the labels.
    """

    coders: tuple[str, str]
    events: int
    judged: int
    accepted: int
    rejected: int
    only_first: int
    only_second: int
    agreed: float | None
    kappa: float | None
    iou: float | None
    tolerance: int
    near: dict[str, float | None]
    labels: float | None
    label_kappa: float | None

    def to_json(self) -> dict[str, Any]:
        """As the command prints it."""
        return asdict(self)


def cohens_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float | None:
    """Kappa of two coders' classes of the same things; None without any, or where all are of one.

    (p_o - p_e) / (1 - p_e): p_o the share of equal classes, p_e the share expected of coders who
    draw them, each as often as this one gave them.
    """
    count = len(first)
    equal = sum(a == b for a, b in zip(first, second, strict=True))
    counts = Counter(second)
    by_chance = sum(number * counts[name] for name, number in Counter(first).items())
    if by_chance == count * count:  # both zero too
        return None
    return (equal * count - by_chance) / (count * count - by_chance)


def agreement(
    events: Mapping[EventKey, JsonRecord],
    coders: tuple[str, str],
    decisions: tuple[Decisions, Decisions],
    tolerance: int = TOLERANCE,
) -> Agreement:
    """How far two coders agree on events, which `added.side_by_side` brings together.

    Of events that are not among them nothing is said.
    """
    pairs = {key: _pair(key, decisions) for key in events}
    judged = {
        key: pair
        for key, pair in pairs.items()
        if all(decision.verdict != UNDECIDED for decision in pair)
    }
    verdicts = [tuple(decision.verdict == ACCEPTED for decision in p) for p in judged.values()]
    counts = Counter(verdicts)
    both = [
        (events[key], pair)
        for key, pair in judged.items()
        if all(decision.verdict == ACCEPTED for decision in pair)
    ]
    labels = [tuple(decided(event, each, "")["label"] for each in pair) for event, pair in both]
    return Agreement(
        coders=coders,
        events=len(events),
        judged=len(judged),
        accepted=counts[True, True],
        rejected=counts[False, False],
        only_first=counts[True, False],
        only_second=counts[False, True],
        agreed=_mean([first == second for first, second in verdicts]),
        kappa=_kappa(verdicts),
        iou=_mean([_iou(event, pair) for event, pair in both]),
        tolerance=tolerance,
        near={point: _mean(_near(both, point, tolerance)) for point in POINTS},
        labels=_mean([first == second for first, second in labels]),
        label_kappa=_kappa(labels),
    )


def _pair(key: EventKey, decisions: tuple[Decisions, Decisions]) -> tuple[Decision, Decision]:
    first, second = decisions
    return first.get(key, UNTOUCHED), second.get(key, UNTOUCHED)


def _kappa(pairs: Sequence[tuple[Hashable, ...]]) -> float | None:
    return cohens_kappa([pair[0] for pair in pairs], [pair[1] for pair in pairs])


def _iou(event: JsonRecord, pair: tuple[Decision, Decision]) -> float:
    """Intersection over union of the intervals that two coders gave an event, in frames."""
    left = [decided(event, decision, "") for decision in pair]
    onsets = [record["onset_frame"] for record in left]
    stops = [record["offset_frame"] + 1 for record in left]
    common = max(0, min(stops) - max(onsets))
    lengths = sum(stop - onset for onset, stop in zip(onsets, stops, strict=True))
    share: float = common / (lengths - common)
    return share


def _near(
    both: Sequence[tuple[JsonRecord, tuple[Decision, Decision]]], point: str, tolerance: int
) -> list[bool]:
    """Of each event that has the point for both coders, whether they are near."""
    found = []
    for event, (a, b) in both:
        first = frame_of(event, a, point)
        second = frame_of(event, b, point)
        if first is not None and second is not None:
            found.append(abs(first - second) <= tolerance)
    return found


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
