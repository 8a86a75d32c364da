"""Ring: the newest items of an endless sequence; an index that was evicted raises."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .gil_copy import concatenate


class Ring:
    """The last `capacity` items of `shape`, addressed by their index in the whole sequence.

    Memory is allocated once. Every item is written twice, one capacity apart, so that any slice of
    up to `capacity` items is contiguous. `mirrored=False` halves the memory where only single items
    are read.
    """

    def __init__(
        self, capacity: int, shape: tuple[int, ...], dtype: DTypeLike, mirrored: bool = True
    ) -> None:
        if capacity < 1:
            raise ValueError(f"Ring: capacity {capacity}, expected at least 1")
        self.capacity = capacity
        self._copies = 2 if mirrored else 1
        self._data: NDArray[Any] = np.zeros((self._copies * capacity, *shape), dtype)
        self._count = 0

    @property
    def start(self) -> int:
        """Oldest index still held."""
        return max(0, self._count - self.capacity)

    @property
    def stop(self) -> int:
        """One past the newest index."""
        return self._count

    def append(self, item: NDArray[Any] | float) -> int:
        """Store the next item; returns its index."""
        slot = self._count % self.capacity
        for copy in range(self._copies):
            self._write(slot + copy * self.capacity, item)
        self._count += 1
        return self._count - 1

    def _write(self, row: int, item: NDArray[Any] | float) -> None:
        fits = (
            isinstance(item, np.ndarray)
            and item.dtype == self._data.dtype
            and item.shape == self._data.shape[1:]
        )
        if fits:
            concatenate([np.asarray(item)[None]], out=self._data[row : row + 1])
        else:
            self._data[row] = item

    def clear(self) -> None:
        """Forget everything; the next item has index 0 again."""
        self._count = 0

    def __getitem__(self, index: int) -> NDArray[Any]:
        """One item, without a copy. Raises IndexError when it was evicted or is not there yet."""
        self._check(index, index + 1)
        return self._data[index % self.capacity]  # type: ignore[no-any-return]

    def slice(self, start: int, stop: int) -> NDArray[Any]:
        """Items [start, stop) without a copy, contiguous, valid until they are overwritten.

        Raises IndexError outside what the ring holds and TypeError for a ring that is not mirrored.
        """
        if self._copies == 1:
            raise TypeError("Ring: slices need mirrored=True")
        self._check(start, stop)
        at = start % self.capacity
        return self._data[at : at + stop - start]

    def _check(self, start: int, stop: int) -> None:
        if not self.start <= start <= stop <= self.stop:
            raise IndexError(f"ring holds [{self.start}, {self.stop}), asked for [{start}, {stop})")
