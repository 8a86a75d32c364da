"""What `score` prints: every figure of two tables, with the protocol that it follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...data.annotations import TYPES, Interval
from ..exams.clusters import RESAMPLES
from .average_precision import IOUS, average_precision
from .bootstrap import described
from .comparison import Comparison
from .labels import label_report
from .matching import HIT_IOU, RULES, check_rule
from .spotting import spotting
from .strs import KEYS, RULE, official, recognition
from .unit_scores import unit_report

DRAWS = RESAMPLES  # of the intervals of a report, as a default
FRAMES = "inclusive: both end frames count; disjoint intervals have IoU 0"
POOLED = "counts pooled over all videos; micro and macro matched within themselves"
LABELS = (
    f"labels of the hits of rule {RULE}, confusion pooled; classes that occur in these hits' truth"
)
FOLDS = "mean of each subject's figures, an absent class counts 0: not comparable with pooled"
STRS = "strict: see recognition; official: as STRS-Metric@eb86468 counts"
AVERAGE = (
    "spotted intervals by score over all videos, each takes the free truth it overlaps most; "
    "best precision at a recall or above; only of what the table holds"
)


def score_tables(
    truth: Sequence[Interval],
    found: Sequence[Interval],
    *,
    rule: str = "one_to_one",
    iou: float = HIT_IOU,
    minutes: float | None = None,
    emits: Sequence[str] = TYPES,
    resamples: int = DRAWS,
) -> dict[str, Any]:
    """All figures of spotted intervals, in full precision, under `protocol` what they count.

    minutes: length of all videos, for false alarms a minute; resamples: for intervals over
    subjects, 0 for none. Raises UsageError for a wrong rule or IoU, DataError as `matches`.
    """
    check_rule(rule, iou)
    compared = Comparison(truth, found, min(iou, *IOUS))
    report: dict[str, Any] = {"rule": rule, "iou": iou}
    report["protocol"] = _protocol(compared, rule, iou, minutes, resamples)
    report |= spotting(compared, rule, iou, minutes, emits, resamples)
    report["average_precision"] = average_precision(compared, emits)
    report["decision_delay_s"] = None  # a table does not know it
    told = recognition(compared, iou, resamples)
    report |= {name: told.get(name) for name in KEYS}
    report["recognition"] = {name: each for name, each in told.items() if name not in KEYS} or None
    report["strs_official"] = official(compared, iou) if told["uf1"] is not None else None
    report["action_units"] = unit_report(compared.pairs(RULE, iou))
    return report


def _protocol(
    compared: Comparison, rule: str, iou: float, minutes: float | None, resamples: int
) -> dict[str, Any]:
    true, spotted = compared.subjects()
    return {
        "rule": rule,
        "counts": RULES[rule],
        "iou": iou,
        "frames": FRAMES,
        "pooling": POOLED,
        "truths": len(compared.truth),
        "spotted": len(compared.found),
        "videos": compared.videos(),
        "minutes": minutes,
        "average_precision": AVERAGE,
        "labels": LABELS,
        "fold_mean": FOLDS,
        "strs": STRS,
        "intervals": described(len({*true, *spotted}), resamples),
    }


def score_labels(
    truth: Sequence[str],
    predicted: Sequence[str],
    folds: Sequence[str],
    classes: Sequence[str] | None = None,
) -> dict[str, Any]:
    """UF1, UAR, accuracy and confusion of labels, pooled over folds, with the mean of the folds.

    Raises as `label_report`.
    """
    report = label_report(truth, predicted, folds, classes)
    counted = "classes that occur in the truth" if classes is None else "the given classes"
    protocol = {
        "pooling": "confusion pooled over all folds first",
        "classes": f"{counted}; one that is absent counts 0",
        "fold_mean": "mean of the folds' own figures, an absent class counts 0: another number",
        "samples": len(truth),
    }
    return {"protocol": protocol} | report
