"""False alarms on real video without known micro-expressions: in quiet, in speech, in blinks.

Real footage is short, so it is counted twice: as it is, and as composites, which play aligned crops of one quiet
stretch, one bout of speech or one blink to and fro under fresh noise, drifting gain and at times JPEG. Composites are
no footage: they repeat, half of the time backwards, and what alarms once alarms again, so that their Poisson intervals
are narrower than new footage would allow. An alarm may be a real brief movement that nobody annotated. Not from the
papers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..clips import SECOND_NS
from ..data.footage import Footage, Rows, read_clip
from ..runtime.engine import EngineSet
from ..targets import to_ticks
from .notes import Annotation, Flags, annotate, runs
from .semireal import Progress, cut, seconds, silent
from .takes import Take, Verdict, examine

SHARES = {"quiet": 0.4, "speech": 0.3, "blinks": 0.3}  # of the composites' minutes
TAKE_S = 30.0  # of one composite
LEAST_S = {"quiet": 1.5, "speech": 1.0}  # of a stretch: to and fro in less is a movement as brief as an ME
PART_S = (1.5, 5.0)  # of a longer stretch, drawn anew for every composite
CONTEXT_S = 1.0  # before and after a blink
NOISE = (1.0, 3.0)  # sd in grey levels, of fresh sensor noise
GAIN = (0.0, 0.04)  # amplitude of the drift
GAIN_HZ = (0.05, 0.3)
JPEG_SHARE = 0.5  # of the composites
JPEG_QUALITY = (50, 90)
CONFIDENCE = 0.95
BISECTIONS = 60

CATEGORIES = ("quiet", "speech", "blinks", "other")  # other: head or brows move; in real footage only
Spans = tuple[NDArray[np.float64], NDArray[np.float64]]  # starts, stops in ticks


@dataclass
class Tally:
    """What one category has seen so far; `blinks`, and `on_blinks`: alarms with more than half their length in one."""

    seconds: float = 0.0
    alarms: int = 0
    blinks: int = 0
    on_blinks: int = 0
    sources: set[str] = field(default_factory=set)

    def report(self) -> dict[str, Any]:
        """minutes, alarms, per_min with the exact interval (low, high) at CONFIDENCE, and what is known of blinks."""
        minutes = self.seconds / 60
        low, high = poisson_interval(self.alarms)
        rates = [round(x / minutes, 3) if minutes else None for x in (self.alarms, low, high)]
        found: dict[str, Any] = {"minutes": round(minutes, 3), "alarms": self.alarms, "sources": len(self.sources)}
        found |= dict(zip(("per_min", "low", "high"), rates, strict=True))
        if self.blinks:
            share = round(self.on_blinks / self.blinks, 4)
            found |= {"blinks": self.blinks, "on_blinks": self.on_blinks, "share": share}
        return found


@dataclass(frozen=True, eq=False)
class Source:
    """A stretch of aligned crops (N, 3, S, S) to play to and fro, one frame per `period_ns`; `blink` (N,) in it."""

    name: str
    crops: NDArray[np.uint8]
    blink: Flags
    period_ns: int


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

    minutes: of composites in all; a category without any source has none. Figures: see `Tally.report`. An alarm that
    overlaps a blink counts as blinks, one that overlaps speech as speech, one mostly in quiet as quiet, else as other.
    Raises DataError for a clip that cannot be read.
    """
    real = {name: Tally() for name in CATEGORIES}
    per_clip: dict[str, dict[str, float]] = {}
    sources: dict[str, list[Source]] = {name: [] for name in SHARES}
    for path in clips:
        footage = read_clip(path, keep_frames=False)
        notes = annotate(footage)
        grid_hz = engines.spotter.grid_hz
        alarms = sum(_count_real(examine(take, engines), grid_hz, footage, notes, real) for take in cut(footage))
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


