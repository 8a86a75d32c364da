"""Composites: aligned crops of one quiet stretch, bout of speech or blink, played to and fro as by a fresh camera.

At each end the last frame rests for longer than an ME takes: who turns round in the middle of a movement makes one that
comes and goes as fast as an ME does, out of footage that has none.
Real footage is short. Composites are no footage: they repeat, half of the time backwards, and what alarms once alarms
again, so that their Poisson intervals are far narrower than new footage would allow. Not from the papers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..clips import SECOND_NS
from ..data.footage import Footage, Rows
from .notes import Annotation, Flags, runs
from .takes import Take, Verdict
from .tally import Tally, middles, on_blinks

SHARES = {"quiet": 0.4, "speech": 0.3, "blinks": 0.3}  # of the composites' minutes
TAKE_S = 30.0  # of one composite
LEAST_S = {"quiet": 1.5, "speech": 1.0}  # of a stretch: to and fro in less is a movement as brief as an ME
PART_S = (1.5, 5.0)  # of a longer stretch, drawn anew for every composite
REST_S = 0.6  # at each end, longer than the longest ME; rests are no minutes of a composite
CONTEXT_S = 1.0  # before and after a blink
NOISE = (1.0, 3.0)  # sd in grey levels, of fresh sensor noise
GAIN = (0.0, 0.04)  # amplitude of the drift
GAIN_HZ = (0.05, 0.3)
JPEG_SHARE = 0.5  # of the composites
JPEG_QUALITY = (50, 90)


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


def sources_of(footage: Footage, notes: Annotation) -> dict[str, list[Source]]:
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


def composed(
    rng: np.random.Generator, sources: list[Source], minutes: float, name: str
) -> Iterator[tuple[Source, Source, Take, NDArray[np.int64]]]:
    """The sources in turn, what is played of each, the composite, and the order of its rows."""
    for k in range(rounds(minutes) if sources else 0):
        source = sources[k % len(sources)]
        played = source if name == "blinks" else _part(rng, source)
        take, order = compose_take(rng, played, name)
        yield source, played, take, order


def rounds(minutes: float) -> int:
    return math.ceil(minutes * 60 / TAKE_S)


def count_composite(
    tally: Tally, verdict: Verdict, played: Source, order: NDArray[np.int64], grid_hz: int
) -> None:  # fmt: skip
    footage_ns = played.first_ns + np.arange(len(played.crops)) * played.period_ns
    shown = {(played.clip, int(at)) for at in footage_ns}
    tally.played_s += len(shown - tally.played) * played.period_ns / SECOND_NS
    tally.played |= shown
    tally.moments |= {(played.clip, int(footage_ns[order[row]])) for row in middles(verdict, grid_hz)}
    tally.seconds += np.count_nonzero(np.diff(order)) * played.period_ns / SECOND_NS
    tally.alarms += len(verdict.found)
    blink = played.blink[order]
    tally.blinks += len(runs(blink, (0, len(blink))))
    tally.on_blinks += on_blinks(verdict, blink, grid_hz)


def _part(rng: np.random.Generator, source: Source) -> Source:
    """A random part of a long source."""
    count = min(len(source.crops), round(rng.uniform(*PART_S) * SECOND_NS / source.period_ns))
    return source.part(int(rng.integers(0, len(source.crops) - count + 1)), count)


def compose_take(rng: np.random.Generator, source: Source, name: str) -> tuple[Take, NDArray[np.int64]]:
    """TAKE_S of the source, rests apart, to and fro as a fresh camera would give it, and which row of it each frame shows, (N,)."""
    count = round(TAKE_S * SECOND_NS / source.period_ns)
    order = to_and_fro(len(source.crops), round(REST_S * SECOND_NS / source.period_ns), count)
    camera = _camera(rng, source.crops.shape[-1])
    times = np.arange(len(order), dtype=np.int64) * source.period_ns
    crops = np.empty((len(order), *source.crops.shape[1:]), np.uint8)
    for i, row in enumerate(order):
        crops[i] = camera(source.crops[row], float(times[i]) / SECOND_NS)
    return Take(f"composite:{name}:{source.name}", times, crops), order


def to_and_fro(length: int, rest: int, steps: int) -> NDArray[np.int64]:
    """Rows 0 .. length - 1 and back for `steps` rows, with `rest` repeats, which do not count, at either end."""
    forth = np.arange(length)
    cycle = np.concatenate([np.pad(forth, (0, rest), "edge"), np.pad(forth[-2:0:-1], (0, rest))])
    order = np.tile(cycle, 1 + steps // max(2 * length - 2, 1))
    return order[np.cumsum(np.diff(order, prepend=-1) != 0) <= steps]


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
