"""Time arithmetic shared by training, the offline reference and the stream: lags, ticks, windows, resampling.

One rule in one place: a network trained on one rule and run on another is wrong in silence. numpy only.
Shape letters as in engines/specs.py: N captured frames, T ticks, D lags, M window scales, P clips, L features.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import DataError, UsageError
from .specs import SpotterSpec

SECOND_NS = 1_000_000_000
SNAP_PARTS = (
    4  # a frame within 1/4 tick of a tick is that tick (architecture 3); not from the paper
)

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


def lag_indices(times_ns: ArrayLike, lags_ns: ArrayLike) -> Indices:
    """For every frame and lag the latest frame at or before t - lag, else the first: (N,), (D,) -> (N, D)."""
    times, lags = _increasing(times_ns), np.asarray(lags_ns, np.int64).reshape(-1)
    wanted = times[:, None] - lags[None, :]
    return np.maximum(np.searchsorted(times, wanted, side="right") - 1, 0).astype(np.int64)


def thin(times_ns: ArrayLike, grid_hz: int) -> Indices:
    """Frames worth encoding, one for each tick that a frame is nearest to, (K,).

    That is the first within a quarter tick, for it is that tick and need not wait for what follows; where there is
    none, the nearest (the earlier on a tie).
    """
    times = _increasing(times_ns)
    scaled = (times - times[0]) * grid_hz  # in ticks x SECOND_NS: exact in integers
    tick = (2 * scaled + SECOND_NS) // (2 * SECOND_NS)
    away = np.abs(scaled - tick * SECOND_NS)
    order = np.lexsort((times, np.where(SNAP_PARTS * away <= SECOND_NS, 0, away), tick))
    first = np.ones(len(order), bool)
    first[1:] = tick[order][1:] != tick[order][:-1]
    return np.sort(order[first]).astype(np.int64)


def tick_weights(times_ns: ArrayLike, grid_hz: int) -> NDArray[np.float32]:
    """Interpolation matrix (T, N), rows summing to 1, from frames to the ticks of the grid.

    Tick 0 is the first frame. A frame within a quarter tick of a tick is that tick (the nearest of several);
    otherwise the tick is linear in time between its left and right frame. The last tick is the last one that a
    frame reaches or stands for. Give it thinned times, as the stream does. Raises DataError for unordered times.
    """
    times = _increasing(times_ns)
    scaled = (times - times[0]) * grid_hz
    ticks = (
        np.arange((SNAP_PARTS * scaled[-1] + SECOND_NS) // (SNAP_PARTS * SECOND_NS) + 1) * SECOND_NS
    )
    right = np.clip(np.searchsorted(scaled, ticks, side="left"), 1, max(len(times) - 1, 1))
    right = np.minimum(right, len(times) - 1)
    left = np.maximum(right - 1, 0)
    before, after = np.abs(ticks - scaled[left]), np.abs(scaled[right] - ticks)
    nearest = np.where(before <= after, left, right)
    snapped = np.minimum(before, after) * SNAP_PARTS <= SECOND_NS
    share = before / np.maximum(before + after, 1)
    share = np.where(snapped, (nearest == right).astype(float), share)
    weights = np.zeros((len(ticks), len(times)), np.float32)
    rows = np.arange(len(ticks))
    np.add.at(weights, (rows, left), 1 - share)
    np.add.at(weights, (rows, right), share)
    return weights


def nearest_frames(times_ns: ArrayLike, wanted_ns: ArrayLike) -> Indices:
    """The frame nearest in time to each wanted time, the earlier on a tie: (N,) rising, (K,) -> (K,)."""
    times, wanted = np.asarray(times_ns), np.asarray(wanted_ns)
    after = np.clip(np.searchsorted(times, wanted), 0, len(times) - 1)
    before = np.maximum(after - 1, 0)
    earlier = np.abs(wanted - times[before]) <= np.abs(times[after] - wanted)
    return np.where(earlier, before, after).astype(np.int64)


def split(
    length: int, clip: int = 128, overlap: int = 32, longest: int = SpotterSpec.max_ticks
) -> list[tuple[int, int]]:
    """Overlapping clips [start, stop) that cover `length` ticks, the last aligned to the end [S1 M8].

    For training on long videos; a segment of the stream is run whole and needs none. An interval of up to `overlap`
    + 1 ticks lies whole in some clip wherever it begins, so raises UsageError unless longest - 1 <= overlap < clip
    [S1 M38]. The default sizes are not from the paper.
    """
    if not longest - 1 <= overlap < clip:
        raise UsageError(
            f"overlap {overlap}: expected at least {longest - 1} (the longest ME less 1) and below {clip}"
        )
    starts = [*range(0, length - clip, clip - overlap), max(length - clip, 0)]
    return [(start, min(start + clip, length)) for start in starts]


def _increasing(times_ns: ArrayLike) -> Indices:
    times = np.asarray(times_ns, np.int64).reshape(-1)
    if len(times) == 0 or np.any(np.diff(times) <= 0):
        raise DataError(
            "capture times must be given and strictly increasing: drop repeated or reordered frames"
        )
    return times


def resample_positions(
    start: ArrayLike, stop: ArrayLike, length: int
) -> tuple[Indices, NDArray[np.float64]]:
    """Left neighbour and share of the right one for `length` even positions on ticks start..stop-1: 2 x (..., length).

    Positions count from floor(start), so that moving a window by whole ticks changes no bit of the result.
    """
    a, b = np.asarray(start, np.float64)[..., None], np.asarray(stop, np.float64)[..., None]
    base = np.floor(a)
    span = np.maximum(b - 1 - a, 0.0)
    position = (a - base) + span * np.arange(length) / max(length - 1, 1)
    left = np.floor(position)
    return (base + left).astype(np.int64), position - left


def resample(
    features: NDArray[Any], start: ArrayLike, stop: ArrayLike, length: int
) -> NDArray[np.float32]:
    """Features of ticks start..stop-1, linear in time at `length` positions, end points included [S1 M30].

    features (..., L, N) with one start and stop -> (..., L, length); features (L, N) with (P,) starts and stops
    -> (P, L, length). Linear interpolation is not from the paper. Positions outside 0..N-1 take the edge column.
    """
    left, share = resample_positions(start, stop, length)
    last = features.shape[-1] - 1
    low, high = np.clip(left, 0, last), np.clip(left + 1, 0, last)
    weight = share.astype(np.float32)
    mixed = features[..., low] * (1 - weight) + features[..., high] * weight
    return np.asarray(mixed if left.ndim == 1 else np.moveaxis(mixed, -2, 0), np.float32)


def window_bounds(spec: SpotterSpec, n: int) -> tuple[Indices, Indices]:
    """[start, stop) of every window by scale and last tick: two (M, n); starts may be negative."""
    stop = np.broadcast_to(np.arange(1, n + 1), (spec.scales, n))
    return stop - np.asarray(spec.windows)[:, None], stop.copy()


def window_mask(spec: SpotterSpec, n: int) -> NDArray[np.bool_]:
    """(M, n): True where the window that ends at a tick lies inside the segment, which starts at tick 0."""
    return window_bounds(spec, n)[0] >= 0


def to_ticks(
    onset_ns: ArrayLike, offset_ns: ArrayLike, origin_ns: int, grid_hz: int
) -> tuple[Floats, Floats]:
    """Times of onset and offset -> [start, stop) in ticks from the first frame, with the offset's own tick."""
    onset, offset = (np.asarray(t, np.int64) - origin_ns for t in (onset_ns, offset_ns))
    return onset * grid_hz / SECOND_NS, offset * grid_hz / SECOND_NS + 1
