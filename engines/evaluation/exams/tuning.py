"""What `calibrate --footage` requires of thresholds: few alarms on composites of tuning footage.

Tuning footage is of people whom no examination counts. Not from the papers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...data.footage import read_footage
from ...data.people import ClipPart
from ...runtime.engine import EngineSet
from ...specs import SpotterSpec
from ..calibration import Scored, score_clip, spotted_at
from .alarm_counts import AlarmCounts
from .composites import SHARES, Excerpt, composite_recordings, count_composite, excerpts_of
from .mesh_annotation import annotate
from .recordings import Recording, Say, SpottingResult, silent

# The most that thresholds may give on composites of tuning footage: alarms a minute, and the share
# of blinks taken for an ME.
LIMITS = {"quiet": 1.0, "speech": 2.0, "blinks": 0.05}


@dataclass(frozen=True, eq=False)
class Composite:
    """One composite of tuning footage, scored for all thresholds.

    category: a key of SHARES. source: name of the excerpt, part: what the composite shows of it.
    recording and part have no pixels.
    """

    category: str
    source: str
    recording: Recording
    part: Excerpt
    scored: Scored


def score_composites(
    engines: EngineSet,
    clips: Sequence[ClipPart],
    seed: int,
    minutes: float,
    progress: Say = silent,
) -> list[Composite]:
    """Composites, `minutes` in all, of the clips."""
    excerpts: dict[str, list[Excerpt]] = {name: [] for name in SHARES}
    for path, use in clips:
        footage = read_footage(path, use.from_s, use.to_s, keep_frames=False)
        for name, found in excerpts_of(footage, annotate(footage)).items():
            excerpts[name] += found
    rng = np.random.default_rng(seed)
    composites = []
    no_truths = np.empty((0, 2), np.int64)
    for name, found in excerpts.items():
        share = minutes * SHARES[name]
        for excerpt, part, recording in composite_recordings(rng, found, share, name):
            scored = score_clip(engines, recording.crops, recording.times_ns, no_truths)
            empty = np.empty((0, *recording.crops.shape[1:]), np.uint8)  # a view keeps the pixels
            composites.append(
                Composite(
                    category=name,
                    source=excerpt.name,
                    recording=replace(recording, crops=empty),
                    part=replace(part, crops=empty),
                    scored=scored,
                )
            )
        progress(f"{name}: {len(found)} sources")
    return composites


def count_alarms(composites: Sequence[Composite], spec: SpotterSpec) -> dict[str, AlarmCounts]:
    """The alarms on the composites of each category at the thresholds of `spec`."""
    counts = {name: AlarmCounts() for name in SHARES}
    for one in composites:
        result = SpottingResult(one.recording, spotted_at(one.scored, spec), ())
        count_composite(counts[one.category], result, one.part, spec.grid_hz)
        counts[one.category].sources.add(one.source)
    return counts


def quiet_trials(
    composites: Sequence[Composite], trials: Sequence[SpotterSpec]
) -> list[SpotterSpec]:
    """The trials that keep LIMITS on the composites.

    A limit that no trial keeps becomes the lowest figure of any trial.
    """
    found = [_figures(count_alarms(composites, trial)) for trial in trials]
    limits = {}
    for name, limit in LIMITS.items():
        limits[name] = max(limit, min(figures[name] for figures in found))
    kept = []
    for trial, figures in zip(trials, found, strict=True):
        if all(figures[name] <= limit for name, limit in limits.items()):
            kept.append(trial)
    return kept


def _figures(counts: dict[str, AlarmCounts]) -> dict[str, float]:
    """What LIMITS limits, 0 where there are no composites."""
    figures = {}
    for name, one in counts.items():
        figures[name] = 60 * one.alarms / max(one.seconds, 1.0)
    blinks = counts["blinks"]
    figures["blinks"] = blinks.on_blinks / max(blinks.blinks, 1)
    return figures
