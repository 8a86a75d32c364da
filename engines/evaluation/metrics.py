"""Metrics: spotting F1 by named rules, UF1, UAR, STRS, and rank correlation of intensities.

Confusion matrices are pooled over all folds first; the mean of per-fold figures is another number,
and wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..data.annotations import Interval
from ..errors import DataError, UsageError

HIT_IOU = 0.5  # T_eval [S1 M12]: a spotted interval hits a truth at this IoU or above


def uf1_uar(confusion: ArrayLike) -> tuple[float, float]:
    """Unweighted F1 and unweighted average recall of a pooled confusion matrix (C, C).

    Rows are truths, columns predictions. UF1 = mean of 2 TP / (2 TP + FP + FN), UAR = mean of TP /
    N, over the classes that occur in the truth. Raises DataError for another shape or an empty
    matrix.
    """
    matrix = np.asarray(confusion, np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.sum() == 0:
        raise DataError(
            f"confusion matrix: expected a square with counts, got shape {matrix.shape}, "
            f"sum {matrix.sum():g}"
        )
    truth = matrix.sum(1)
    predicted = matrix.sum(0)
    right = matrix.diagonal()
    present = truth > 0
    f1 = 2 * right[present] / (truth + predicted)[present]
    return float(f1.mean()), float((right[present] / truth[present]).mean())


def spearman(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """Rank correlation along the last axis, (..., N) to (...), with mid-ranks on ties.

    NaN where one of the two is constant.
    """
    ranks = [_mid_ranks(np.asarray(values, np.float64)) for values in (first, second)]
    a, b = (r - r.mean(-1, keepdims=True) for r in ranks)
    scale = np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
    with np.errstate(invalid="ignore"):
        return np.asarray((a * b).sum(-1) / scale, np.float64)


def _mid_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    this = values[..., :, None]
    other = values[..., None, :]
    return np.asarray((other < this).sum(-1) + 0.5 * (other == this).sum(-1), np.float64)


# ---- spotting

RULES = ("one_to_one", "megc2020_gt_hit", "voc_greedy", "str_eval_relaxed")


def frame_iou(a: Interval, b: Interval) -> float:
    """IoU of two inclusive frame intervals, 0 for disjoint ones: both end frames count [S1 M12]."""
    inter = min(a.offset, b.offset) - max(a.onset, b.onset) + 1
    if inter <= 0:
        return 0.0
    return inter / ((a.offset - a.onset + 1) + (b.offset - b.onset + 1) - inter)


def match(
    truth: Sequence[Interval], found: Sequence[Interval], rule: str, iou: float
) -> list[tuple[int, int]]:
    """Pairs (truth index, found index) of one video and type.

    one_to_one: each side once, as many pairs as there can be (ours). megc2020_gt_hit: each truth at
    most once, a spotted interval may serve several. voc_greedy: by score, best truth only.
    str_eval_relaxed: every pair that overlaps enough. Raises UsageError for an unknown rule and for
    an IoU outside (0, 1].
    """
    _check(rule, iou)
    overlap = np.array([[frame_iou(t, f) for f in found] for t in truth]).reshape(
        len(truth), len(found)
    )
    if rule == "one_to_one":
        return one_to_one(overlap, iou)
    if rule == "voc_greedy":
        best = [(int(overlap[:, f].argmax()), f) for f in _by_score(found) if len(truth)]
        return _each_once([(t, f) for t, f in best if overlap[t, f] >= iou])
    pairs = _best_first(overlap, iou)
    if rule == "str_eval_relaxed":
        return pairs
    best_of_truth = {t: (t, f) for t, f in reversed(pairs)}
    return list(best_of_truth.values())


def one_to_one(overlap: NDArray[np.float64], iou: float) -> list[tuple[int, int]]:
    """Pairs (row, column) of an IoU table (T, P) that reach `iou`, by row; each side once.

    As many pairs as there can be, and of such matchings the one with the largest sum of IoU. To
    take the best pair first can leave fewer: it may hold the only partner of another row. Not from
    the papers: the author's rule is megc2020_gt_hit [S1 M12].
    """
    from scipy.optimize import linear_sum_assignment  # 0.2 s, which only scoring needs

    enough = overlap >= iou
    one_pair_more = 1.0 + min(overlap.shape)  # outweighs every sum of IoU
    worth = np.where(enough, one_pair_more + overlap, 0.0)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    chosen = enough[rows, columns]
    return list(zip(rows[chosen].tolist(), columns[chosen].tolist(), strict=True))


def _best_first(overlap: NDArray[np.float64], iou: float) -> list[tuple[int, int]]:
    """All pairs (row, column) that reach `iou`, by IoU from the best, then by index."""
    pairs = [(int(t), int(f)) for t, f in np.argwhere(overlap >= iou)]
    return sorted(pairs, key=lambda pair: (-overlap[pair], pair))


def _each_once(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The pairs neither side of which an earlier pair has taken."""
    chosen: list[tuple[int, int]] = []
    for t, f in pairs:
        if all(t != other_t and f != other_f for other_t, other_f in chosen):
            chosen.append((t, f))
    return chosen


def _check(rule: str, iou: float) -> None:
    if rule not in RULES:
        raise UsageError(f"rule {rule!r}: choose one of {', '.join(RULES)}")
    if not 0 < iou <= 1:
        raise UsageError(f"iou {iou}: expected above 0, at most 1")


def _by_score(found: Sequence[Interval]) -> list[int]:
    return sorted(range(len(found)), key=lambda f: (-(found[f].score or 0.0), found[f].onset))


