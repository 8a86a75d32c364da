"""Name, dtype and shape of what engines take and give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..errors import EngineError


@dataclass(frozen=True)
class TensorSpec:
    """Name, dtype and shape of an engine's input or output; a string is a free dimension."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]

    def check(self, shape: tuple[int, ...], dtype: str) -> None:
        """Raise EngineError unless an array of `shape` and `dtype` fits."""
        fits = len(shape) == len(self.shape) and all(
            isinstance(expected, str) or expected == size
            for expected, size in zip(self.shape, shape, strict=True)
        )
        if not fits or dtype != self.dtype:
            raise EngineError(
                f"tensor {self.name}: expected {self.dtype}{list(self.shape)}, "
                f"got {dtype}{list(shape)}"
            )


class SizeRange(NamedTuple):
    """Sizes of a free dimension: the least, the usual and the largest that an engine takes."""

    least: int
    usual: int
    largest: int


# Every free dimension of the engines' tensors, by its letter; not from the papers.
FREE_SIZES = {"B": SizeRange(1, 1, 16), "P": SizeRange(1, 4, 64), "n": SizeRange(1, 1, 512)}
