"""A run of folds that is done, read again without torch.

    OUT/folds.json              protocol, configuration, versions, choices of the folds, figures
    OUT/table.csv               a row for each fold, and one for all
    OUT/DATASET/truth.csv       the true micro-expressions of its recordings, frames from 0
    OUT/DATASET/predictions.csv what was found in its test subjects
    OUT/DATASET/candidates.csv  the same at low thresholds, for the average precision
    OUT/folds/NUMBER.json       what one fold chose and found

Tables are those of `score`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...data.annotations import Interval, read_table
from ...errors import DataError

REPORT = "folds.json"
TABLE = "table.csv"
FOLDS = "folds"
TRUTH, PREDICTIONS, CANDIDATES = "truth.csv", "predictions.csv", "candidates.csv"


@dataclass(frozen=True)
class Finished:
    """What a run says of one data set; report: REPORT."""

    report: dict[str, Any]
    truth: list[Interval]
    predictions: list[Interval]
    candidates: list[Interval]


def read_finished(out: Path, dataset: str) -> Finished:
    """The run in a folder. Raises DataError where it is not done, or not of the data set."""
    path = out / REPORT
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        whole = {"name", "means"} <= report["evaluation"].keys() and "folds" in report
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} cannot be read ({error}): finish train folds first") from error
    if not whole or not (out / dataset).is_dir():
        raise DataError(f"{out} has no folds of {dataset}")
    tables = [read_table(out / dataset / name) for name in (TRUTH, PREDICTIONS, CANDIDATES)]
    return Finished(report, *tables)
