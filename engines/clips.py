"""Time arithmetic of training, reference and stream: lags, ticks, windows, resampling.

One rule in one place: a network trained by one rule and run by another is wrong in silence. NumPy
only. Shape letters: N captured frames, T ticks, D lags, M window scales, P clips, L features.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import DataError
from .specs import SpotterSpec

SECOND_NS = 1_000_000_000
SNAP_PARTS = 4  # a frame within 1/4 tick of a tick is that tick; not from the paper

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


def lag_indices(times_ns: ArrayLike, lags_ns: ArrayLike) -> Indices:
    """The latest frame at or before t - lag, else the first: times (N,), lags (D,) -> (N, D)."""
    times = _increasing(times_ns)
    lags = np.asarray(lags_ns, np.int64).reshape(-1)
    wanted = times[:, None] - lags[None, :]
    return np.maximum(np.searchsorted(times, wanted, side="right") - 1, 0).astype(np.int64)


def thin(times_ns: ArrayLike, grid_hz: int) -> Indices:
    """Indices of the frames to encode, one for each tick that a frame is nearest to, (K,).

    For a tick it is the first frame within a quarter tick, which is that tick and need not wait for
    later frames; where there is none, the nearest (the earlier on a tie).
    """
    times = _increasing(times_ns)
    scaled = (times - times[0]) * grid_hz  # ticks x SECOND_NS: exact in integers
    tick = (2 * scaled + SECOND_NS) // (2 * SECOND_NS)
    away = np.abs(scaled - tick * SECOND_NS)
    order = np.lexsort((times, np.where(SNAP_PARTS * away <= SECOND_NS, 0, away), tick))
    first = np.ones(len(order), bool)
    first[1:] = tick[order][1:] != tick[order][:-1]
    return np.sort(order[first]).astype(np.int64)


def tick_weights(times_ns: ArrayLike, grid_hz: int) -> NDArray[np.float32]:
    """Interpolation matrix (T, N), rows summing to 1, from frames to the ticks of the grid.

    Tick 0 is the first frame. A frame within a quarter tick of a tick is that tick (the nearest of
    several); otherwise the tick is linear in time between its left and right frame. The last tick
    is the last one that a frame reaches or is. `times_ns` are the times of the frames that `thin`
    keeps, as in the stream. Raises DataError for unordered times.
    """
    times = _increasing(times_ns)
    scaled = (times - times[0]) * grid_hz
    last_tick = (SNAP_PARTS * scaled[-1] + SECOND_NS) // (SNAP_PARTS * SECOND_NS)
    ticks = np.arange(last_tick + 1) * SECOND_NS
    right = np.clip(np.searchsorted(scaled, ticks, side="left"), 1, max(len(times) - 1, 1))
    right = np.minimum(right, len(times) - 1)
    left = np.maximum(right - 1, 0)
    before = np.abs(ticks - scaled[left])
    after = np.abs(scaled[right] - ticks)
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
    """The frame nearest to each wanted time, the earlier on a tie: rising (N,), (K,) -> (K,)."""
    times = np.asarray(times_ns)
    wanted = np.asarray(wanted_ns)
    after = np.clip(np.searchsorted(times, wanted), 0, len(times) - 1)
    before = np.maximum(after - 1, 0)
    earlier = np.abs(wanted - times[before]) <= np.abs(times[after] - wanted)
    return np.where(earlier, before, after).astype(np.int64)


def resample_positions(
    start: ArrayLike, stop: ArrayLike, length: int
) -> tuple[Indices, NDArray[np.float64]]:
    """`length` even positions on ticks start..stop-1: left neighbour, share of the right one.

    Both are (..., length). Positions count from floor(start), so that moving a window by whole
    ticks changes no bit of the result.
    """
    a = np.asarray(start, np.float64)[..., None]
    b = np.asarray(stop, np.float64)[..., None]
    base = np.floor(a)
    span = np.maximum(b - 1 - a, 0.0)
    position = (a - base) + span * np.arange(length) / max(length - 1, 1)
    left = np.floor(position)
    return (base + left).astype(np.int64), position - left


def resample(
    features: NDArray[Any], start: ArrayLike, stop: ArrayLike, length: int
) -> NDArray[np.float32]:
    """Features of ticks start..stop-1, linear at `length` positions with both ends [S1 M30].

    features (..., L, N) with one start and stop -> (..., L, length); features (L, N) with (P,)
    starts and stops -> (P, L, length). Linear interpolation is not from the paper. Positions
    outside 0..N-1 take the edge column.
    """
    left, share = resample_positions(start, stop, length)
    last = features.shape[-1] - 1
    low = np.clip(left, 0, last)
    high = np.clip(left + 1, 0, last)
    weight = share.astype(np.float32)
    mixed = features[..., low] * (1 - weight) + features[..., high] * weight
    if left.ndim > 1:
        mixed = np.moveaxis(mixed, -2, 0)
    return np.asarray(mixed, np.float32)


def window_bounds(spec: SpotterSpec, n: int) -> tuple[Indices, Indices]:
    """[start, stop) of every window by scale and last tick: two (M, n); starts may be negative."""
    stop = np.broadcast_to(np.arange(1, n + 1), (spec.scales, n))
    return stop - np.asarray(spec.windows)[:, None], stop.copy()


def window_mask(spec: SpotterSpec, n: int) -> NDArray[np.bool_]:
    """(M, n), True where the window that ends at a tick starts at tick 0 or later."""
    return window_bounds(spec, n)[0] >= 0


def to_ticks(
    onset_ns: ArrayLike, offset_ns: ArrayLike, origin_ns: int, grid_hz: int
) -> tuple[Floats, Floats]:
    """Times of onset and offset -> [start, stop) in ticks from `origin_ns`, offset included."""
    onset = np.asarray(onset_ns, np.int64) - origin_ns
    offset = np.asarray(offset_ns, np.int64) - origin_ns
    return onset * grid_hz / SECOND_NS, offset * grid_hz / SECOND_NS + 1


def _increasing(times_ns: ArrayLike) -> Indices:
    times = np.asarray(times_ns, np.int64).reshape(-1)
    if len(times) == 0 or np.any(np.diff(times) <= 0):
        raise DataError(
            "capture times must be given and strictly increasing: drop repeated or reordered frames"
        )
    return times
