"""False alarms on real video without known micro-expressions: in quiet, in speech, in blinks.

Footage is counted twice: as it is, and as composites (`engines/evaluation/exams/composites.py`), of
which also the different moments that alarmed are counted, and the seconds of footage in them. An
alarm may be a real brief movement that nobody annotated. Not from the papers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...data.footage import Footage, read_footage
from ...data.people import ClipPart
from ...runtime.engine import EngineSet
from .alarm_counts import AlarmCounts, middles, on_blinks
from .composites import SHARES, Excerpt, composite_recordings, count_composite, excerpts_of
from .mesh_annotation import Annotation, annotate, runs
from .recordings import Say, SpottingResult, examine, silent
from .semireal import cut, seconds

CATEGORIES = ("quiet", "speech", "blinks", "other")  # other: head or brows move; no composites


def examine_alarms(
    engines: EngineSet,
    clips: Sequence[ClipPart],
    seed: int,
    minutes: float,
    progress: Say = silent,
) -> dict[str, Any]:
    """False alarms by category: `real` footage, `composites`, and by clip.

    Figures of a category are those of `AlarmCounts.report`; `clips` has minutes and alarms by name.
    minutes: of composites in all; a category without any excerpt has none. An alarm counts as what
    its middle lies in: a blink, else speech, else quiet, else other; seconds are counted by the
    same flags. Raises DataError for a clip that cannot be read.
    """
    real = {name: AlarmCounts() for name in CATEGORIES}
    per_clip: dict[str, dict[str, float]] = {}
    excerpts: dict[str, list[Excerpt]] = {name: [] for name in SHARES}
    grid_hz = engines.spotter.grid_hz
    for path, part in clips:
        footage = read_footage(path, part.from_s, part.to_s, keep_frames=False)
        annotation = annotate(footage)
        alarms = 0
        for recording in cut(footage):
            result = examine(recording, engines)
            alarms += count_real(result, grid_hz, footage, annotation, real)
        _count_seconds(footage, annotation, real)
        per_clip[path.name] = {"minutes": round(footage.minutes, 3), "alarms": alarms}
        for name, found in excerpts_of(footage, annotation).items():
            excerpts[name] += found
        progress(f"{path.name}: {per_clip[path.name]}")
    rng = np.random.default_rng(seed)
    composites = {}
    for name, found in excerpts.items():
        share = minutes * SHARES[name]
        composites[name] = _composites(engines, rng, found, share, name, progress)
    return {
        "real": {name: counts.report() for name, counts in real.items()},
        "composites": {name: counts.report() for name, counts in composites.items()},
        "clips": per_clip,
    }


def count_real(
    result: SpottingResult,
    grid_hz: int,
    footage: Footage,
    annotation: Annotation,
    real: dict[str, AlarmCounts],
) -> int:
    """Count the alarms of one segment in their categories; returns how many there are."""
    times = result.recording.times_ns
    first = int(np.searchsorted(footage.at_ns, times[0]))
    rows = slice(first, first + len(times))
    blink = annotation.blink[rows]
    for row in middles(result, grid_hz):
        if blink[row]:
            category = "blinks"
        elif annotation.mouth[rows][row]:
            category = "speech"
        elif annotation.quiet[rows][row]:
            category = "quiet"
        else:
            category = "other"
        real[category].alarms += 1
    real["blinks"].blinks += len(runs(blink, (0, len(blink))))
    real["blinks"].on_blinks += on_blinks(result, blink, grid_hz)
    return len(result.found)


def _count_seconds(footage: Footage, annotation: Annotation, real: dict[str, AlarmCounts]) -> None:
    """Add how long the footage is in each category."""
    blink = annotation.blink
    speech = annotation.mouth & ~blink
    quiet = annotation.quiet
    other = ~(blink | speech | quiet)
    categories = {"quiet": quiet, "speech": speech, "blinks": blink, "other": other}
    for name, flags in categories.items():
        real[name].seconds += seconds(footage, flags)
        if flags.any():
            real[name].sources.add(footage.name)


def _composites(
    engines: EngineSet,
    rng: np.random.Generator,
    excerpts: list[Excerpt],
    minutes: float,
    name: str,
    progress: Say,
) -> AlarmCounts:
    """The counts on `minutes` of composites of one category."""
    counts = AlarmCounts()
    for excerpt, part, recording in composite_recordings(rng, excerpts, minutes, name):
        count_composite(counts, examine(recording, engines), part, engines.spotter.grid_hz)
        counts.sources.add(excerpt.name)
    progress(
        f"{name}: {counts.alarms} alarms in {counts.seconds:.0f} s of {len(counts.sources)} sources"
    )
    return counts