def _count_real(verdict: Verdict, grid_hz: int, footage: Footage, notes: Annotation, real: dict[str, Tally]) -> int:
    """Sort the alarms of one stretch into the categories; how many there are."""
    take = verdict.take
    first = int(np.searchsorted(footage.at_ns, take.times_ns[0]))
    rows = slice(first, first + len(take.times_ns))
    blinks, mouth, quiet = (spans(f[rows], take.times_ns, grid_hz) for f in (notes.blink, notes.mouth, notes.quiet))
    for start, stop in zip(verdict.found.start, verdict.found.stop, strict=True):
        inside = [float(overlap(start, stop, where).sum()) for where in (blinks, mouth, quiet)]
        calm = "quiet" if _mostly(inside[2], start, stop) else "other"
        real["blinks" if inside[0] else "speech" if inside[1] else calm].alarms += 1
    real["blinks"].blinks += len(blinks[0])
    real["blinks"].on_blinks += _on_blinks(verdict, blinks)
    return len(verdict.found)


def _count_seconds(footage: Footage, notes: Annotation, real: dict[str, Tally]) -> None:
    speech, quiet = notes.mouth & ~notes.blink, notes.quiet
    other = ~(notes.blink | speech | quiet)
    for name, flags in (("quiet", quiet), ("speech", speech), ("blinks", notes.blink), ("other", other)):
        real[name].seconds += seconds(footage, flags)
        real[name].sources |= {footage.name} if flags.any() else set()


def spans(flags: Flags, times_ns: NDArray[np.int64], grid_hz: int) -> Spans:
    """Runs of set flags as [starts, stops) in ticks from the first time."""
    ends = np.array(runs(flags, (0, len(flags))), int).reshape(-1, 2)
    return to_ticks(times_ns[ends[:, 0]], times_ns[ends[:, 1] - 1], int(times_ns[0]), grid_hz)


def overlap(start: float, stop: float, where: Spans) -> NDArray[np.float64]:
    """(K,) length that [start, stop) shares with each of the spans, in ticks."""
    return np.asarray(np.maximum(0.0, np.minimum(stop, where[1]) - np.maximum(start, where[0])))


def _mostly(length: float, start: float, stop: float) -> bool:
    return length > (stop - start) / 2


def _on_blinks(verdict: Verdict, blinks: Spans) -> int:
    """Alarms with more than half of their length in one blink."""
    found = zip(verdict.found.start, verdict.found.stop, strict=True)
    return sum(1 for a, b in found if _mostly(float(overlap(a, b, blinks).max(initial=0.0)), a, b))


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
    return Source(f"{footage.name}:{first}", footage.crops[first:stop], notes.blink[first:stop], period)


def _composites(
    engines: EngineSet, rng: np.random.Generator, sources: list[Source], minutes: float, name: str, progress: Progress
) -> Tally:
    """Composites of one category, about `minutes` of them, the sources in turn."""
    tally = Tally()
    for k in range(math.ceil(minutes * 60 / TAKE_S) if sources else 0):
        source = sources[k % len(sources)]
        take, blink = compose_take(rng, source if name == "blinks" else _part(rng, source), name)
        verdict = examine(take, engines)
        tally.seconds += take.minutes * 60
        tally.alarms += len(verdict.found)
        tally.sources.add(source.name)
        blinks = spans(blink, take.times_ns, engines.spotter.grid_hz)
        tally.blinks += len(blinks[0])
        tally.on_blinks += _on_blinks(verdict, blinks)
        progress(f"{name} {k}: {len(verdict.found)} alarms in {take.minutes * 60:.0f} s of {source.name}")
    return tally


def _part(rng: np.random.Generator, source: Source) -> Source:
    """A random part of a long source."""
    count = min(len(source.crops), round(rng.uniform(*PART_S) * SECOND_NS / source.period_ns))
    first = int(rng.integers(0, len(source.crops) - count + 1))
    rows = slice(first, first + count)
    return Source(source.name, source.crops[rows], source.blink[rows], source.period_ns)


def compose_take(rng: np.random.Generator, source: Source, name: str) -> tuple[Take, Flags]:
    """TAKE_S of the source to and fro as a fresh camera would give it, and where its blinks are, (N,)."""
    count = round(TAKE_S * SECOND_NS / source.period_ns)
    last = len(source.crops) - 1
    order = last - np.abs(last - np.arange(count) % max(2 * last, 1))
    camera = _camera(rng, source.crops.shape[-1])
    times = np.arange(count, dtype=np.int64) * source.period_ns
    crops = np.empty((count, *source.crops.shape[1:]), np.uint8)
    for i, row in enumerate(order):
        crops[i] = camera(source.crops[row], float(times[i]) / SECOND_NS)
    return Take(f"composite:{name}:{source.name}", times, crops), source.blink[order]


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
