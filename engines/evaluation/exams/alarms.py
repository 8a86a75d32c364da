"""False alarms on real video without known micro-expressions: in quiet, in speech, in blinks.

Footage is counted twice: as it is, and as composites (`engines/evaluation/exams/composites.py`), of which also the different
moments that alarmed are counted, and the seconds that were played. An alarm may be a real brief movement that nobody
annotated. Not from the papers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...data.footage import Footage, read_clip
from ...runtime.engine import EngineSet
from .alarm_counts import Tally, middles, on_blinks
from .composites import SHARES, Source, count_play, plays, sources_of
from .mesh_annotation import Annotation, annotate, runs
from .recordings import SpottingResult, examine
from .semireal import Progress, cut, seconds, silent

CATEGORIES = (
    "quiet",
    "speech",
    "blinks",
    "other",
)  # other: head or brows move; in real footage only


def examine_alarms(
    engines: EngineSet,
    clips: Sequence[Path],
    seed: int,
    minutes: float,
    progress: Progress = silent,
) -> dict[str, Any]:
    """{"real": {category: figures}, "composites": {category: figures}, "clips": {name: {minutes, alarms}}}.

    minutes: of composites in all; a category without any source has none. Figures: see `Tally.report`. An alarm counts
    as what its middle lies in: a blink, else speech, else quiet, else other; seconds are counted by the same flags.
    Raises DataError for a clip that cannot be read.
    """
    real = {name: Tally() for name in CATEGORIES}
    per_clip: dict[str, dict[str, float]] = {}
    sources: dict[str, list[Source]] = {name: [] for name in SHARES}
    for path in clips:
        footage = read_clip(path, keep_frames=False)
        notes = annotate(footage)
        grid_hz = engines.spotter.grid_hz
        alarms = sum(
            count_real(examine(take, engines), grid_hz, footage, notes, real)
            for take in cut(footage)
        )
        _count_seconds(footage, notes, real)
        per_clip[path.name] = {"minutes": round(footage.minutes, 3), "alarms": alarms}
        for name, found in sources_of(footage, notes).items():
            sources[name] += found
        progress(f"{path.name}: {per_clip[path.name]}")
    rng = np.random.default_rng(seed)
    composites = {
        n: _composites(engines, rng, found, minutes * SHARES[n], n, progress)
        for n, found in sources.items()
    }
    return {
        "real": {name: tally.report() for name, tally in real.items()},
        "composites": {name: tally.report() for name, tally in composites.items()},
        "clips": per_clip,
    }


def count_real(
    verdict: SpottingResult,
    grid_hz: int,
    footage: Footage,
    notes: Annotation,
    real: dict[str, Tally],
) -> int:
    """Sort the alarms of one segment into the categories; how many there are."""
    take = verdict.take
    first = int(np.searchsorted(footage.at_ns, take.times_ns[0]))
    rows = slice(first, first + len(take.times_ns))
    blink, mouth, quiet = (flags[rows] for flags in (notes.blink, notes.mouth, notes.quiet))
    for row in middles(verdict, grid_hz):
        calm = "quiet" if quiet[row] else "other"
        real["blinks" if blink[row] else "speech" if mouth[row] else calm].alarms += 1
    real["blinks"].blinks += len(runs(blink, (0, len(blink))))
    real["blinks"].on_blinks += on_blinks(verdict, blink, grid_hz)
    return len(verdict.found)


def _count_seconds(footage: Footage, notes: Annotation, real: dict[str, Tally]) -> None:
    speech, quiet = notes.mouth & ~notes.blink, notes.quiet
    other = ~(notes.blink | speech | quiet)
    for name, flags in (
        ("quiet", quiet),
        ("speech", speech),
        ("blinks", notes.blink),
        ("other", other),
    ):
        real[name].seconds += seconds(footage, flags)
        real[name].sources |= {footage.name} if flags.any() else set()


def _composites(
    engines: EngineSet,
    rng: np.random.Generator,
    sources: list[Source],
    minutes: float,
    name: str,
    progress: Progress,
) -> Tally:
    """Composites of one category, `minutes` of them."""
    tally = Tally()
    for source, played, take in plays(rng, sources, minutes, name):
        count_play(tally, examine(take, engines), played, engines.spotter.grid_hz)
        tally.sources.add(source.name)
    progress(
        f"{name}: {tally.alarms} alarms in {tally.seconds:.0f} s of {len(tally.sources)} sources"
    )
    return tally
