"""False alarms on real video without known micro-expressions: in quiet, in speech, in blinks.

Real footage is short, so it is counted twice: as it is, and as composites, which play aligned crops of one quiet
stretch, one bout of speech or one blink to and fro under fresh noise, drifting gain and at times JPEG. Composites are
no footage: they repeat, half of the time backwards, and what alarms once alarms again, so that their Poisson intervals
are far narrower than new footage would allow. So they also count the different moments of footage that alarmed, and
the seconds of it that were played. An alarm may be a real brief movement that nobody annotated. Not from the papers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..calibrate import Scored, score_clip, spotted_at
from ..clips import SECOND_NS, nearest_frames
from ..data.footage import Footage, Rows, read_clip, read_tuning
from ..runtime.engine import EngineSet
from ..specs import SpotterSpec
from .notes import Annotation, Flags, annotate, runs
from .semireal import Progress, cut, seconds, silent
from .takes import Take, Verdict, examine, without_pixels

SHARES = {"quiet": 0.4, "speech": 0.3, "blinks": 0.3}  # of the composites' minutes
TAKE_S = 30.0  # of one composite
LEAST_S = {"quiet": 1.5, "speech": 1.0}  # of a stretch: to and fro in less is a movement as brief as an ME
PART_S = (1.5, 5.0)  # of a longer stretch, drawn anew for every composite
CONTEXT_S = 1.0  # before and after a blink
BLINK_REACH_S = 0.1  # around a blink, in which the middle of an alarm counts as on it
SAME_MOMENT_S = 0.5  # of footage: alarms nearer to each other are of one moment
NOISE = (1.0, 3.0)  # sd in grey levels, of fresh sensor noise
GAIN = (0.0, 0.04)  # amplitude of the drift
GAIN_HZ = (0.05, 0.3)
JPEG_SHARE = 0.5  # of the composites
JPEG_QUALITY = (50, 90)
CONFIDENCE = 0.95
BISECTIONS = 60

# What thresholds may give on composites of tuning footage: alarms a minute, and the share of blinks taken for an ME.
LIMITS = {"quiet": 1.0, "speech": 2.0, "blinks": 0.05}

CATEGORIES = ("quiet", "speech", "blinks", "other")  # other: head or brows move; in real footage only


@dataclass
class Tally:
    """What one category has seen so far; `blinks`, and `on_blinks`: alarms whose middle lies in one.

    `moments` and `played` are footage times (clip, ns): of the alarms, and of the frames that composites showed.
    """

    seconds: float = 0.0
    alarms: int = 0
    blinks: int = 0
    on_blinks: int = 0
    sources: set[str] = field(default_factory=set)
    moments: set[tuple[str, int]] = field(default_factory=set)
    played: set[tuple[str, int]] = field(default_factory=set)
    played_s: float = 0.0

    def report(self) -> dict[str, Any]:
        """minutes, alarms, per_min with the exact interval (low, high) at CONFIDENCE, and what is known of blinks.

        Of composites also `moments`, the different moments of footage that alarmed, and `footage_s`, the seconds of it.
        """
        minutes = self.seconds / 60
        low, high = poisson_interval(self.alarms)
        rates = [round(x / minutes, 3) if minutes else None for x in (self.alarms, low, high)]
        found: dict[str, Any] = {"minutes": round(minutes, 3), "alarms": self.alarms, "sources": len(self.sources)}
        found |= dict(zip(("per_min", "low", "high"), rates, strict=True))
        if self.played:
            found |= {"moments": len(_distinct(self.moments)), "footage_s": round(self.played_s, 1)}
        if self.blinks:
            share = round(self.on_blinks / self.blinks, 4)
            found |= {"blinks": self.blinks, "on_blinks": self.on_blinks, "share": share}
        return found


def _distinct(moments: set[tuple[str, int]]) -> list[tuple[str, int]]:
    """The first of every run of moments of one clip that lie nearer than SAME_MOMENT_S."""
    ordered = sorted(moments)
    return [
        (clip, at) for (before, last), (clip, at) in pairwise([("", 0), *ordered])
        if clip != before or at - last > SAME_MOMENT_S * SECOND_NS
    ]  # fmt: skip


@dataclass(frozen=True, eq=False)
class Source:
    """A stretch of aligned crops (N, 3, S, S) to play to and fro, one frame per `period_ns`; `blink` (N,) in it.

    clip, first_ns: where in the footage it begins.
    """

    clip: str
    first_ns: int
    crops: NDArray[np.uint8]
    blink: Flags
    period_ns: int

    @property
    def name(self) -> str:
        return f"{self.clip}:{self.first_ns / SECOND_NS:.1f}s"

    def part(self, first: int, count: int) -> Source:
        """`count` frames from `first` on."""
        rows = slice(first, first + count)
        at = self.first_ns + first * self.period_ns
        return Source(self.clip, at, self.crops[rows], self.blink[rows], self.period_ns)


def poisson_interval(count: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Exact two-sided interval of the mean of a Poisson variable that was seen once, as `count` (Garwood)."""
    tail = (1 - confidence) / 2
    low = 0.0 if count == 0 else _solve(count - 1, 1 - tail)
    return low, _solve(count, tail)


