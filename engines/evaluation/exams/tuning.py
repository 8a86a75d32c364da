"""Thresholds for a set of weights: on synthetic minutes of validation faces, and silent on footage.

The pair (T_CPN, T_CRN) is chosen jointly: the most recall at an operating point of false alarms a
minute, on clips with one ME a minute and all that a training set shows, all rates and sizes; and
no alarm on the footage of people with whom thresholds may be set, as it is. Not from the papers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...data.footage import read_footage
from ...data.generator.synthesize import TRAINING_RECIPE
from ...data.people import ClipPart
from ...errors import UsageError
from ...runtime.engine import EngineSet
from ...specs import SpotterSpec
from ..calibration import (
    T_CRN_GRID,
    Scored,
    best_thresholds,
    curve,
    score_clip,
    spotted_at,
)
from ..rates import OPERATING_POINT, AlarmLimits
from . import SEED
from .recordings import Say, silent
from .rendering import EXAM_RECIPE, ClipPlan, RenderJob, recording_of, render_jobs, rendered
from .segments import segments
from .semireal.whole_clips import cut

CLIPS = 120
CLIP_S = 60.0
# All that a training set shows (looks, small faces, slow expressions, every distractor), with MEs
# as rare as they may be and of the sizes of the examinations, one after the other.
TUNING_RECIPE = replace(
    TRAINING_RECIPE,
    micro_per_min=1.0,
    micro_px=EXAM_RECIPE.micro_px,
    courses=replace(TRAINING_RECIPE.courses, second_me=0.0),
)


def calibrate_on_faces(
    engines: EngineSet,
    faces: Path,
    *,
    clips: int = CLIPS,
    limits: AlarmLimits = OPERATING_POINT,
    t_crn: float = 0.0,
    footage: Sequence[ClipPart] = (),
    workers: int = 1,
    progress: Say = silent,
) -> dict[str, Any]:
    """`calibration.best_thresholds` on minutes of validation faces with one ME each.

    limits: of the false alarms. t_crn: the lowest T_CRN to choose. footage: real videos, on which
    no pair may alarm; where every pair does, those with the fewest alarms are left. Returned are
    also the limits, the `curve` over T_CRN, as `footage` its minutes and alarms, and
    `within_limits`: whether the pair keeps the limits and gives no alarm on the footage. Raises
    UsageError for a T_CRN outside of those that are tried.
    """
    if not 0 <= t_crn <= max(T_CRN_GRID):
        raise UsageError(f"lowest T_CRN {t_crn}: expected 0 to {max(T_CRN_GRID)}")
    plan = ClipPlan(clips, CLIP_S, SEED, "validation", TUNING_RECIPE)
    jobs = render_jobs(faces, plan, engines.spotter.side)
    scored = _score_clips(engines, jobs, workers, progress)
    real = score_footage(engines, footage, progress)

    def allowed(trials: Sequence[SpotterSpec]) -> Sequence[SpotterSpec]:
        return quietest(real, [trial for trial in trials if trial.t_crn >= t_crn])

    best = best_thresholds(scored, engines.spotter, limits, allowed)
    spec = replace(engines.spotter, t_cpn=best["t_cpn"], t_crn=best["t_crn"])
    ticks = sum(one.scores.shape[1] for one in real)
    real_alarms = alarms_at(real, spec)
    kept = limits.hold(best["false_alarms_per_min"], best["false_alarms_high"])
    return best | {
        "within_limits": kept and real_alarms == 0,
        "alarms_limit": limits.per_min,
        "upper_limit": limits.high,
        "least_t_crn": t_crn,
        "curve": curve(scored, spec),
        "footage": {
            "minutes": round(ticks / spec.grid_hz / 60, 2),
            "alarms": real_alarms,
        },
    }


def _score_clips(
    engines: EngineSet, jobs: Sequence[RenderJob], workers: int, progress: Say
) -> list[Scored]:
    """The scores of every segment of the clips, in order."""
    scored = []
    for done, clip in enumerate(rendered(jobs, workers), 1):
        for one in segments(recording_of(clip)):
            spans = one.micro_spans(), one.doubtful_spans()
            scored.append(score_clip(engines, one.crops, one.times_ns, *spans))
        progress(f"clip {done}/{len(jobs)}")
    return scored


def score_footage(
    engines: EngineSet, clips: Sequence[ClipPart], progress: Say = silent
) -> list[Scored]:
    """The scores of every segment of real videos, in which no ME is known."""
    nothing = np.empty((0, 2), np.int64)
    scored = []
    for path, part in clips:
        footage = read_footage(path, part.from_s, part.to_s, keep_frames=False)
        for one in cut(footage):
            scored.append(score_clip(engines, one.crops, one.times_ns, nothing))
        progress(f"{path.name}: {footage.minutes:.2f} minutes scored")
    return scored


def alarms_at(scored: Sequence[Scored], spec: SpotterSpec) -> int:
    """How many intervals are found at the thresholds of `spec`."""
    return sum(len(spotted_at(one, spec)) for one in scored)


def quietest(scored: Sequence[Scored], trials: Sequence[SpotterSpec]) -> list[SpotterSpec]:
    """The trials without an alarm; where there is none, those with the fewest."""
    counts = [alarms_at(scored, trial) for trial in trials]
    fewest = min(counts, default=0)
    return [trial for trial, count in zip(trials, counts, strict=True) if count == fewest]
