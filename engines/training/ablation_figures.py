"""What an ablation's spotter is judged by: validation clips, scored once, at several thresholds.

F1 at its best thresholds, and the recall that is left where false alarms are limited, which is how
a spotter is used. Thresholds are chosen on the clips of half of the faces and figures counted on
those of the other half, both ways, so that a network with more thresholds to choose gains nothing
by that. Networks are chosen by the recall at ALARM_LIMITS[-1], on all movements and on the family
that no training clip shows, and by how many alarms lie on held expressions there. Not from the
papers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..clips import to_ticks
from ..data.generator.families import KEPT
from ..data.generator.truth import MACRO
from ..errors import DataError
from ..evaluation.calibration import (
    T_CPN_GRID,
    T_CRN_GRID,
    Scored,
    judged,
    overlaps,
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
OVERALL = ("f1", "precision", "recall", "false_alarms_per_min", "truths")
AT_LIMITS = tuple(f"recall_at_{limit:g}" for limit in ALARM_LIMITS)
ALARMS = tuple(f"alarms_at_{limit:g}" for limit in ALARM_LIMITS)  # a minute, on the other half
FIGURES = (*OVERALL, *AT_LIMITS, *ALARMS, "recall_kept", "truths_kept", "held_alarms")


@dataclass(frozen=True, eq=False)
class ScoredClip:
    """A validation clip's scores, the families (G,) of its MEs, and its held expressions in ticks.

    held: (H, 2) spans of macro-expressions.
    """

    scored: Scored
    families: tuple[str, ...]
    held: NDArray[np.float64]
    face: str = ""


class Counts(NamedTuple):
    """What is found in some clips: sums, from which every figure follows.

    kept: of the MEs of KEPT. held_alarms: false alarms that overlap a held expression.
    """

    hits: int = 0
    spotted: int = 0
    truths: int = 0
    ticks: int = 0
    kept_hits: int = 0
    kept_truths: int = 0
    held_alarms: int = 0

    @property
    def recall(self) -> float:
        """Share of the MEs that are found."""
        return self.hits / self.truths if self.truths else 0.0

    @property
    def precision(self) -> float:
        """Share of what is found that is an ME."""
        return self.hits / self.spotted if self.spotted else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        return 2 * self.hits / (self.spotted + self.truths) if self.hits else 0.0

    def false_per_min(self, grid_hz: int) -> float:
        """False alarms a minute."""
        return (self.spotted - self.hits) * grid_hz * 60 / self.ticks


def figures(clips: Sequence[ScoredClip], trials: Sequence[SpotterSpec]) -> dict[str, Any]:
    """The FIGURES of clips, each at the best of the trials' thresholds for it.

    The best are those of the other half of the faces. `recall_kept` and `held_alarms` (false alarms
    a minute that overlap a held expression) are those at the last of ALARM_LIMITS. Raises DataError
    for clips of a single face.
    """
    hz = trials[0].grid_hz
    halves = halves_of([clip.face for clip in clips])
    # by half, then by trial
    counted = [[counts([clips[i] for i in half], trial) for trial in trials] for half in halves]
    best = _total(_swapped(counted, [most_f1(each, hz) for each in counted]))
    found: dict[str, Any] = {
        "f1": round(best.f1, 4),
        "precision": round(best.precision, 4),
        "recall": round(best.recall, 4),
        "false_alarms_per_min": round(best.false_per_min(hz), 3),
        "truths": best.truths,
    }
    for recall, alarms, limit in zip(AT_LIMITS, ALARMS, ALARM_LIMITS, strict=True):
        choice = [most_recall(each, limit, hz) for each in counted]
        chosen = _total(_swapped(counted, choice))
        # where no trial keeps the limit on the half that chooses, nothing counts as found
        fit = [each[i].false_per_min(hz) <= limit for each, i in zip(counted, choice, strict=True)]
        parts = zip(_swapped(counted, choice), fit[::-1], strict=True)
        hits = sum(part.hits for part, kept in parts if kept)
        found[recall] = round(hits / chosen.truths, 4) if chosen.truths else 0.0
        found[alarms] = round(chosen.false_per_min(hz), 3)
    kept = chosen.kept_hits / chosen.kept_truths if chosen.kept_truths else None
    return found | {
        "recall_kept": None if kept is None else round(kept, 4),
        "truths_kept": chosen.kept_truths,
        "held_alarms": round(chosen.held_alarms * hz * 60 / chosen.ticks, 3),
    }


def halves_of(faces: Sequence[str]) -> tuple[list[int], list[int]]:
    """Which clips, by their faces, belong to each half: every second face to the second.

    Raises DataError for a single face.
    """
    names = sorted(set(faces))
    if len(names) < 2:
        raise DataError("validation clips of two faces are needed: synthesise clips of more faces")
    second = set(names[1::2])
    halves: tuple[list[int], list[int]] = ([], [])
    for i, face in enumerate(faces):
        halves[face in second].append(i)
    return halves


def _swapped(counted: Sequence[Sequence[Counts]], choice: Sequence[int]) -> list[Counts]:
    """The counts of each half at the trial that the other half chose; choice: by half."""
    first, second = counted
    return [first[choice[1]], second[choice[0]]]


def _total(parts: Sequence[Counts]) -> Counts:
    return Counts(*(sum(values) for values in zip(*parts, strict=True)))


def most_f1(counted: Sequence[Counts], grid_hz: int) -> int:
    """The index of the best F1, of equal ones that with the fewest false alarms."""
    return max(
        range(len(counted)),
        key=lambda i: (counted[i].f1, -counted[i].false_per_min(grid_hz)),
    )


def most_recall(counted: Sequence[Counts], limit: float, grid_hz: int) -> int:
    """The index of the most recall at `limit` false alarms a minute at most.

    Where none keeps the limit, that of the fewest false alarms.
    """
    alarms = [each.false_per_min(grid_hz) for each in counted]
    quiet = [i for i, per_min in enumerate(alarms) if per_min <= max(limit, min(alarms))]
    return max(quiet, key=lambda i: counted[i].recall)


def counts(clips: Sequence[ScoredClip], spec: SpotterSpec) -> Counts:
    """What is found in clips at the thresholds of `spec`."""
    return _total([Counts(), *(_counts_of(clip, spec) for clip in clips)])


def _counts_of(clip: ScoredClip, spec: SpotterSpec) -> Counts:
    truth = (clip.scored.start, clip.scored.stop)
    spotted = spotted_at(clip.scored, spec)
    found = spotted[judged(spotted, truth, clip.scored.doubtful)]
    matched = one_to_one(overlaps(found, truth), HIT_IOU)
    false = np.ones(len(found), bool)
    false[[i for i, _ in matched]] = False
    on_held = (found.start[:, None] < clip.held[:, 1]) & (found.stop[:, None] > clip.held[:, 0])
    return Counts(
        hits=len(matched),
        spotted=len(found),
        truths=len(clip.scored.start),
        ticks=clip.scored.scores.shape[1],
        kept_hits=sum(clip.families[index] == KEPT for _, index in matched),
        kept_truths=clip.families.count(KEPT),
        held_alarms=int((false & on_held.any(1)).sum()),
    )


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
        spans = (clip.moves_ns or {}).get(MACRO, np.empty((0, 2), np.int64))
        held = to_ticks(spans[:, 0], spans[:, 1], origin, spec.grid_hz)
        scored.append(ScoredClip(one, clip.families, np.stack(held, 1), clip.face))
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
