"""False alarms on real video without known micro-expressions: in quiet, in speech, in blinks.

Footage is counted twice: as it is, by person, and as composites (`composites`), of which also the
different moments that alarmed are counted, and the seconds of footage in them. People who were seen
while rules were set are told apart and count nowhere else. An alarm may be a real brief movement
that nobody annotated: `--stills` shows each. Not from the papers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ....clips import SECOND_NS
from ....data.footage import Footage, read_footage
from ....data.people import ClipPart
from ....runtime.engine import EngineSet
from ..mesh_annotation import Annotation, annotate, runs
from ..recordings import Say, SpottingResult, examine, silent
from ..semireal.whole_clips import cut, seconds
from .composites import SHARES, Excerpt, composite_recordings, count_composite, excerpts_of
from .counts import AlarmCounts, middles, on_blinks
from .stills import write_strip

CATEGORIES = ("quiet", "speech", "blinks", "other")  # other: head or brows move; no composites


def no_counts() -> dict[str, AlarmCounts]:
    """Counts of every category, at nothing."""
    return {name: AlarmCounts() for name in CATEGORIES}


def no_excerpts() -> dict[str, list[Excerpt]]:
    """Excerpts of every category of composites, none."""
    return {name: [] for name in SHARES}


@dataclass(eq=False)
class Group:
    """People who are reported together: their counts by category and by person, and excerpts."""

    real: dict[str, AlarmCounts] = field(default_factory=no_counts)
    persons: dict[str, dict[str, Any]] = field(default_factory=dict)
    excerpts: dict[str, list[Excerpt]] = field(default_factory=no_excerpts)

    def report(self) -> dict[str, Any]:
        """`real` by category, `all` together, and `persons`."""
        whole = AlarmCounts()
        for counts in self.real.values():
            whole.seconds += counts.seconds
            whole.alarms += counts.alarms
            whole.blinks += counts.blinks
            whole.on_blinks += counts.on_blinks
            whole.sources |= counts.sources
        return {
            "all": whole.report(),
            "real": {name: counts.report() for name, counts in self.real.items()},
            "persons": self.persons,
        }


def examine_alarms(
    engines: EngineSet,
    clips: Sequence[ClipPart],
    seed: int,
    minutes: float,
    *,
    stills: Path | None = None,
    progress: Say = silent,
) -> dict[str, Any]:
    """False alarms of the people who count: `all`, `real` by category, `persons`, `composites`.

    Figures are those of `AlarmCounts.report`; a person's also have `listed`, each alarm with clip,
    times, score and category. `seen_before` has the same of the others. minutes: of composites in
    all; a category without any excerpt has none. An alarm counts as what its middle lies in: a
    blink, else speech, else quiet, else other; seconds are counted by the same flags. stills: a
    folder for a strip of pictures of each alarm. Raises DataError for a clip that cannot be read.
    """
    groups = {False: Group(), True: Group()}
    persons: dict[tuple[bool, str], AlarmCounts] = {}
    grid_hz = engines.spotter.grid_hz
    for path, part in clips:
        group = groups[part.seen_before]
        footage = read_footage(path, part.from_s, part.to_s, keep_frames=False)
        annotation = annotate(footage)
        counts = no_counts()
        listed = []
        for recording in cut(footage):
            result = examine(recording, engines)
            categories = count_real(result, grid_hz, footage, annotation, counts)
            listed += _listed(result, categories, path.name, grid_hz, stills)
        _count_seconds(footage, annotation, counts)
        own = persons.setdefault((part.seen_before, part.person), AlarmCounts())
        before = group.persons.get(part.person, {}).get("listed", [])
        for name, one in counts.items():
            _add(group.real[name], one)
            _add(own, one)
        group.persons[part.person] = own.report() | {"listed": before + listed}
        progress(f"{path.name}: {len(listed)} alarms in {footage.minutes:.2f} minutes")
        for name, found in excerpts_of(footage, annotation).items():
            group.excerpts[name] += found
    new, seen = groups[False], groups[True]
    report = new.report() | {"composites": _composites(engines, seed, new, minutes, progress)}
    if seen.persons:
        repeated = {"composites": _composites(engines, seed, seen, minutes, progress)}
        report["seen_before"] = seen.report() | repeated
    return report


def _add(counts: AlarmCounts, more: AlarmCounts) -> None:
    counts.seconds += more.seconds
    counts.alarms += more.alarms
    counts.blinks += more.blinks
    counts.on_blinks += more.on_blinks
    counts.sources |= more.sources


def _listed(
    result: SpottingResult,
    categories: Sequence[str],
    clip: str,
    grid_hz: int,
    stills: Path | None,
) -> list[dict[str, Any]]:
    """Every alarm of a segment: clip, from_s and to_s in the clip, score, category, its strip."""
    origin = int(result.recording.times_ns[0])
    found = []
    for i, category in enumerate(categories):
        start, stop = float(result.found.start[i]), float(result.found.stop[i])
        from_ns = origin + round(start * SECOND_NS / grid_hz)
        to_ns = origin + round((stop - 1) * SECOND_NS / grid_hz)
        alarm = {
            "clip": clip,
            "from_s": round(from_ns / SECOND_NS, 2),
            "to_s": round(to_ns / SECOND_NS, 2),
            "score": round(float(result.found.score[i]), 3),
            "category": category,
        }
        if stills is not None:
            alarm["still"] = write_strip(stills, result.recording, from_ns, to_ns)
        found.append(alarm)
    return found


def count_real(
    result: SpottingResult,
    grid_hz: int,
    footage: Footage,
    annotation: Annotation,
    real: dict[str, AlarmCounts],
) -> list[str]:
    """Count the alarms of one segment in their categories; the category of each."""
    times = result.recording.times_ns
    first = int(np.searchsorted(footage.at_ns, times[0]))
    rows = slice(first, first + len(times))
    blink = annotation.blink[rows]
    categories = []
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
        categories.append(category)
    real["blinks"].blinks += len(runs(blink, (0, len(blink))))
    real["blinks"].on_blinks += on_blinks(result, blink, grid_hz)
    return categories


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
    engines: EngineSet, seed: int, group: Group, minutes: float, progress: Say
) -> dict[str, Any]:
    """The figures on `minutes` of composites of a group, by category."""
    rng = np.random.default_rng(seed)
    found = {}
    for name, excerpts in group.excerpts.items():
        counts = AlarmCounts()
        composed = composite_recordings(rng, excerpts, minutes * SHARES[name], name)
        for excerpt, part, recording in composed:
            count_composite(counts, examine(recording, engines), part, engines.spotter.grid_hz)
            counts.sources.add(excerpt.name)
        progress(
            f"{name}: {counts.alarms} alarms in {counts.seconds:.0f} s of "
            f"{len(counts.sources)} sources"
        )
        found[name] = counts.report()
    return found
