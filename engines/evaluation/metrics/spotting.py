"""Counts, precision, recall and F1 of spotting, pooled over all videos [S1 M12]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...data.annotations import TYPES, Interval
from ..exams.clusters import RESAMPLES
from ..rates import poisson_interval
from .bootstrap import Counts, Floats, Subjects, intervals
from .comparison import Comparison
from .matching import HIT_IOU

OVERALL = "overall"
KINDS = {"micro": ("micro",), "macro": ("macro",), OVERALL: TYPES}


def spotting_report(
    truth: Sequence[Interval],
    found: Sequence[Interval],
    *,
    rule: str = "one_to_one",
    iou: float = HIT_IOU,
    minutes: float | None = None,
    emits: Sequence[str] = TYPES,
) -> dict[str, Any]:
    """Counts and figures for micro, macro and overall, pooled over all videos [S1 M12].

    Each has tp, fp, fn, precision, recall, f1 and `false_alarms_per_min`, which is null without
    `minutes`; a type that the spotter does not emit is null as a whole. Spotted intervals in videos
    without truth are false alarms, truths in videos without spotted intervals are missed. Raises
    UsageError for a wrong rule or IoU, DataError as `matches`.
    """
    compared = Comparison(truth, found, iou if 0 < iou <= 1 else HIT_IOU)
    return spotting(compared, rule, iou, minutes, emits, resamples=0)


def spotting(
    compared: Comparison,
    rule: str,
    iou: float,
    minutes: float | None,
    emits: Sequence[str] = TYPES,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """`spotting_report` of what is compared, with `intervals` over subjects where these are known.

    The interval of false alarms a minute is the exact one of a rate.
    """
    counts = by_subject(compared, rule, iou)
    report: dict[str, Any] = {}
    for name, kinds in KINDS.items():
        if not set(kinds) <= set(emits):
            report[name] = None
            continue
        own = counts[:, [TYPES.index(kind) for kind in kinds]].sum(1)  # (S, 3)
        report[name] = figures(own.sum(0)) | _rate(own.sum(0), minutes)
        if resamples:
            ends = intervals(own, _by_name, resamples) | _rate_interval(own.sum(0), minutes)
            report[name]["intervals"] = ends
    return report


def by_subject(compared: Comparison, rule: str, iou: float) -> NDArray[np.float64]:
    """(S, types, 3) tp, fp and fn of each subject and type; one row where none has a subject."""
    known = compared.counts.get((rule, iou))
    if known is not None:
        return known
    hits = compared.hits(rule, iou)
    of_truth, of_found = compared.subjects()
    if not of_truth and not of_found:
        of_truth, of_found = [""] * len(compared.truth), [""] * len(compared.found)
    subjects = Subjects([*of_truth, *of_found] or [""])
    truth, found = subjects.places(of_truth), subjects.places(of_found)
    kind_of_truth, kind_of_found = compared.kinds()
    pairs = np.bincount(hits.truth, minlength=len(truth))
    in_no_pair = np.bincount(hits.found, minlength=len(found)) == 0
    counts = np.zeros((len(subjects.numbers), len(TYPES), 3))
    for place in range(len(TYPES)):
        true = (kind_of_truth == place).astype(np.float64)
        spotted = (kind_of_found == place).astype(np.float64)
        tp = subjects.count(truth, true * pairs)
        if rule == "str_eval_relaxed":
            fp = subjects.count(found, spotted * in_no_pair)
        else:
            fp = subjects.count(found, spotted) - tp
        counts[:, place] = np.stack([tp, fp, subjects.count(truth, true) - tp], 1)
    compared.counts[rule, iou] = counts
    return counts


def precision_recall_f1(counts: Counts) -> tuple[Floats, Floats, Floats]:
    """Precision, recall and F1 (R,) of counts (R, 3): tp, fp, fn; 0 where one divides by 0."""
    tp, fp, fn = counts.T
    precision = _share(tp, tp + fp)
    recall = _share(tp, tp + fn)
    return precision, recall, _share(2 * precision * recall, precision + recall)


def _by_name(counts: Counts) -> dict[str, Floats]:
    return dict(zip(("precision", "recall", "f1"), precision_recall_f1(counts), strict=True))


def _share(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole != 0)


def figures(counts: Floats) -> dict[str, Any]:
    """Counts (3,) tp, fp, fn, and what follows from them."""
    tp, fp, fn = (int(count) for count in counts)
    precision, recall, f1 = (float(each[0]) for each in precision_recall_f1(counts[None]))
    return {"tp": tp, "fp": fp, "fn": fn, "precision": precision, "recall": recall, "f1": f1}


def _rate(counts: Floats, minutes: float | None) -> dict[str, Any]:
    alarms = max(float(counts[1]), 0.0)
    return {"false_alarms_per_min": alarms / minutes if minutes else None}


def _rate_interval(counts: Floats, minutes: float | None) -> dict[str, Any]:
    if not minutes:
        return {"false_alarms_per_min": None}
    ends = poisson_interval(max(int(counts[1]), 0))
    return {"false_alarms_per_min": [end / minutes for end in ends]}
