"""The row of LOSO fine-tuning: what `microspot-engines train folds` left behind, as aggregates."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from microspot.engines.data.annotations import Interval
from microspot.engines.training.fine_tuning.finished import Finished, read_finished
from microspot.engines.training.fine_tuning.protocols import LOSO

from ..datasets.compared import Compared
from ..datasets.protocols import Found
from ..errors import DataError

FINE_TUNED = "loso-fine-tuned"


def read_run(out: Path, dataset: str) -> Finished:
    """The run. Raises DataError where it is not done, of other data sets, or of another protocol.

    Folds of other sets would have trained on what the study does not describe.
    """
    run = read_finished(out, dataset)
    protocol = run.report["evaluation"]["name"]
    if protocol != LOSO:
        raise DataError(f"{out} is of protocol {protocol}: --folds takes one of {LOSO}")
    others = {who.partition("/")[0] for fold in run.report["folds"] for who in fold["test"]}
    if others != {dataset}:
        raise DataError(
            f"{out} is of {', '.join(sorted(others))}: run the folds of {dataset} alone"
        )
    return run


def check_same(run: Finished, compared: Compared) -> None:
    """Raise DataError where the folds were of other recordings or another truth."""
    ours = _named(row for row in compared.truth if row.type == "micro")
    if _named(run.truth) != ours:
        raise DataError(
            "--folds is of other recordings or of another truth: run evaluate --cache and train "
            "folds again"
        )


def _named(rows: Iterable[Interval]) -> list[tuple[str, str, int, int]]:
    return sorted((row.subject, row.video, row.onset, row.offset) for row in rows)


def fine_tuned(run: Finished) -> tuple[Found, dict[str, Any]]:
    """What was found, and which weights the folds began with."""
    told = {"name": FINE_TUNED, "means": run.report["evaluation"]["means"]}
    weights = {"digest": run.report["weights"], "backend": "torch"}
    return Found(run.predictions, run.candidates, (), told), weights
