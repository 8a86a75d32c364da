"""The flow of many frames at once: what is linear in them is made once, the rest in compiled loops.

In training a frame is the present of one tick and the past of others. Each is smoothed once, and a
change is the difference of two smoothed frames. On a CPU two parts are compiled by Numba, since
they would write everything to memory several times: the products of the least squares under their
window, and the movement of the whole crop. The results are those of `Flow` but for the order of
sums. Not from the papers.

Shape letters: F frames, B of them current, D lags, H rows and columns, Q places each way.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..specs import RIDGE
from .motion import CLAMP, SPARSE, Flow

CHUNK = 32  # frames at a time, since they fit a CPU's cache

Array = NDArray[Any]


def flows_of(flow: Flow, grey: Tensor, current: Tensor, lags: Tensor) -> Tensor:
    """What `flow` shows of prepared frames (F, 1, H, H), without gradients.

    Indices into the frames: current (B,) and lags (B, D). Returns (B, channels, Q, Q), channels
    last in memory.
    """
    parts = torch.split(grey, CHUNK)
    even = torch.cat([flow.even(part) for part in parts])[:, 0]
    coarse = torch.cat([flow.coarse(part) for part in parts])[:, 0]
    fit = _fit_compiled if grey.device.type == "cpu" else _fit
    places = flow.mean.shape[0]
    shape = (len(current), flow.options.channels(lags.shape[1]), places, places)
    shown = torch.empty(shape, device=grey.device, memory_format=torch.channels_last)
    for first in range(0, len(current), CHUNK):
        now = current[first : first + CHUNK]
        earlier = lags[first : first + CHUNK]
        seen = coarse[now][:, None]
        seen = torch.cat([seen, seen - coarse[earlier]], 1)
        sums, shares = fit(flow, *flow.slopes(grey[now]), even, now, earlier)
        shown[first : first + CHUNK] = flow.moved(sums, shares, seen)
    return shown


def _fit(
    flow: Flow, gx: Tensor, gy: Tensor, even: Tensor, now: Tensor, earlier: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """Sums and shares as `Flow.forward` has them."""
    change = even[now][:, None] - even[earlier]  # (B, D, H, H)
    return flow.sums(gx, gy, change), flow.shares(gx, gy, change)


def _fit_compiled(
    flow: Flow, gx: Tensor, gy: Tensor, even: Tensor, now: Tensor, earlier: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """The same from compiled loops."""
    batch, lags = earlier.shape
    window = flow.window
    columns = gx.new_empty(batch, 3 + 2 * lags, len(window), gx.shape[-1])
    frames = [part.numpy() for part in (even, now, earlier)]
    _compiled(_window_products)(
        gx[:, 0].numpy(), gy[:, 0].numpy(), *frames, window.numpy(), columns.numpy()
    )
    bases = torch.cat(flow.bases(gx, gy), 1).contiguous()  # (B, K, H / 2, H / 2)
    shares = gx.new_empty(batch, lags, bases.shape[1])
    _compiled(_fit_in_turn)(bases.numpy(), *frames, shares.numpy(), (SPARSE, CLAMP, RIDGE))
    return columns @ window.T, [share[..., None, None] for share in shares.unbind(-1)]


@functools.cache
def _compiled(loop: Callable[..., Any]) -> Callable[..., Any]:
    """`loop` compiled by Numba at its first use; sums may be taken in any order."""
    import numba
    from numba.extending import register_jitable

    register_jitable(fastmath=True)(_under_window)
    compiled: Callable[..., Any] = numba.njit(fastmath=True)(loop)
    return compiled


def _under_window(product: Array, window: Array, columns: Array) -> None:
    """Fill `columns` (Q, H) with the product (H, H) under the rows of `window` (Q, H)."""
    for q in range(len(columns)):
        row = columns[q]
        row[:] = 0
        for y in range(len(product)):
            weight = window[q, y]
            if weight == 0:
                continue
            values = product[y]
            for x in range(len(row)):
                row[x] += weight * values[x]


def _window_products(
    gx: Array, gy: Array, even: Array, now: Array, earlier: Array, window: Array, columns: Array
) -> None:
    """Fill `columns` (B, 3 + 2 D, Q, H) with the products under the rows of `window` (Q, H)."""
    batch, count, _, side = columns.shape
    lags = earlier.shape[1]
    products = np.empty((count, side, side), np.float32)
    for b in range(batch):
        present = even[now[b]]
        for y in range(side):
            for x in range(side):
                products[0, y, x] = gx[b, y, x] * gx[b, y, x]
                products[1, y, x] = gx[b, y, x] * gy[b, y, x]
                products[2, y, x] = gy[b, y, x] * gy[b, y, x]
        for d in range(lags):
            past = even[earlier[b, d]]
            for y in range(side):
                for x in range(side):
                    change = present[y, x] - past[y, x]
                    products[3 + d, y, x] = gx[b, y, x] * change
                    products[3 + lags + d, y, x] = gy[b, y, x] * change
        for k in range(count):
            _under_window(products[k], window, columns[b, k])


def _fit_in_turn(
    bases: Array,
    even: Array,
    now: Array,
    earlier: Array,
    shares: Array,
    constants: tuple[int, float, float],
) -> None:
    """Fill `shares` (B, D, K) with what each basis explains of the changes, one after the other."""
    sparse, clamp, ridge = constants
    batch, lags, count = shares.shape
    height, width = bases.shape[2:]
    change = np.empty((height, width), np.float32)
    for b in range(batch):
        for d in range(lags):
            for y in range(height):
                present = even[now[b], sparse * y]
                past = even[earlier[b, d], sparse * y]
                for x in range(width):
                    change[y, x] = present[sparse * x] - past[sparse * x]
            for k in range(count):
                energy = np.float32(ridge)
                total = np.float32(0)
                for y in range(height):
                    for x in range(width):
                        basis = bases[b, k, y, x]
                        clamped = min(max(change[y, x], -np.float32(clamp)), np.float32(clamp))
                        energy += basis * basis
                        total += clamped * basis
                share = total / energy
                shares[b, d, k] = share
                for y in range(height):
                    for x in range(width):
                        change[y, x] -= share * bases[b, k, y, x]
