"""What a row of the semi-real examination reports. Not from the papers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....specs import RecognizerSpec
from ....units.reading import unit_scores
from ...unit_metrics import mean_f1
from ..clusters import Counts, Statistic, by_cluster, interval, ratio
from ..movement import known_units, movement_figures
from ..report import report
from .plays import Play

PAIR = ("brow", "mouth")


def row_report(plays: Sequence[Play], room_s: Mapping[str, float], side: int) -> dict[str, Any]:
    """The fields of `report.report` over the people who count, and what tells them apart.

    `persons` has for each: seconds of room, MEs, their share of the row, recall. `paired` compares
    brow and mouth at the same persons, times and sizes; `courses` has the recall on slow courses by
    speed, and the most moved less the calmest, all with intervals. `seen_before` are the
    people who were seen while rules were set: they count nowhere else. `unaligned` MEs lie in no
    segment of their piece, for the face was lost there. room_s: seconds of room by person.
    """
    counted = [play for play in plays if not play.seen_before]
    seen = [play for play in plays if play.seen_before]
    results = [result for play in counted for result in play.results]
    persons = {play.person for play in counted}
    found: dict[str, Any] = report(results, side)
    found["unaligned"] = sum(_unaligned(play) for play in counted)
    found["persons"] = _persons(counted, room_s)
    found["without_room"] = sorted(
        person for person in room_s if person not in persons | {play.person for play in seen}
    )
    found["courses"] = _courses(counted)
    pairs = found["courses"] is None and any(play.part == "mouth" for play in counted)
    found["paired"] = _paired(counted) if pairs else None
    if seen:
        before = report([result for play in seen for result in play.results], side)
        kept = ("truths", "found", "precision", "recall", "f1", "false_alarms_per_min")
        found["seen_before"] = {name: before[name] for name in kept} | {
            "persons": _persons(seen, room_s)
        }
    return found


def row_movement(plays: Sequence[Play], spec: RecognizerSpec) -> dict[str, Any]:
    """`movement_figures` of the hits of the people who count, and their mean F1 by person.

    `f1_by_person`: over the units that moved in hits of his; None where none is known. `f1_mean`:
    the mean over the persons, so that nobody with many hits decides.
    """
    counted = [play for play in plays if not play.seen_before]
    by_person: dict[str, float | None] = {}
    for person in sorted({play.person for play in counted}):
        own = [one for play in counted if play.person == person for one in play.moved]
        _, probabilities, there = known_units(own, spec)
        f1 = mean_f1(unit_scores(probabilities, spec) >= spec.unit_floor, there)
        by_person[person] = None if np.isnan(f1) else round(f1, 3)
    known = [f1 for f1 in by_person.values() if f1 is not None]
    return movement_figures([one for play in counted for one in play.moved], spec) | {
        "f1_by_person": by_person,
        "f1_mean": round(float(np.mean(known)), 3) if known else None,
    }


def _unaligned(play: Play) -> bool:
    """Whether the ME overlaps no segment of its piece."""
    for result in play.results:
        times = result.recording.times_ns
        if len(times) > 1 and not result.lost:
            first, last = int(times[0]), int(times[-1])
            spans = result.recording.micro_spans()
            if ((spans[:, 0] <= last) & (spans[:, 1] >= first)).any():
                return False
    return True


def _persons(plays: Sequence[Play], room_s: Mapping[str, float]) -> dict[str, dict[str, Any]]:
    found = {}
    for person in sorted({play.person for play in plays}):
        own = [play for play in plays if play.person == person]
        found[person] = {
            "room_s": room_s[person],
            "truths": len(own),
            "share": round(len(own) / len(plays), 3),
            "recall": round(sum(play.hit for play in own) / len(own), 3),
        }
    return found


def _paired(plays: Sequence[Play]) -> dict[str, Any]:
    """Recall of brows and mouths, and mouth less brow, each with its interval."""
    return _recalls(plays, [play.part for play in plays], PAIR, "mouth_less_brow")


def _courses(plays: Sequence[Play]) -> dict[str, Any] | None:
    """Recall by speed of the course, and the gap from the calmest to the most moved."""
    names = [f"{play.course_px:g} px" for play in plays]
    speeds = [f"{speed:g} px" for speed in sorted({play.course_px for play in plays})]
    return None if len(speeds) < 2 else _recalls(plays, names, speeds, "last_less_first")


def _recalls(
    plays: Sequence[Play], groups: Sequence[str], names: Sequence[str], difference: str
) -> dict[str, Any]:
    """Recall of each group, and that of the last less that of the first; with intervals.

    groups: that of every play; names: the groups in order.
    """
    rows = []
    for play, group in zip(plays, groups, strict=True):
        row = np.zeros(2 * len(names))
        if group in names:
            row[2 * names.index(group)] = play.hit
            row[2 * names.index(group) + 1] = 1
        rows.append((play.cluster, row.tolist()))
    counts = by_cluster(rows)
    found: dict[str, Any] = {}
    for i, name in enumerate(names):
        recall = ratio(2 * i, 2 * i + 1)
        found[name] = _figure(counts, recall) | {"truths": int(counts[:, 2 * i + 1].sum())}
    last = 2 * (len(names) - 1)

    def less(sums: Counts) -> NDArray[np.float64]:
        return np.asarray(ratio(last, last + 1)(sums) - ratio(0, 1)(sums))

    found[difference] = _figure(counts, less)
    return found


def _figure(counts: Counts, statistic: Statistic) -> dict[str, Any]:
    value = float(statistic(counts.sum(0, keepdims=True))[0])
    return {"value": round(value, 3), "interval": interval(counts, statistic)}