def matches(
    truth: Sequence[Interval], found: Sequence[Interval], rule: str, iou: float
) -> list[tuple[Interval, Interval]]:
    """Matched (truth, found) pairs over all videos; types are matched within themselves.

    Subjects are told apart where every row names its subject. Raises DataError where the truth
    needs that (two subjects have a video of one name) and the rows do not, UsageError as `match`.
    """
    _check(rule, iou)
    key = _key(truth, found)
    pairs = []
    for group in sorted({key(row) for row in truth}):
        truth_of = [row for row in truth if key(row) == group]
        found_of = [row for row in found if key(row) == group]
        for t, f in match(truth_of, found_of, rule, iou):
            pairs.append((truth_of[t], found_of[f]))
    return pairs


def _key(
    truth: Sequence[Interval], found: Sequence[Interval]
) -> Callable[[Interval], tuple[str, ...]]:
    """What rows of one video and type share: subject where every row has one, video, type."""
    if all(row.subject for row in (*truth, *found)):
        return lambda row: (row.subject, row.video, row.type)
    subjects: dict[str, str] = {}
    for row in truth:
        if row.subject and subjects.setdefault(row.video, row.subject) != row.subject:
            raise DataError(
                f"video {row.video!r} is of subjects {subjects[row.video]!r} and {row.subject!r}: "
                "give every row of both tables its subject"
            )
    return lambda row: (row.video, row.type)


def spotting_report(
    truth: Sequence[Interval],
    found: Sequence[Interval],
    *,
    rule: str = "one_to_one",
    iou: float = HIT_IOU,
    minutes: float | None = None,
    emits: Sequence[str] = ("micro", "macro"),
) -> dict[str, Any]:
    """Counts and figures for micro, macro and overall, pooled over all videos [S1 M12].

    Each has tp, fp, fn, precision, recall, f1 and `false_alarms_per_min`, which is null without
    `minutes`; a type that the spotter does not emit is null as a whole.
    """
    pairs = matches(truth, found, rule, iou)
    report: dict[str, Any] = {}
    for kind in ("micro", "macro", "overall"):
        kinds = ("micro", "macro") if kind == "overall" else (kind,)
        if not set(kinds) <= set(emits):
            report[kind] = None
            continue
        hits = [pair for pair in pairs if pair[0].type in kinds]
        counts = _counts(
            hit_truth=len({id(t) for t, _ in hits}),
            hit_found=len({id(f) for _, f in hits}),
            truth=len([row for row in truth if row.type in kinds]),
            found=len([row for row in found if row.type in kinds]),
            rule=rule,
        )
        rate = round(counts["fp"] / minutes, 4) if minutes else None
        report[kind] = counts | {"false_alarms_per_min": rate}
    return report


def _counts(hit_truth: int, hit_found: int, truth: int, found: int, rule: str) -> dict[str, Any]:
    """Counts and figures of one type, from how many intervals there are and how many were hit."""
    tp = hit_truth if rule != "str_eval_relaxed" else hit_found
    fp = max(found - tp, 0)
    precision = tp / found if found else 0.0
    recall = min(hit_truth / truth, 1.0) if truth else 0.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    rounded = {"precision": round(precision, 4), "recall": round(recall, 4), "f1": round(f1, 4)}
    return {"tp": tp, "fp": fp, "fn": truth - hit_truth, **rounded}


def recognition_report(
    truth: Sequence[Interval], found: Sequence[Interval], iou: float = HIT_IOU
) -> dict[str, Any]:
    """Figures of the labels on what was spotted: uf1, uar, accuracy, confusion and strs.

    STRS is spotting F1 times the F1 of the labels, which is the harmonic mean of macro precision
    and macro recall over the classes (Liong et al. 2023). Null where nothing labelled was spotted.
    """
    pairs = [(t, f) for t, f in matches(truth, found, "one_to_one", iou) if t.label and f.label]
    if not pairs:
        return dict.fromkeys(("uf1", "uar", "accuracy", "confusion", "strs"))
    report = label_report([t.label or "" for t, _ in pairs], [f.label or "" for _, f in pairs])
    spot = spotting_report(truth, found, iou=iou, emits=("micro",))["micro"]["f1"]
    precision = report.pop("macro_precision")
    recall = report["uar"]
    analysis = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return report | {"strs": round(spot * analysis, 4)}


def label_report(truth: Sequence[str], predicted: Sequence[str]) -> dict[str, Any]:
    """UF1, UAR, accuracy, macro precision and confusion {true: {predicted: count}}, pooled.

    Raises DataError where there are no labels, or not as many predictions as truths.
    """
    if not truth or len(truth) != len(predicted):
        raise DataError(
            f"labels: expected as many predictions as truths, got {len(predicted)} and {len(truth)}"
        )
    names = sorted(set(truth) | set(predicted))
    confusion = np.zeros((len(names), len(names)), np.int64)
    for t, p in zip(truth, predicted, strict=True):
        confusion[names.index(t), names.index(p)] += 1
    uf1, uar = uf1_uar(confusion)
    columns = confusion.sum(0)
    present = confusion.sum(1) > 0
    precisions = np.zeros(len(names))
    np.divide(confusion.diagonal(), columns, out=precisions, where=columns > 0)
    precision = precisions[present].mean()
    table = {}
    for name, row in zip(names, confusion, strict=True):
        table[name] = dict(zip(names, map(int, row), strict=True))
    return {
        "uf1": round(uf1, 4),
        "uar": round(uar, 4),
        "accuracy": round(float(confusion.trace() / confusion.sum()), 4),
        "macro_precision": round(float(precision), 4),
        "confusion": table,
    }
