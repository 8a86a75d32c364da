"""The rows of a study: what a protocol found in a data set, without anything of one person.

Of the report of `datasets` only what is named here is taken over; what rests on too few
micro-expressions is withheld by `engines.evaluation.cells`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from microspot.engines.data.annotations import Interval
from microspot.engines.data.three_classes import in_three_classes
from microspot.engines.evaluation.cells import Least, enough, withheld, withheld_classes
from microspot.engines.evaluation.exams.clusters import RESAMPLES
from microspot.engines.evaluation.metrics.bootstrap import Counts, Floats, described, intervals
from microspot.engines.evaluation.metrics.comparison import Comparison
from microspot.engines.evaluation.metrics.matching import HIT_IOU
from microspot.engines.evaluation.metrics.strs import RULE

from ..datasets.compared import Compared
from ..datasets.protocols import Found

ENGINES = ("digest", "backend", "thresholds")  # of those of the report
LABELS = ("uf1", "uar", "accuracy")
PROTOCOL = ("rule", "counts", "iou", "frames", "pooling", "average_precision", "labels")
KINDS = ("micro", "macro")
NO_LABEL = "no label"

Hits = list[tuple[Interval, Interval]]  # truth and what was found of it


def row(
    name: str, report: Mapping[str, Any], compared: Compared, found: Found, least: Least
) -> dict[str, Any]:
    """A row of the study, of a report of `datasets.report.figures` and what it is of."""
    micro = micros(compared)
    subjects = [each.subject for each in micro]
    compare = Comparison(compared.truth, found.intervals, HIT_IOU)
    hits = [pair for pair in compare.pairs(RULE, HIT_IOU) if pair[0].type == "micro"]
    given = enough(subjects, least)
    return {
        "row": name,
        "protocol": found.protocol["name"],
        "means": found.protocol["means"],
        "engines": {key: report["engines"][key] for key in ENGINES},
        "counts": {key: report["protocol"][key] for key in PROTOCOL},
        "intervals": described(len(set(subjects)), RESAMPLES),
        "micro": _spotting(report) if given else withheld(least),
        "recall_by_class": _recalls(compared, hits, least) if given else withheld(least),
        "labels": _labels(report, compared, hits, least),
        "decision_delay_s": _delays(report, found, least),
    }


def micros(compared: Compared) -> list[Interval]:
    """The true micro-expressions of the recordings that were run."""
    return [each for each in compared.truth if each.type == "micro"]


def of_classes(compared: Compared, rows: Sequence[Interval]) -> dict[str, list[Interval]]:
    """Rows by their class: one of the three where the set's labels have one, else their label."""
    classes = defaultdict(list)
    for each, known in zip(rows, in_three_classes(compared.annotations.dataset, rows), strict=True):
        classes[known.label or NO_LABEL].append(each)
    return dict(sorted(classes.items()))


def counted(compared: Compared, least: Least) -> dict[str, Any]:
    """What the data set holds: people, recordings, minutes, and events by type and class."""
    videos = compared.videos()
    kinds = {kind: [each for each in compared.truth if each.type == kind] for kind in KINDS}
    micro = micros(compared)
    return {
        "subjects": videos["subjects"],
        "recordings": videos["run"],
        "recordings_missing": len(videos["missing"]) + len(videos["unreadable"]),
        "minutes": compared.minutes(),
        **{kind: _count(rows, least) for kind, rows in kinds.items()},
        "micro_by_class": _counts(of_classes(compared, micro), least)
        if enough((each.subject for each in micro), least)
        else withheld(least),
    }


def _count(rows: Sequence[Interval], least: Least) -> int | dict[str, Any]:
    return len(rows) if enough((each.subject for each in rows), least) else withheld(least)


def _counts(classes: Mapping[str, Sequence[Interval]], least: Least) -> dict[str, Any]:
    hidden = _hidden(classes, least)
    return {
        name: withheld(least) if name in hidden else len(rows) for name, rows in classes.items()
    }


def _hidden(classes: Mapping[str, Sequence[Interval]], least: Least) -> set[str]:
    subjects = {name: [each.subject for each in rows] for name, rows in classes.items()}
    return withheld_classes(subjects, least)


def _spotting(report: Mapping[str, Any]) -> dict[str, Any]:
    figures = dict(report["micro"])
    precision = report["average_precision"]
    return {
        "events": figures["tp"] + figures["fn"],
        **figures,
        "average_precision": precision and precision["micro"],
    }


def _recalls(compared: Compared, hits: Hits, least: Least) -> dict[str, Any]:
    """The recall of each class, with its interval over subjects."""
    found = {id(truth) for truth, _ in hits}
    classes = of_classes(compared, micros(compared))
    hidden = _hidden(classes, least)
    told: dict[str, Any] = {}
    for name, rows in classes.items():
        if name in hidden:
            told[name] = withheld(least)
            continue
        counts = _by_subject([(each.subject, id(each) in found) for each in rows])
        told[name] = {
            "events": len(rows),
            "recall": float(counts[:, 0].sum() / counts[:, 1].sum()),
            "intervals": intervals(counts, _recall),
        }
    return told


def _by_subject(rows: Sequence[tuple[str, bool]]) -> Counts:
    """(S, 2) how many were found of each subject's events, and how many there are."""
    found = Counter(subject for subject, hit in rows if hit)
    events = Counter(subject for subject, _ in rows)
    return np.array([(found[name], events[name]) for name in sorted(events)], np.float64)


def _recall(counts: Counts) -> dict[str, Floats]:
    return {"recall": counts[:, 0] / counts[:, 1]}


def _labels(
    report: Mapping[str, Any], compared: Compared, hits: Hits, least: Least
) -> dict[str, Any] | None:
    """Figures of the labels of the hits; None where none has a label that both know."""
    if report["uf1"] is None:
        return None
    classes = of_classes(compared, [truth for truth, found in hits if found.label])
    named = [each for name in report["engines"]["labels"] for each in classes.get(name, ())]
    if not enough((each.subject for each in named), least):
        return withheld(least)
    ends = report["recognition"]["intervals"]
    return {
        "events": len(named),
        **{key: report[key] for key in LABELS},
        "intervals": {key: ends[key] for key in LABELS},
    }


def _delays(report: Mapping[str, Any], found: Found, least: Least) -> dict[str, Any] | None:
    """The median decision delay; None for a protocol that decides afterwards."""
    if not found.delays_s:
        return None
    if not enough((each.subject for each in found.intervals), least):
        return withheld(least)
    return {"events": len(found.delays_s), "median": report["decision_delay_s"]}