def _solve(count: int, probability: float) -> float:
    """The mean at which P(X <= count) is `probability`, by bisection: it falls as the mean grows."""
    low, high = 0.0, 20.0 + 3.0 * count
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        terms = (math.exp(i * math.log(middle) - middle - math.lgamma(i + 1)) for i in range(count + 1))
        low, high = (middle, high) if sum(terms) > probability else (low, middle)
    return (low + high) / 2


def examine_alarms(
    engines: EngineSet, clips: Sequence[Path], seed: int, minutes: float, progress: Progress = silent
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
        alarms = sum(count_real(examine(take, engines), grid_hz, footage, notes, real) for take in cut(footage))
        _count_seconds(footage, notes, real)
        per_clip[path.name] = {"minutes": round(footage.minutes, 3), "alarms": alarms}
        for name, found in _sources(footage, notes).items():
            sources[name] += found
        progress(f"{path.name}: {per_clip[path.name]}")
    rng = np.random.default_rng(seed)
    composites = {n: _composites(engines, rng, found, minutes * SHARES[n], n, progress) for n, found in sources.items()}
    return {
        "real": {name: tally.report() for name, tally in real.items()},
        "composites": {name: tally.report() for name, tally in composites.items()},
        "clips": per_clip,
    }


def count_real(verdict: Verdict, grid_hz: int, footage: Footage, notes: Annotation, real: dict[str, Tally]) -> int:
    """Sort the alarms of one stretch into the categories; how many there are."""
    take = verdict.take
    first = int(np.searchsorted(footage.at_ns, take.times_ns[0]))
    rows = slice(first, first + len(take.times_ns))
    blink, mouth, quiet = (flags[rows] for flags in (notes.blink, notes.mouth, notes.quiet))
    for row in middles(verdict, grid_hz):
        calm = "quiet" if quiet[row] else "other"
        real["blinks" if blink[row] else "speech" if mouth[row] else calm].alarms += 1
    real["blinks"].blinks += len(runs(blink, (0, len(blink))))
    real["blinks"].on_blinks += _on_blinks(verdict, blink, grid_hz)
    return len(verdict.found)


def middles(verdict: Verdict, grid_hz: int) -> NDArray[np.int64]:
    """The frame of the take nearest to the middle of each found interval."""
    ticks = (verdict.found.start + verdict.found.stop - 1) / 2
    return nearest_frames(verdict.take.times_ns, verdict.take.times_ns[0] + ticks * SECOND_NS / grid_hz)


def _count_seconds(footage: Footage, notes: Annotation, real: dict[str, Tally]) -> None:
    speech, quiet = notes.mouth & ~notes.blink, notes.quiet
    other = ~(notes.blink | speech | quiet)
    for name, flags in (("quiet", quiet), ("speech", speech), ("blinks", notes.blink), ("other", other)):
        real[name].seconds += seconds(footage, flags)
        real[name].sources |= {footage.name} if flags.any() else set()


def _on_blinks(verdict: Verdict, blink: Flags, grid_hz: int) -> int:
    """Alarms whose middle lies in a blink or within BLINK_REACH_S of one."""
    at = verdict.take.times_ns
    away = np.abs(at[middles(verdict, grid_hz)][:, None] - at[blink][None, :])
    return int((away.min(1, initial=SECOND_NS) <= BLINK_REACH_S * SECOND_NS).sum())


def _sources(footage: Footage, notes: Annotation) -> dict[str, list[Source]]:
    """Stretches to play: quiet, speech without blinks, and blinks outside speech with CONTEXT_S around them."""
    found: dict[str, list[Source]] = {name: [] for name in SHARES}
    for rows in footage.stretches():
        for name, flags in (("quiet", notes.quiet), ("speech", notes.mouth & ~notes.blink)):
            made = [_source(footage, notes, part) for part in runs(flags, rows)]
            found[name] += [s for s in made if len(s.crops) * s.period_ns >= LEAST_S[name] * SECOND_NS]
        found["blinks"] += [_source(footage, notes, part) for part in _around_blinks(footage, notes, rows)]
    return found


def _around_blinks(footage: Footage, notes: Annotation, rows: Rows) -> Iterator[Rows]:
    """Each blink with its context, as far as that lies in the stretch and holds no speech."""
    at, reach = footage.at_ns, CONTEXT_S * SECOND_NS
    for free in runs(~notes.mouth, rows):
        for first, stop in runs(notes.blink, free):
            near = np.flatnonzero((at >= at[first] - reach) & (at <= at[stop - 1] + reach))
            low, high = max(int(near[0]), free[0]), min(int(near[-1]) + 1, free[1])
            if low < first and stop < high:
                yield low, high


def _source(footage: Footage, notes: Annotation, rows: Rows) -> Source:
    first, stop = rows
    at = footage.at_ns
    period = int(np.median(np.diff(at[first:stop]))) if stop - first > 1 else 0
    return Source(footage.name, int(at[first]), footage.crops[first:stop], notes.blink[first:stop], period)


def _composites(
    engines: EngineSet, rng: np.random.Generator, sources: list[Source], minutes: float, name: str, progress: Progress
) -> Tally:
    """Composites of one category, about `minutes` of them."""
    tally = Tally(sources={source.name for source in sources[: _rounds(minutes)]})
    for _, played, take, order in _composed(rng, sources, minutes, name):
        verdict = examine(take, engines)
        _count_composite(tally, verdict, played, order, engines.spotter.grid_hz)
        progress(f"{name}: {len(verdict.found)} alarms in {take.minutes * 60:.0f} s of {played.name}")
    return tally


def _composed(
    rng: np.random.Generator, sources: list[Source], minutes: float, name: str
) -> Iterator[tuple[Source, Source, Take, NDArray[np.int64]]]:
    """The sources in turn, what is played of each, the composite, and the order of its rows."""
    for k in range(_rounds(minutes) if sources else 0):
        source = sources[k % len(sources)]
        played = source if name == "blinks" else _part(rng, source)
        take, order = compose_take(rng, played, name)
        yield source, played, take, order


def _rounds(minutes: float) -> int:
    return math.ceil(minutes * 60 / TAKE_S)


@dataclass(frozen=True, eq=False)
class Composite:
    """One composite of tuning footage, scored: its thresholds are still open."""

    name: str
    source: str
    take: Take  # without pixels
    played: Source
    order: NDArray[np.int64]
    scored: Scored


def score_composites(
    engines: EngineSet, clips: Sequence[Path], seed: int, minutes: float, progress: Progress = silent
) -> list[Composite]:
    """Composites, `minutes` in all, of what the examinations leave of the clips (`footage.read_tuning`)."""
    sources: dict[str, list[Source]] = {name: [] for name in SHARES}
    for path in clips:
        footage = read_tuning(path)
        for name, found in _sources(footage, annotate(footage)).items():
            sources[name] += found
    rng, scored, nothing = np.random.default_rng(seed), [], np.empty((0, 2), np.int64)
    for name, found in sources.items():
        for source, played, take, order in _composed(rng, found, minutes * SHARES[name], name):
            seen = score_clip(engines, take.crops, take.times_ns, nothing)
            empty = without_pixels(Verdict(take, spotted_at(seen, engines.spotter), ())).take
            scored.append(Composite(name, source.name, empty, played, order, seen))
        progress(f"{name}: {len(found)} sources")
    return scored


def tallies(composites: Sequence[Composite], spec: SpotterSpec) -> dict[str, Tally]:
    """What the composites of each category give at the thresholds of `spec`."""
    counted = {name: Tally() for name in SHARES}
    for one in composites:
        verdict = Verdict(one.take, spotted_at(one.scored, spec), ())
        _count_composite(counted[one.name], verdict, one.played, one.order, spec.grid_hz)
        counted[one.name].sources.add(one.source)
    return counted


def quiet_trials(composites: Sequence[Composite], trials: Sequence[SpotterSpec]) -> list[SpotterSpec]:
    """The trials that keep LIMITS on the composites; what no trial keeps is as low as any trial gets it."""
    found = [_figures(tallies(composites, trial)) for trial in trials]
    limits = {name: max(limit, min(figures[name] for figures in found)) for name, limit in LIMITS.items()}
    kept = zip(trials, found, strict=True)
    return [trial for trial, figures in kept if all(figures[name] <= limit for name, limit in limits.items())]


def _figures(counted: dict[str, Tally]) -> dict[str, float]:
    """What LIMITS limits, 0 where nothing was played."""
    per_min = {name: 60 * tally.alarms / max(tally.seconds, 1.0) for name, tally in counted.items()}
    blinks = counted["blinks"]
    return per_min | {"blinks": blinks.on_blinks / max(blinks.blinks, 1)}


def _count_composite(
    tally: Tally, verdict: Verdict, played: Source, order: NDArray[np.int64], grid_hz: int
) -> None:  # fmt: skip
    footage_ns = played.first_ns + np.arange(len(played.crops)) * played.period_ns
    shown = {(played.clip, int(at)) for at in footage_ns}
    tally.played_s += len(shown - tally.played) * played.period_ns / SECOND_NS
    tally.played |= shown
    tally.moments |= {(played.clip, int(footage_ns[order[row]])) for row in middles(verdict, grid_hz)}
    tally.seconds += verdict.take.minutes * 60
    tally.alarms += len(verdict.found)
    blink = played.blink[order]
    tally.blinks += len(runs(blink, (0, len(blink))))
    tally.on_blinks += _on_blinks(verdict, blink, grid_hz)


def _part(rng: np.random.Generator, source: Source) -> Source:
    """A random part of a long source."""
    count = min(len(source.crops), round(rng.uniform(*PART_S) * SECOND_NS / source.period_ns))
    return source.part(int(rng.integers(0, len(source.crops) - count + 1)), count)


def compose_take(rng: np.random.Generator, source: Source, name: str) -> tuple[Take, NDArray[np.int64]]:
    """TAKE_S of the source to and fro as a fresh camera would give it, and which row of it each frame shows, (N,)."""
    count = round(TAKE_S * SECOND_NS / source.period_ns)
    last = len(source.crops) - 1
    order = last - np.abs(last - np.arange(count) % max(2 * last, 1))
    camera = _camera(rng, source.crops.shape[-1])
    times = np.arange(count, dtype=np.int64) * source.period_ns
    crops = np.empty((count, *source.crops.shape[1:]), np.uint8)
    for i, row in enumerate(order):
        crops[i] = camera(source.crops[row], float(times[i]) / SECOND_NS)
    return Take(f"composite:{name}:{source.name}", times, crops), order


def _camera(rng: np.random.Generator, side: int) -> Callable[[NDArray[np.uint8], float], NDArray[np.uint8]]:
    """Noise, gain and codec of one composite, for crops (3, S, S) at times in s."""
    noise = rng.normal(0, rng.uniform(*NOISE), (3, 4 * side, 4 * side)).astype(np.float32)
    depth, hz, phase = rng.uniform(*GAIN), rng.uniform(*GAIN_HZ), rng.uniform(0, 2 * math.pi)
    quality = int(rng.integers(*JPEG_QUALITY)) if rng.random() < JPEG_SHARE else 0

    def seen(crop: NDArray[np.uint8], t: float) -> NDArray[np.uint8]:
        row, column = rng.integers(0, 3 * side, 2)
        gain = np.float32(1 + depth * math.sin(2 * math.pi * hz * t + phase))
        lit: NDArray[Any] = crop * gain + noise[:, row : row + side, column : column + side]
        image = np.asarray(np.clip(np.rint(lit), 0, 255), np.uint8)
        if not quality:
            return image
        pixels = np.ascontiguousarray(image[::-1].transpose(1, 2, 0))
        _, packed = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
        decoded = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
        return np.ascontiguousarray(decoded[:, :, ::-1].transpose(2, 0, 1))

    return seen
