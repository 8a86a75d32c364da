"""Checks of arrays, and numbers as records print them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


def expect(name: str, array: NDArray[Any], dtype: type, shape: tuple[int | None, ...]) -> None:
    """Raise ValueError unless `array` has `dtype` and `shape`, where None is any size."""
    fits = array.ndim == len(shape) and all(
        wanted in (None, size) for wanted, size in zip(shape, array.shape, strict=True)
    )
    if fits and array.dtype == dtype:
        return
    expected = "x".join("*" if size is None else str(size) for size in shape)
    actual = "x".join(str(size) for size in array.shape)
    raise ValueError(f"{name}: expected {np.dtype(dtype)} {expected}, got {array.dtype} {actual}")


def rounded_shares(shares: dict[str, float] | None) -> dict[str, float] | None:
    """Probabilities by name, rounded for a record; None stays None."""
    if shares is None:
        return None
    return {name: round(share, 4) for name, share in shares.items()}


def in_seconds(ns: int | None) -> float | None:
    """Nanoseconds as seconds to the microsecond; None stays None."""
    return None if ns is None else round(ns / 1e9, 6)


def score_or_none(value: float) -> float | None:
    """A score rounded for a record, None for NaN."""
    return None if math.isnan(value) else round(value, 4)
