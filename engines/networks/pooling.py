"""Max pooling followed by ReLU, compiled for training on a CPU.

PyTorch's own pooling took half of a training step on a CPU: its loops are scalar, and it keeps
eight bytes of position for each value. Values above zero order as whole numbers do that have the
same bits, so that one compiled loop serves bfloat16 and float32, and a byte holds the position.
Values are exactly those of PyTorch. So are gradients in float32, but for the order of sums; in
bfloat16 they are sums in float32 that are rounded once, to the nearest. A NaN whose sign is set
counts as below zero here, where PyTorch hands it on. Not from the papers.

Shape letters: B batch, C channels.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

Array = NDArray[Any]
Window = tuple[int, int, int]  # kernel, stride, padding
Loop = Callable[[Array, Array, Array, Window], None]

WORDS = {torch.bfloat16: torch.int16, torch.float32: torch.int32}  # whole numbers as wide
NOWHERE = 255  # position of a window without a value above zero


def pool_relu(x: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    """ReLU of the max pooling of x (B, C, height, width), whose sides are rounded up.

    Where x needs gradients and lies on a CPU, the compiled loops run; elsewhere those of PyTorch.
    """
    plain = type(x) is Tensor and x.device.type == "cpu" and x.dtype in WORDS
    if plain and x.requires_grad and torch.is_grad_enabled():
        pooled: Tensor = _PoolRelu.apply(x, kernel, stride, padding)  # type: ignore[no-untyped-call]
        return pooled
    # ReLU after the pool: the same function on fewer values
    return F.relu(F.max_pool2d(x, kernel, stride, padding, ceil_mode=True))


class _PoolRelu(torch.autograd.Function):
    """The compiled pooling; tensors are laid out channels last."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
        values = _channels_last(x.detach())
        batch, height, width, channels = values.shape
        sides = [_pooled(side, kernel, stride, padding) for side in (height, width)]
        pooled = values.new_empty(batch, *sides, channels)
        position = torch.empty(pooled.shape, dtype=torch.uint8)
        words = WORDS[values.dtype]
        loop = _pool_rows if stride == 1 else _pool
        _compiled(loop)(
            values.view(words).numpy(),
            pooled.view(words).numpy(),
            position.numpy(),
            (kernel, stride, padding),
        )
        ctx.save_for_backward(position)
        ctx.window = (kernel, stride, padding)
        ctx.sides = (height, width)
        return pooled.permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (position,) = ctx.saved_tensors
        kernel, stride, padding = ctx.window
        given = _channels_last(gradients[0])
        found = given.new_empty(len(given), *ctx.sides, given.shape[-1])
        arrays = [given, position, found]
        loop: Loop
        if stride == kernel and padding == 0:  # every value lies in one window
            loop = _move_back
        elif stride == 1 and given.dtype == torch.bfloat16:
            loop = _add_back_rows
        else:
            arrays[0] = given.float()
            arrays[2] = torch.zeros(found.shape)
            _compiled(_add_back)(*(array.numpy() for array in arrays), ctx.window)
            return arrays[2].to(given.dtype).permute(0, 3, 1, 2), None, None, None
        words = WORDS[given.dtype]
        _compiled(loop)(
            given.view(words).numpy(), position.numpy(), found.view(words).numpy(), ctx.window
        )
        return found.permute(0, 3, 1, 2), None, None, None


def _channels_last(x: Tensor) -> Tensor:
    """(B, C, height, width) as contiguous (B, height, width, C)."""
    return x.permute(0, 2, 3, 1).contiguous()


