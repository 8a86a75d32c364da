"""The figures of a data set with their protocol, and the files of a result folder."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from microspot.engines.commands.version import package_versions
from microspot.engines.data.annotations import Interval
from microspot.engines.data.annotations.report import table_rows
from microspot.engines.data.three_classes import CLASSES, in_three_classes
from microspot.engines.evaluation.metrics.average_precision import IOUS, average_precision
from microspot.engines.evaluation.metrics.comparison import Comparison
from microspot.engines.evaluation.metrics.delays import delay_report
from microspot.engines.evaluation.metrics.report import score_tables
from microspot.engines.evaluation.stored_scores import KEPT_T_CPN, KEPT_T_CRN
from microspot.engines.runtime.engine import EngineSet

from ..config import Settings
from ..evaluate import EMITS, known_labels, time_without_evidence
from ..sinks.atomic_file import replace_file
from ..start_record import THRESHOLDS
from .compared import Compared
from .protocols import Found

REPORT = "evaluation.{}.json"  # of each protocol
TRUTH = "truth.csv"
PREDICTIONS = "predictions.{}.csv"
PACKAGES = ("microspot", "mediapipe", "onnxruntime", "opencv-contrib-python", "av", "numpy")
EVERYTHING = f"; spotted at T_CPN {KEPT_T_CPN} and T_CRN {KEPT_T_CRN}, whatever the protocol chose"


def figures(
    compared: Compared,
    found: Found,
    engines: EngineSet,
    settings: Settings,
    rule: str,
    iou: float,
) -> dict[str, Any]:
    """What `score` prints of truth and intervals, and what they were made from and by.

    The average precision is of what is found at low thresholds. Raises UsageError for a wrong rule
    or IoU.
    """
    truth = list(compared.truth)
    labels: dict[str, Any] = {}
    names = _labels(engines)
    if names is not None:
        if set(names) == set(CLASSES):
            truth = in_three_classes(compared.annotations.dataset, truth)
        truth, labels = known_labels(truth, names)
    scored = score_tables(
        truth, found.intervals, rule=rule, iou=iou, minutes=compared.minutes(), emits=EMITS
    )
    everything = Comparison(truth, found.everything, min(IOUS))
    scored["average_precision"] = average_precision(everything, EMITS)
    scored["protocol"]["average_precision"] += EVERYTHING
    delays_s = found.delays_s
    gaps = [gap for each in compared.stored for gap in each.gaps]
    return {
        "dataset": compared.annotations.dataset,
        "evaluation": found.protocol,
        "tables": [Path(file).name for file in compared.annotations.files],
        "versions": package_versions(PACKAGES),
        "engines": _engines(engines, settings),
        "settings": settings.model_dump(mode="json"),
        "videos": compared.videos(),
        **scored,
        **labels,
        "decision_delay_s": float(np.median(delays_s)) if delays_s else None,
        "decision_delay": delay_report(delays_s),
        "no_evidence": time_without_evidence(gaps),
    }


def _labels(engines: EngineSet) -> tuple[str, ...] | None:
    """The emotions that the engines tell apart; None where they tell none."""
    recognizer = engines.recognizer_spec
    return recognizer.labels if recognizer is not None and engines.emotions else None


def _engines(engines: EngineSet, settings: Settings) -> dict[str, Any]:
    spec = settings.spotter(engines.spotter)
    labels = _labels(engines)
    return {
        "name": engines.name,
        "digest": engines.digest,
        "backend": engines.backend,
        "labels": None if labels is None else list(labels),
        "thresholds": {name: getattr(spec, name) for name in THRESHOLDS},
    }


def write_results(
    out: Path, report: dict[str, Any], truth: Sequence[Interval], found: Sequence[Interval]
) -> None:
    """Write report and both tables, the same bytes for the same values. Raises DataError."""
    protocol = report["evaluation"]["name"]
    data = json.dumps(report, indent=1).encode() + b"\n"
    replace_file(out / REPORT.format(protocol), data)
    for name, rows in ((TRUTH, truth), (PREDICTIONS.format(protocol), found)):
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(table_rows(rows))
        replace_file(out / name, text.getvalue().encode("utf-8", "backslashreplace"))
