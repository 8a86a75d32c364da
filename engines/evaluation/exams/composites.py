"""Composites: one quiet segment, bout of speech or blink of real footage, played again and again as by fresh cameras.

Real footage is short. Each play runs forward, in what really came before and after it, with noise, gain and at times
JPEG of its own. What comes around quiet and speech is not judged; a blink is judged with its surroundings. Composites
are no footage: what alarms once alarms again, so that their Poisson intervals are far narrower than new footage would
allow. Not from the papers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...clips import SECOND_NS
from ...data.footage import Footage, Rows
from .alarm_counts import Tally, middles, on_blinks
from .mesh_annotation import Annotation, Flags, runs
from .recordings import Recording, SpottingResult

SHARES = {"quiet": 0.4, "speech": 0.3, "blinks": 0.3}  # of the composites' minutes
LEAST_S = {"quiet": 1.5, "speech": 1.0}  # of a segment
PART_S = (1.5, 5.0)  # of a longer segment, drawn anew for every play
CONTEXT_S = 1.0  # before and after what is played, where the footage has it: longer than the encoder's longest lag
NOISE = (1.0, 3.0)  # sd in grey levels, of fresh sensor noise
GAIN = (0.0, 0.04)  # amplitude of the drift
GAIN_HZ = (0.05, 0.3)
JPEG_SHARE = 0.5  # of the plays
JPEG_QUALITY = (50, 90)


@dataclass(frozen=True, eq=False)
class Source:
    """Crops (N, 3, S, S), one per `period_ns`, with `blink` (N,); rows `counted` are judged, the rest is context.

    clip, first_ns: where in the footage the first row lies.
    """

    clip: str
    first_ns: int
    crops: NDArray[np.uint8]
    blink: Flags
    period_ns: int
    counted: Rows

    @property
    def name(self) -> str:
        return f"{self.clip}:{self.at_ns[0] / SECOND_NS:.1f}s"

    @property
    def at_ns(self) -> NDArray[np.int64]:
        """Footage times of the counted rows."""
        return self.first_ns + np.arange(*self.counted) * self.period_ns

    @property
    def seconds(self) -> float:
        """Of the counted rows."""
        return (self.counted[1] - self.counted[0]) * self.period_ns / SECOND_NS

    def part(self, first: int, count: int) -> Source:
        """`count` counted rows from the `first` on, in their context."""
        begin = self.counted[0] + first
        low, high = _widened((begin, begin + count), (0, len(self.crops)), self.period_ns)
        at = self.first_ns + low * self.period_ns
        counted = (begin - low, begin - low + count)
        return Source(
            self.clip, at, self.crops[low:high], self.blink[low:high], self.period_ns, counted
        )


def sources_of(footage: Footage, notes: Annotation) -> dict[str, list[Source]]:
    """What there is to play: quiet, speech without blinks, and blinks outside speech with CONTEXT_S around them."""
    found: dict[str, list[Source]] = {name: [] for name in SHARES}
    for rows in footage.segments():
        period = int(np.median(np.diff(footage.at_ns[slice(*rows)])))
        for name, flags in (("quiet", notes.quiet), ("speech", notes.mouth & ~notes.blink)):
            made = [
                _source(footage, notes, _widened(part, rows, period), part)
                for part in runs(flags, rows)
            ]
            found[name] += [s for s in made if s.seconds >= LEAST_S[name]]
        found["blinks"] += [
            _source(footage, notes, part, part) for part in _around_blinks(footage, notes, rows)
        ]
    return found


def _widened(part: Rows, rows: Rows, period_ns: int) -> Rows:
    """The part with its context, as far as `rows` reach."""
    reach = round(CONTEXT_S * SECOND_NS / period_ns)
    return max(part[0] - reach, rows[0]), min(part[1] + reach, rows[1])


def _around_blinks(footage: Footage, notes: Annotation, rows: Rows) -> Iterator[Rows]:
    """Each blink with its context, as far as that lies in the segment and holds no speech."""
    at, reach = footage.at_ns, CONTEXT_S * SECOND_NS
    for free in runs(~notes.mouth, rows):
        for first, stop in runs(notes.blink, free):
            near = np.flatnonzero((at >= at[first] - reach) & (at <= at[stop - 1] + reach))
            low, high = max(int(near[0]), free[0]), min(int(near[-1]) + 1, free[1])
            if low < first and stop < high:
                yield low, high


def _source(footage: Footage, notes: Annotation, rows: Rows, counted: Rows) -> Source:
    first, stop = rows
    at = footage.at_ns
    period = int(np.median(np.diff(at[first:stop])))
    inside = (counted[0] - first, counted[1] - first)
    return Source(
        footage.name,
        int(at[first]),
        footage.crops[first:stop],
        notes.blink[first:stop],
        period,
        inside,
    )


def plays(
    rng: np.random.Generator, sources: list[Source], minutes: float, name: str
) -> Iterator[tuple[Source, Source, Recording]]:
    """The sources in turn, what is played of each, and the play, until `minutes` of counted rows are played."""
    played_s, k = 0.0, 0
    while sources and played_s < 60 * minutes:
        source = sources[k % len(sources)]
        played = source if name == "blinks" else _part(rng, source)
        played_s, k = played_s + played.seconds, k + 1
        yield source, played, play(rng, played, name)


def count_play(tally: Tally, verdict: SpottingResult, played: Source, grid_hz: int) -> None:
    """Add one play to the tally: alarms count whose middle lies in the counted rows."""
    first, stop = played.counted
    rows = middles(verdict, grid_hz)
    rows = rows[(rows >= first) & (rows < stop)]
    shown = {(played.clip, round(at / played.period_ns)) for at in played.at_ns.tolist()}
    tally.played_s += len(shown - tally.played) * played.period_ns / SECOND_NS
    tally.played |= shown
    tally.moments |= {(played.clip, int(played.at_ns[row - first])) for row in rows}
    tally.seconds += played.seconds
    tally.alarms += len(rows)
    blink = np.zeros_like(played.blink)
    blink[first:stop] = played.blink[first:stop]
    tally.blinks += len(runs(blink, played.counted))
    tally.on_blinks += on_blinks(verdict, blink, grid_hz)


def _part(rng: np.random.Generator, source: Source) -> Source:
    """A random part of a long source."""
    length = source.counted[1] - source.counted[0]
    count = min(length, round(rng.uniform(*PART_S) * SECOND_NS / source.period_ns))
    return source.part(int(rng.integers(0, length - count + 1)), count)


def play(rng: np.random.Generator, source: Source, name: str) -> Recording:
    """The source as a fresh camera would give it."""
    camera = _camera(rng, source.crops.shape[-1])
    times = np.arange(len(source.crops), dtype=np.int64) * source.period_ns
    crops = np.empty_like(source.crops)
    for i, at in enumerate(times.tolist()):
        crops[i] = camera(source.crops[i], at / SECOND_NS)
    return Recording(f"composite:{name}:{source.name}", times, crops)


def _camera(
    rng: np.random.Generator, side: int
) -> Callable[[NDArray[np.uint8], float], NDArray[np.uint8]]:
    """Noise, gain and codec of one play, for crops (3, S, S) at times in s."""
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
