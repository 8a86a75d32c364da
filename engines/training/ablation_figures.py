"""What an ablation's spotter is judged by: validation clips, scored once, at several thresholds.

F1 at its best thresholds, and the recall that is left where false alarms are limited, which is how
a spotter is used. Networks are chosen by the recall at ALARM_LIMITS[-1], on all movements and on
the family that no training clip shows, and by how many alarms lie on held expressions there. Not
from the papers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..clips import to_ticks
from ..evaluation.calibration import (
    T_CPN_GRID,
    T_CRN_GRID,
    Scored,
    judged,
    overlaps,
    report_at,
    score_clip,
    spotted_at,
)
from ..evaluation.metrics import HIT_IOU, one_to_one
from ..intervals import Candidate
from ..runtime.engine import EngineSet
from ..specs import SpotterSpec
from .crops import Crops
from .spotter.data import TrainingClip

# T_CPN without CRN: CPN's balanced loss pushes its scores up, so that its best threshold may lie
# above those that are swept for CRN.
CPN_GRID = (0.3, 0.5, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995)
ALARM_LIMITS = (0.1, 0.3)  # false alarms a minute
HELD = "macro"  # the kind of movements that begin as an ME does and stay, or are slow and strong
KEPT_FAMILY = "kept"  # movements of validation clips alone
OVERALL = ("f1", "precision", "recall", "false_alarms_per_min", "truths")
AT_LIMITS = tuple(f"recall_at_{limit:g}" for limit in ALARM_LIMITS)
FIGURES = (*OVERALL, *AT_LIMITS, "recall_kept", "truths_kept", "held_alarms")


@dataclass(frozen=True, eq=False)
class ScoredClip:
    """A validation clip's scores, the families (G,) of its MEs, and its held expressions in ticks.

    held: (H, 2) spans of macro-expressions.
    """

    scored: Scored
    families: tuple[str, ...]
    held: NDArray[np.float64]


def figures(clips: Sequence[ScoredClip], trials: Sequence[SpotterSpec]) -> dict[str, Any]:
    """The FIGURES of clips, each at the best of the trials' thresholds for it.

    `recall_kept` and `held_alarms` (false alarms a minute that overlap a held expression) are those
    at the last of ALARM_LIMITS.
    """
    scored = [clip.scored for clip in clips]
    reports = [report_at(scored, trial) for trial in trials]
    best = max(reports, key=lambda report: (report["f1"], -report["false_alarms_per_min"]))
    found = {name: best[name] for name in OVERALL}
    chosen = 0
    for name, limit in zip(AT_LIMITS, ALARM_LIMITS, strict=True):
        chosen = most_recall(reports, limit)
        kept_limit = reports[chosen]["false_alarms_per_min"] <= limit
        found[name] = reports[chosen]["recall"] if kept_limit else 0.0
    return found | _of_kinds(clips, trials[chosen])


def most_recall(reports: Sequence[dict[str, Any]], limit: float) -> int:
    """The index of the report with the most recall at `limit` false alarms a minute at most.

    Where none keeps the limit, that of the fewest false alarms.
    """
    least = min(report["false_alarms_per_min"] for report in reports)
    quiet = [
        i for i, report in enumerate(reports) if report["false_alarms_per_min"] <= max(limit, least)
    ]
    return max(quiet, key=lambda i: reports[i]["recall"])


def _of_kinds(clips: Sequence[ScoredClip], spec: SpotterSpec) -> dict[str, Any]:
    """Recall of the kept family, and false alarms a minute on held expressions."""
    hits = 0
    truths = 0
    alarms = 0
    ticks = 0
    for clip in clips:
        truth = (clip.scored.start, clip.scored.stop)
        spotted = spotted_at(clip.scored, spec)
        found = spotted[judged(spotted, truth, clip.scored.doubtful)]
        matched = one_to_one(overlaps(found, truth), HIT_IOU)
        hits += sum(clip.families[truth] == KEPT_FAMILY for _, truth in matched)
        truths += clip.families.count(KEPT_FAMILY)
        false = np.ones(len(found), bool)
        false[[i for i, _ in matched]] = False
        on_held = (found.start[:, None] < clip.held[:, 1]) & (found.stop[:, None] > clip.held[:, 0])
        alarms += int((false & on_held.any(1)).sum())
        ticks += clip.scored.scores.shape[1]
    return {
        "recall_kept": round(hits / truths, 4) if truths else None,
        "truths_kept": truths,
        "held_alarms": round(alarms * spec.grid_hz * 60 / ticks, 3),
    }


def two_step_trials(spec: SpotterSpec) -> list[SpotterSpec]:
    """All pairs of thresholds of CPN and CRN that are swept."""
    return [replace(spec, t_cpn=t_cpn, t_crn=t_crn) for t_cpn in T_CPN_GRID for t_crn in T_CRN_GRID]


def cpn_trials(spec: SpotterSpec) -> list[SpotterSpec]:
    """All thresholds of CPN alone."""
    return [replace(spec, t_cpn=t, t_crn=t) for t in CPN_GRID]


def score(
    engines: EngineSet, clips: Sequence[TrainingClip], crops: Crops, refine: bool = True
) -> list[ScoredClip]:
    """Score validation clips once.

    Without `refine` CPN's windows compete as they are, by CPN's own scores [S1 M25-M28].
    """
    spec = engines.spotter
    scored = []
    for clip in clips:
        pixels = crops[clip.start : clip.start + len(clip.times_ns)]
        one = score_clip(engines, pixels, clip.times_ns, clip.micro_ns, clip.doubtful_ns)
        if not refine:
            windows = unrefined_windows(one.scores, spec, CPN_GRID[0])
            one = replace(one, windows=windows)
        origin = int(clip.times_ns[0])
        spans = (clip.moves_ns or {}).get(HELD, np.empty((0, 2), np.int64))
        held = to_ticks(spans[:, 0], spans[:, 1], origin, spec.grid_hz)
        scored.append(ScoredClip(one, clip.families, np.stack(held, 1)))
    return scored


def unrefined_windows(
    scores: NDArray[np.float32], spec: SpotterSpec, threshold: float
) -> list[Candidate]:
    """CPN's windows of at least `threshold`, unrefined, from scores (M, T); by end, then scale."""
    windows = []
    for end, scale in np.argwhere((scores >= threshold).T):
        start = float(end + 1 - spec.windows[scale])
        score_of = float(scores[scale, end])
        windows.append(Candidate(int(end), int(scale), start, float(end + 1), score_of))
    return windows
