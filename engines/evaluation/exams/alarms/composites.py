"""Composites: excerpts of real footage, repeated with the noise, gain and codec of other cameras.

Real footage is short. An excerpt is one quiet segment, bout of speech or blink; it keeps what came
before and after it, and a long one is shown in parts. Around quiet and speech alarms do not count;
around a blink they do. Composites are not new footage: what alarms once alarms again, so that their
Poisson intervals are far narrower than new footage would allow. Not from the papers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ....clips import SECOND_NS
from ....data.footage import Footage, FrameRange
from ..mesh_annotation import Annotation, Flags, runs
from ..recordings import Recording, SpottingResult
from .counts import AlarmCounts, middles, on_blinks

SHARES = {"quiet": 0.4, "speech": 0.3, "blinks": 0.3}  # of the composites' minutes
LEAST_S = {"quiet": 1.5, "speech": 1.0}  # of an excerpt
PART_S = (1.5, 5.0)  # of a longer excerpt, drawn anew for every composite
# before and after an excerpt, where the footage has it: longer than the encoder's longest lag
CONTEXT_S = 1.0
NOISE = (1.0, 3.0)  # standard deviation of the sensor noise, grey levels
GAIN = (0.0, 0.04)  # amplitude of the drift
GAIN_HZ = (0.05, 0.3)
JPEG_SHARE = 0.5  # of the composites
JPEG_QUALITY = (50, 90)


@dataclass(frozen=True, eq=False)
class Excerpt:
    """A part of footage that composites repeat.

    clip, first_ns: where in the footage the first row lies. crops (N, 3, S, S), one per
    `period_ns`. blink (N,): where the eyes blink. counted: rows whose alarms count; the rest is
    context.
    """

    clip: str
    first_ns: int
    crops: NDArray[np.uint8]
    blink: Flags
    period_ns: int
    counted: FrameRange

    @property
    def name(self) -> str:
        """Clip and time of the first counted row."""
        return f"{self.clip}:{self.at_ns[0] / SECOND_NS:.1f}s"

    @property
    def at_ns(self) -> NDArray[np.int64]:
        """Footage times of the counted rows."""
        return self.first_ns + np.arange(*self.counted) * self.period_ns

    @property
    def seconds(self) -> float:
        """Length of the counted rows."""
        return (self.counted[1] - self.counted[0]) * self.period_ns / SECOND_NS

    def part(self, first: int, count: int) -> Excerpt:
        """The excerpt of `count` counted rows from the `first` on, with their context."""
        begin = self.counted[0] + first
        low, high = _widened((begin, begin + count), (0, len(self.crops)), self.period_ns)
        at = self.first_ns + low * self.period_ns
        counted = (begin - low, begin - low + count)
        return Excerpt(
            self.clip, at, self.crops[low:high], self.blink[low:high], self.period_ns, counted
        )


def excerpts_of(footage: Footage, annotation: Annotation) -> dict[str, list[Excerpt]]:
    """The excerpts of footage by category.

    Quiet, speech without blinks, and blinks outside speech with CONTEXT_S around them.
    """
    found: dict[str, list[Excerpt]] = {name: [] for name in SHARES}
    speech = annotation.mouth & ~annotation.blink
    for rows in footage.segments():
        period = int(np.median(np.diff(footage.at_ns[slice(*rows)])))
        for name, flags in (("quiet", annotation.quiet), ("speech", speech)):
            for part in runs(flags, rows):
                excerpt = _excerpt(footage, annotation, _widened(part, rows, period), part)
                if excerpt.seconds >= LEAST_S[name]:
                    found[name].append(excerpt)
        for part in _around_blinks(footage, annotation, rows):
            found["blinks"].append(_excerpt(footage, annotation, part, part))
    return found


def _widened(part: FrameRange, rows: FrameRange, period_ns: int) -> FrameRange:
    """The part with its context, as far as `rows` reach."""
    reach = round(CONTEXT_S * SECOND_NS / period_ns)
    return max(part[0] - reach, rows[0]), min(part[1] + reach, rows[1])


def _around_blinks(
    footage: Footage, annotation: Annotation, rows: FrameRange
) -> Iterator[FrameRange]:
    """The rows of each blink and its context, as far as that is in the segment and no speech."""
    at = footage.at_ns
    reach = CONTEXT_S * SECOND_NS
    for free in runs(~annotation.mouth, rows):
        for first, stop in runs(annotation.blink, free):
            near = np.flatnonzero((at >= at[first] - reach) & (at <= at[stop - 1] + reach))
            low = max(int(near[0]), free[0])
            high = min(int(near[-1]) + 1, free[1])
            if low < first and stop < high:
                yield low, high


def _excerpt(
    footage: Footage, annotation: Annotation, rows: FrameRange, counted: FrameRange
) -> Excerpt:
    first, stop = rows
    at = footage.at_ns[first:stop]
    return Excerpt(
        clip=footage.name,
        first_ns=int(at[0]),
        crops=footage.crops[first:stop],
        blink=annotation.blink[first:stop],
        period_ns=int(np.median(np.diff(at))),
        counted=(counted[0] - first, counted[1] - first),
    )


def composite_recordings(
    rng: np.random.Generator, excerpts: list[Excerpt], minutes: float, name: str
) -> Iterator[tuple[Excerpt, Excerpt, Recording]]:
    """Composites of the excerpts in turn, until their counted rows last `minutes`.

    Each comes as (excerpt, the part of it that is shown, recording).
    """
    seconds = 0.0
    k = 0
    while excerpts and seconds < 60 * minutes:
        excerpt = excerpts[k % len(excerpts)]
        part = excerpt if name == "blinks" else _part(rng, excerpt)
        seconds += part.seconds
        k += 1
        yield excerpt, part, composite_of(rng, part, name)


def count_composite(
    counts: AlarmCounts, result: SpottingResult, part: Excerpt, grid_hz: int
) -> None:
    """Add the alarms of one composite whose middle lies in the counted rows.

    part: the excerpt that the composite shows.
    """
    first, stop = part.counted
    rows = middles(result, grid_hz)
    rows = rows[(rows >= first) & (rows < stop)]
    frames = {(part.clip, round(at / part.period_ns)) for at in part.at_ns.tolist()}
    counts.footage_s += len(frames - counts.frames) * part.period_ns / SECOND_NS
    counts.frames |= frames
    counts.moments |= {(part.clip, int(part.at_ns[row - first])) for row in rows}
    counts.seconds += part.seconds
    counts.alarms += len(rows)
    blink = np.zeros_like(part.blink)
    blink[first:stop] = part.blink[first:stop]
    counts.blinks += len(runs(blink, part.counted))
    counts.on_blinks += on_blinks(result, blink, grid_hz)


def _part(rng: np.random.Generator, excerpt: Excerpt) -> Excerpt:
    """A random part of a long excerpt."""
    length = excerpt.counted[1] - excerpt.counted[0]
    count = min(length, round(rng.uniform(*PART_S) * SECOND_NS / excerpt.period_ns))
    return excerpt.part(int(rng.integers(0, length - count + 1)), count)


def composite_of(rng: np.random.Generator, excerpt: Excerpt, name: str) -> Recording:
    """The excerpt as another camera would give it."""
    camera = _camera(rng, excerpt.crops.shape[-1])
    times = np.arange(len(excerpt.crops), dtype=np.int64) * excerpt.period_ns
    crops = np.empty_like(excerpt.crops)
    for i, at in enumerate(times.tolist()):
        crops[i] = camera(excerpt.crops[i], at / SECOND_NS)
    return Recording(f"composite:{name}:{excerpt.name}", times, crops)


def _camera(
    rng: np.random.Generator, side: int
) -> Callable[[NDArray[np.uint8], float], NDArray[np.uint8]]:
    """Noise, gain and codec of one random camera, for crops (3, S, S) at times in s."""
    noise = rng.normal(0, rng.uniform(*NOISE), (3, 4 * side, 4 * side)).astype(np.float32)
    depth = rng.uniform(*GAIN)
    hz = rng.uniform(*GAIN_HZ)
    phase = rng.uniform(0, 2 * math.pi)
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
