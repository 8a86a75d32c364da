"""Labels of what was spotted, and the spot-then-recognise score STRS (Liong et al. 2023).

STRS is the F1 of spotting micro-expressions times the F1 of the labels of the hits. That is the
harmonic mean of the precisions' and of the recalls' mean over the classes. Two counts of it:

* strict: hits are one to one, spotted intervals in videos without truth are false alarms, truths of
  subjects without spotted intervals are missed, and classes are those of the hits' truths.
* official: what the authors' script counts (STRS-Metric@eb86468). A truth goes to the first spotted
  interval in the table that reaches it, which may take several; videos without truth and subjects
  without spotted intervals do not count; classes are all those of the truth; its "UAR" is the mean
  precision. A class that all hits have, and that was told for all, counts 0 there; where no class
  is left, it divides 0 by 0 (null here): so also for one perfect hit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...data.annotations import Interval
from ..exams.clusters import RESAMPLES
from .bootstrap import Counts, Floats, intervals
from .comparison import Comparison
from .labels import by_fold, class_figures, confusion_of, label_report
from .matching import HIT_IOU
from .spotting import by_subject, figures, precision_recall_f1

RULE = "one_to_one"  # of the strict count, whatever rule spotting is told by
MICRO = 0  # place in TYPES
KEYS = ("uf1", "uar", "accuracy", "confusion", "strs")


def recognition_report(
    truth: Sequence[Interval], found: Sequence[Interval], iou: float = HIT_IOU
) -> dict[str, Any]:
    """Figures of the labels on what was spotted: uf1, uar, accuracy, confusion and strs.

    Null where nothing labelled was spotted. `fold_mean` is over subjects, where they are known;
    `strs` is the strict count. Raises as `matches`.
    """
    return recognition(Comparison(truth, found, iou), iou, resamples=0)


def recognition(compared: Comparison, iou: float, resamples: int = RESAMPLES) -> dict[str, Any]:
    """`recognition_report` of what is compared, with intervals over subjects."""
    hits = compared.hits(RULE, iou)
    of_truth, _ = compared.subjects()
    places = list(zip(hits.truth.tolist(), hits.found.tolist(), strict=True))
    labelled = [(t, f) for t, f in places if compared.truth[t].label and compared.found[f].label]
    if not labelled:
        return dict.fromkeys(KEYS)
    true = [compared.truth[t].label or "" for t, _ in labelled]
    said = [compared.found[f].label or "" for _, f in labelled]
    who = [of_truth[t] if of_truth else "" for t, _ in labelled]
    report = label_report(true, said, who if of_truth else None)
    spotted = by_subject(compared, RULE, iou)[:, MICRO]
    f1 = figures(spotted.sum(0))["f1"]
    report["strs"] = f1 * _harmonic(report.pop("macro_precision"), report["uar"])
    if resamples and of_truth:
        report["intervals"] = _intervals(compared, (true, said, who), spotted, resamples)
    return report


def _harmonic(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _intervals(
    compared: Comparison,
    labelled: tuple[list[str], list[str], list[str]],
    spotted: Counts,
    resamples: int,
) -> dict[str, Any]:
    """Intervals of uf1, uar, accuracy and strs over all subjects, those without a hit included.

    A class that is not among the truths of a resample is not counted in it.
    """
    true, said, who = labelled
    names = sorted({*true, *said})
    subjects = sorted({name for rows in compared.subjects() for name in rows})
    confusions = np.zeros((len(subjects), len(names), len(names)))
    with_hits = [subjects.index(name) for name in sorted(set(who))]
    confusions[with_hits] = by_fold(true, said, who, names)
    counts = np.concatenate([spotted, confusions.reshape(len(subjects), -1)], 1)

    def of(sums: Counts) -> dict[str, Floats]:
        drawn = sums[:, 3:].reshape(-1, len(names), len(names))
        told = class_figures(drawn, drawn.sum(2) > 0)
        both = told["precision"] + told["uar"]
        analysis = np.where(both > 0, 2 * told["precision"] * told["uar"] / both, 0.0)
        kept = {name: told[name] for name in ("uf1", "uar", "accuracy")}
        return kept | {"strs": precision_recall_f1(sums[:, :3])[2] * analysis}

    return intervals(counts, of, resamples)


def official_strs(
    truth: Sequence[Interval], found: Sequence[Interval], iou: float = HIT_IOU
) -> dict[str, Any]:
    """STRS of the micro-expressions as the authors' script counts it, with what it is made of.

    The order of the spotted rows matters to it. Null where nothing labelled was spotted, and where
    it divides 0 by 0. Raises as `matches`.
    """
    return official(Comparison(truth, found, iou), iou)


def official(compared: Comparison, iou: float) -> dict[str, Any]:
    """`official_strs` of what is compared."""
    kind_of_truth, kind_of_found = compared.kinds()
    truth, found = kind_of_truth == MICRO, kind_of_found == MICRO
    in_video = np.isin(compared.spotted.group, compared.true.group[truth])
    pairs = compared.candidates(iou)
    order = np.lexsort((pairs.found, pairs.truth))
    takers = np.full(len(compared.truth), -1)
    hit, first = np.unique(pairs.truth[order], return_index=True)
    takers[hit] = pairs.found[order][first]  # of several, the first in the table
    took = np.zeros(len(compared.found), bool)
    took[takers[takers >= 0]] = True
    told = np.flatnonzero(truth & (takers >= 0)).tolist()
    alarms = found & in_video & ~took
    missed = truth & (takers < 0) & _of_told_subjects(compared, found)
    spot = figures(np.array([len(told), alarms.sum(), missed.sum()], np.float64))
    labels = _script(
        [(compared.truth[t].label, compared.found[takers[t]].label) for t in told],
        sorted({compared.truth[t].label or "" for t in np.flatnonzero(truth).tolist()} - {""}),
    )
    score = None if labels["f1"] is None else spot["f1"] * labels["f1"]
    return {"strs": score, "spotting": spot, "labels": labels}


def _of_told_subjects(compared: Comparison, found: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which true rows (T,) are of a subject that some of the spotted rows `found` (F,) are of.

    Without subjects in every row, subjects are not told apart.
    """
    if not compared.named:
        return np.full(len(compared.truth), found.any())
    who = {compared.found[place].subject for place in np.flatnonzero(found).tolist()}
    return np.array([row.subject in who for row in compared.truth], bool)


def _script(
    rows: Sequence[tuple[str | None, str | None]], classes: Sequence[str]
) -> dict[str, float | None]:
    """Mean precision, recall and F1 over all classes, and their harmonic mean, as the script."""
    told = [(true, said or "") for true, said in rows if true]
    if not told or not classes:
        return dict.fromkeys(("precision", "recall", "f1", "uf1", "uar"))
    names = sorted({*classes, *(said for _, said in told)})
    confusion = confusion_of([true for true, _ in told], [said for _, said in told], names)
    for place in range(len(names)):  # its 2x2 matrix is 1x1 here, which it leaves out
        if confusion[place, place] == confusion.sum():
            confusion[place, place] = 0
    counted = np.array([[name in classes for name in names]])
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = {name: float(each[0]) for name, each in _means(confusion, counted).items()}
    both = mean["precision"] + mean["uar"]
    f1 = 2 * mean["precision"] * mean["uar"] / both if both else None
    return {
        "precision": mean["precision"],
        "recall": mean["uar"],
        "f1": f1,
        "uf1": mean["uf1"],
        "uar": mean["precision"],
    }


def _means(confusion: Counts, counted: Any) -> dict[str, Floats]:
    return class_figures(confusion[None], counted)
