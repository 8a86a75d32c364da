"""F1 and AUC of each action unit, on hits whose units both tables give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...data.annotations import Interval
from .ranks import auc

FLOOR = 0.5  # a unit is told with this score or more; not from the papers


def unit_report(pairs: Sequence[tuple[Interval, Interval]]) -> dict[str, Any] | None:
    """Figures of each unit over hits (truth, found), and their means; None without such hits.

    A unit that a row does not name has not moved, and has score 0; one that it names without a
    score has score 1. `auc` is null where a unit is in all hits or in none. Means are over the
    units that are in the truth of some hit.
    """
    coded = [(t.units, f.units) for t, f in pairs if t.units is not None and f.units is not None]
    if not coded:
        return None
    true = [dict(units) for units, _ in coded]
    said = [dict(units) for _, units in coded]
    names = sorted({name for row in (*true, *said) for name in row}, key=_number)
    report: dict[str, Any] = {}
    for name in names:
        moved = np.array([name in row for row in true])
        scores = np.array([row.get(name, 0.0) for row in said])
        report[name] = _figures(moved, scores)
    known = [each for each in report.values() if each["support"]]
    aucs = [each["auc"] for each in known if each["auc"] is not None]
    return {
        "hits": len(coded),
        "floor": FLOOR,
        "mean_f1": float(np.mean([each["f1"] for each in known])) if known else None,
        "mean_auc": float(np.mean(aucs)) if aucs else None,
        "units": report,
    }


def _figures(moved: NDArray[np.bool_], scores: NDArray[np.float64]) -> dict[str, Any]:
    told = scores >= FLOOR
    tp = int((told & moved).sum())
    fp = int((told & ~moved).sum())
    fn = int((~told & moved).sum())
    f1 = 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0.0
    return {
        "support": int(moved.sum()),
        "tp": tp,
        "fp": fp,
        "fn": fn,
        "f1": f1,
        "auc": auc(scores, moved),
    }


def _number(name: str) -> tuple[int, str]:
    """By the number in a unit's name."""
    digits = "".join(letter for letter in name if letter.isdigit())
    return (int(digits or 0), name)
