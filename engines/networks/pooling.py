"""Max pooling followed by ReLU, compiled for training on a CPU.

PyTorch's own pooling took half of a training step on a CPU: its loops are scalar, and it keeps
eight bytes of position for each value. Values above zero order as whole numbers do that have the
same bits, so that one compiled loop serves bfloat16 and float32, and a byte holds the position.
Values and gradients are exactly those of PyTorch. Not from the papers.

Shape letters: B batch, C channels.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

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
        _compiled(_pool)(
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
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:  # type: ignore[override]
        (position,) = ctx.saved_tensors
        kernel, stride, _ = ctx.window
        given = _channels_last(gradients[0])
        shape = (len(given), *ctx.sides, given.shape[-1])
        if stride >= kernel:  # windows share no value: gradients are only moved
            words = WORDS[given.dtype]
            moved = given.new_zeros(shape)
            _compiled(_move_back)(
                given.view(words).numpy(), position.numpy(), moved.view(words).numpy(), ctx.window
            )
            return moved.permute(0, 3, 1, 2), None, None, None
        sums = torch.zeros(shape)
        _compiled(_add_back)(given.float().numpy(), position.numpy(), sums.numpy(), ctx.window)
        return sums.to(given.dtype).permute(0, 3, 1, 2), None, None, None


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


Array = NDArray[Any]
Window = tuple[int, int, int]  # kernel, stride, padding


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
