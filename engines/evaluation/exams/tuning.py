"""What `calibrate --footage` asks of thresholds: to be quiet on composites of footage that no examination uses.

Not from the papers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...data.footage import read_tuning
from ...runtime.engine import EngineSet
from ...specs import SpotterSpec
from ..calibration import Scored, score_clip, spotted_at
from .alarm_counts import Tally
from .composites import SHARES, Source, count_play, plays, sources_of
from .mesh_annotation import annotate
from .recordings import Recording, SpottingResult
from .semireal import Progress, silent

# What thresholds may give on composites of tuning footage: alarms a minute, and the share of blinks taken for an ME.
LIMITS = {"quiet": 1.0, "speech": 2.0, "blinks": 0.05}


@dataclass(frozen=True, eq=False)
class Composite:
    """One composite of tuning footage, scored: its thresholds are still open."""

    name: str
    source: str
    take: Recording  # without pixels, like `played`
    played: Source
    scored: Scored


def score_composites(
    engines: EngineSet,
    clips: Sequence[Path],
    seed: int,
    minutes: float,
    progress: Progress = silent,
) -> list[Composite]:
    """Composites, `minutes` in all, of what the examinations leave of the clips (`footage.read_tuning`)."""
    sources: dict[str, list[Source]] = {name: [] for name in SHARES}
    for path in clips:
        footage = read_tuning(path)
        for name, found in sources_of(footage, annotate(footage)).items():
            sources[name] += found
    rng, scored, nothing = np.random.default_rng(seed), [], np.empty((0, 2), np.int64)
    for name, found in sources.items():
        for source, played, take in plays(rng, found, minutes * SHARES[name], name):
            seen = score_clip(engines, take.crops, take.times_ns, nothing)
            none = np.empty((0, *take.crops.shape[1:]), np.uint8)  # a view would keep them all
            bare = replace(take, crops=none), replace(played, crops=none)
            scored.append(Composite(name, source.name, *bare, seen))
        progress(f"{name}: {len(found)} sources")
    return scored


def tallies(composites: Sequence[Composite], spec: SpotterSpec) -> dict[str, Tally]:
    """What the composites of each category give at the thresholds of `spec`."""
    counted = {name: Tally() for name in SHARES}
    for one in composites:
        verdict = SpottingResult(one.take, spotted_at(one.scored, spec), ())
        count_play(counted[one.name], verdict, one.played, spec.grid_hz)
        counted[one.name].sources.add(one.source)
    return counted


def quiet_trials(
    composites: Sequence[Composite], trials: Sequence[SpotterSpec]
) -> list[SpotterSpec]:
    """The trials that keep LIMITS on the composites; what no trial keeps is as low as any trial gets it."""
    found = [_figures(tallies(composites, trial)) for trial in trials]
    limits = {
        name: max(limit, min(figures[name] for figures in found)) for name, limit in LIMITS.items()
    }
    kept = zip(trials, found, strict=True)
    return [
        trial
        for trial, figures in kept
        if all(figures[name] <= limit for name, limit in limits.items())
    ]


def _figures(counted: dict[str, Tally]) -> dict[str, float]:
    """What LIMITS limits, 0 where nothing was played."""
    per_min = {name: 60 * tally.alarms / max(tally.seconds, 1.0) for name, tally in counted.items()}
    blinks = counted["blinks"]
    return per_min | {"blinks": blinks.on_blinks / max(blinks.blinks, 1)}
