"""Receptive fields of stacked 1D convolutions: the only source of look-ahead, so of latency."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Conv(NamedTuple):
    """One stride-1 convolution layer: odd `kernel`, `dilation` >= 1."""

    kernel: int
    dilation: int = 1


def field(layers: Iterable[Conv]) -> int:
    """Input positions that one output position sees: 1 + sum of (kernel - 1) x dilation."""
    return 1 + sum((layer.kernel - 1) * layer.dilation for layer in layers)


def radius(layers: Iterable[Conv]) -> int:
    """Positions seen on either side of the centre, for centred (odd) kernels."""
    return (field(layers) - 1) // 2