def _pooled(side: int, kernel: int, stride: int, padding: int) -> int:
    """A side after pooling, rounded up; no window may begin in the padding behind it."""
    count = -(-(side + 2 * padding - kernel) // stride) + 1
    return count - 1 if (count - 1) * stride >= side + padding else count


@functools.cache
def _compiled(loop: Callable[..., Any]) -> Callable[..., Any]:
    """`loop` compiled by Numba at its first use, in about a third of a second."""
    import numba

    compiled: Callable[..., Any] = numba.njit(loop)
    return compiled


def _pool(values: Array, pooled: Array, position: Array, window: Window) -> None:
    """Fill `pooled` with each window's largest value above zero and `position` with its place."""
    kernel, stride, padding = window
    batch, rows, columns, channels = pooled.shape
    height, width = values.shape[1:3]
    for b in range(batch):
        for row in range(rows):
            for column in range(columns):
                for c in range(channels):
                    pooled[b, row, column, c] = 0
                    position[b, row, column, c] = NOWHERE
                for dy in range(kernel):
                    y = row * stride - padding + dy
                    if y < 0 or y >= height:
                        continue
                    for dx in range(kernel):
                        x = column * stride - padding + dx
                        if x < 0 or x >= width:
                            continue
                        place = dy * kernel + dx
                        for c in range(channels):
                            value = values[b, y, x, c]
                            best = pooled[b, row, column, c]
                            at = position[b, row, column, c]
                            pooled[b, row, column, c] = value if value > best else best
                            position[b, row, column, c] = place if value > best else at


def _pool_rows(values: Array, pooled: Array, position: Array, window: Window) -> None:
    """As `_pool` at stride 1, where a row of windows reads one run of values for each place."""
    kernel, _, padding = window
    batch, rows, columns, channels = pooled.shape
    height, width = values.shape[1:3]
    runs = values.reshape(batch, height, width * channels)
    best = pooled.reshape(batch, rows, columns * channels)
    places = position.reshape(batch, rows, columns * channels)
    for b in range(batch):
        for row in range(rows):
            best[b, row] = 0
            places[b, row] = NOWHERE
            for dy in range(kernel):
                y = row - padding + dy
                if y < 0 or y >= height:
                    continue
                for dx in range(kernel):
                    place = np.uint8(dy * kernel + dx)
                    shift = (dx - padding) * channels
                    first = max(0, -shift)
                    stop = min(columns * channels, width * channels - shift)
                    read = runs[b, y, first + shift : stop + shift]
                    kept = best[b, row, first:stop]
                    at = places[b, row, first:stop]
                    for i in range(len(kept)):
                        larger = read[i] > kept[i]
                        kept[i] = read[i] if larger else kept[i]
                        at[i] = place if larger else at[i]


def _add_back_rows(given: Array, position: Array, found: Array, window: Window) -> None:
    """As `_add_back` at stride 1, for bfloat16 as whole numbers; sums are in float32."""
    kernel, _, padding = window
    batch, rows, columns, channels = given.shape
    height, width = found.shape[1:3]
    gradients = given.reshape(batch, rows, columns * channels)
    places = position.reshape(batch, rows, columns * channels)
    results = found.reshape(batch, height, width * channels)
    bits = np.empty(columns * channels, np.int32)
    part = bits.view(np.float32)
    sums = np.empty((height, width * channels), np.float32)
    sum_bits = sums.view(np.int32)
    for b in range(batch):
        sums[:] = 0
        for row in range(rows):
            read_bits = gradients[b, row]
            for i in range(len(read_bits)):
                bits[i] = np.int32(read_bits[i]) << 16
            for dy in range(kernel):
                y = row - padding + dy
                if y < 0 or y >= height:
                    continue
                for dx in range(kernel):
                    place = np.uint8(dy * kernel + dx)
                    shift = (dx - padding) * channels
                    first = max(0, -shift)
                    stop = min(columns * channels, width * channels - shift)
                    read = part[first:stop]
                    at = places[b, row, first:stop]
                    total = sums[y, first + shift : stop + shift]
                    for i in range(len(read)):
                        total[i] += read[i] if at[i] == place else np.float32(0)
        for y in range(height):
            exact = sum_bits[y]
            rounded = results[b, y]
            for i in range(len(exact)):  # to the nearest, to the even one on a tie
                value = exact[i]
                rounded[i] = (value + np.int32(0x7FFF) + ((value >> 16) & 1)) >> 16


def _add_back(given: Array, position: Array, sums: Array, window: Window) -> None:
    """Add the gradient of each window to the place that its value came from."""
    kernel, stride, padding = window
    batch, rows, columns, channels = given.shape
    height, width = sums.shape[1:3]
    for b in range(batch):
        for row in range(rows):
            for column in range(columns):
                for dy in range(kernel):
                    y = row * stride - padding + dy
                    if y < 0 or y >= height:
                        continue
                    for dx in range(kernel):
                        x = column * stride - padding + dx
                        if x < 0 or x >= width:
                            continue
                        place = dy * kernel + dx
                        for c in range(channels):
                            at = position[b, row, column, c]
                            part = given[b, row, column, c]
                            sums[b, y, x, c] += part if at == place else 0.0


def _move_back(given: Array, position: Array, moved: Array, window: Window) -> None:
    """As `_add_back`, for windows that share no value; gradients as whole numbers."""
    kernel, stride, padding = window
    batch, rows, columns, channels = given.shape
    height, width = moved.shape[1:3]
    for b in range(batch):
        for row in range(rows):
            for column in range(columns):
                for dy in range(kernel):
                    y = row * stride - padding + dy
                    if y < 0 or y >= height:
                        continue
                    for dx in range(kernel):
                        x = column * stride - padding + dx
                        if x < 0 or x >= width:
                            continue
                        place = dy * kernel + dx
                        for c in range(channels):
                            at = position[b, row, column, c]
                            moved[b, y, x, c] = given[b, row, column, c] if at == place else 0
