"""What the figures of `evaluate` are drawn from: see `engines.evaluation.plots`."""

from __future__ import annotations

from typing import Any

from microspot.engines.evaluation.plots import Scored

from ..datasets.run import Evaluation
from ..evaluate import EMITS, Pooled
from ..overlay.draw import CAVEAT


def of_sources(pooled: Pooled, report: dict[str, Any]) -> Scored:
    """Truth and events of sources; report: of the same, by `report_of`."""
    return Scored(
        pooled.wanted,
        pooled.found,
        report["rule"],
        report["iou"],
        emits=EMITS,
        minutes=pooled.minutes,
        confusion=report.get("confusion"),
        delays_s=pooled.delays_s,
        note=_note(report["engines"]),
    )


def of_dataset(evaluation: Evaluation) -> Scored:
    """Truth and intervals of a data set."""
    report = evaluation.report
    return Scored(
        evaluation.compared.truth,
        evaluation.found.intervals,
        report["rule"],
        report["iou"],
        emits=EMITS,
        minutes=evaluation.compared.minutes(),
        confusion=report.get("confusion"),
        delays_s=evaluation.found.delays_s,
        note=_note(report["engines"]["name"]),
        everything=evaluation.found.everything,
    )


def _note(weights: str) -> str:
    return f"Weights {weights}. {CAVEAT}."
