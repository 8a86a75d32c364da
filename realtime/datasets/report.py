"""The figures of a data set with their protocol, and the files of a result folder."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from microspot.engines.commands.version import package_versions
from microspot.engines.data.annotations import Interval
from microspot.engines.data.annotations.report import table_rows
from microspot.engines.data.annotations.result import Annotations
from microspot.engines.data.layouts import Recordings
from microspot.engines.data.three_classes import CLASSES, in_three_classes
from microspot.engines.evaluation.metrics.delays import delay_report
from microspot.engines.evaluation.metrics.report import score_tables
from microspot.engines.runtime.engine import EngineSet

from ..config import Settings
from ..evaluate import known_labels, time_without_evidence
from ..pipeline import THRESHOLDS
from ..sinks.atomic_file import replace_file
from .stored import Stored, minutes
from .truth import LeftOut

REPORT = "evaluation.json"
TRUTH = "truth.csv"
PREDICTIONS = "predictions.csv"
PACKAGES = ("microspot", "mediapipe", "onnxruntime", "opencv-contrib-python", "av", "numpy")
ZERO_SHOT = "zero-shot"
PROTOCOLS = {
    ZERO_SHOT: "weights and thresholds as they were given, none chosen on this data set",
}


@dataclass(frozen=True)
class Compared:
    """A data set as it was run.

    truth: of the recordings that were run, in frames counted from 0; left_out: of the table's rows
    what their recordings do not have; failed: recordings that cannot be read, with the reason.
    """

    annotations: Annotations
    recordings: Recordings
    stored: Sequence[Stored]
    truth: Sequence[Interval]
    left_out: Sequence[LeftOut]
    failed: dict[str, str]

    def predictions(self, fps: float | None) -> list[Interval]:
        """The events of all recordings as rows of the table format."""
        return [row for each in self.stored for row in each.intervals(fps)]


def figures(
    compared: Compared,
    predictions: Sequence[Interval],
    engines: EngineSet,
    settings: Settings,
    rule: str,
    iou: float,
) -> dict[str, Any]:
    """What `score` prints of truth and predictions, and what they were made from and by.

    Raises UsageError for a wrong rule or IoU.
    """
    truth = list(compared.truth)
    labels: dict[str, Any] = {}
    names = _labels(engines)
    if names is not None:
        if set(names) == set(CLASSES):
            truth = in_three_classes(compared.annotations.dataset, truth)
        truth, labels = known_labels(truth, names)
    spotted = score_tables(
        truth, predictions, rule=rule, iou=iou, minutes=minutes(compared.stored), emits=("micro",)
    )
    gaps = [gap for each in compared.stored for gap in each.gaps]
    delays_s = [delay for each in compared.stored for delay in each.delays_s()]
    return {
        "dataset": compared.annotations.dataset,
        "evaluation": {"name": ZERO_SHOT, "means": PROTOCOLS[ZERO_SHOT]},
        "tables": [Path(file).name for file in compared.annotations.files],
        "versions": package_versions(PACKAGES),
        "engines": _engines(engines, settings),
        "settings": settings.model_dump(mode="json"),
        "videos": videos(compared),
        **spotted,
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


def videos(compared: Compared) -> dict[str, Any]:
    """Which recordings the figures are of, and of which rows of the table they are not."""
    rows = compared.annotations.intervals
    ran = {(each.recording.subject, each.recording.video) for each in compared.stored}
    named = {(row.subject, row.video) for row in rows}
    return {
        "in_table": len(named),
        "run": len(ran),
        "without_rows": len(ran - named),
        "subjects": len({subject for subject, _ in ran}),
        "missing": [video for _, video in compared.recordings.missing],
        "unreadable": compared.failed,
        "rows_of_these": sum((row.subject, row.video) not in ran for row in rows),
        "rows_left_out": [each.to_json() for each in compared.left_out],
    }


def write_results(
    out: Path, report: dict[str, Any], truth: Sequence[Interval], predictions: Sequence[Interval]
) -> None:
    """Write report and both tables, the same bytes for the same values. Raises DataError."""
    replace_file(out / REPORT, json.dumps(report, indent=1).encode() + b"\n")
    for name, rows in ((TRUTH, truth), (PREDICTIONS, predictions)):
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(table_rows(rows))
        replace_file(out / name, text.getvalue().encode("utf-8", "backslashreplace"))
