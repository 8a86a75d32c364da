"""Of several frames nearest one tick, only one is aligned and encoded."""

from __future__ import annotations

from typing import Generic, TypeVar

from microspot.engines.clips import SNAP_PARTS

from .time_grid import NS, nearest_tick

Item = TypeVar("Item")


class FrameDecimator(Generic[Item]):
    """Of the frames nearest one tick one goes on: the first within a quarter tick, else the nearest (see `clips.thin`).

    Only a frame that is earlier than that is held, until its successor shows whether a nearer one comes: a camera about
    as fast as the grid is never a frame behind. Every item comes back, in order, with True when it goes on.
    """

    def __init__(self, grid_hz: int) -> None:
        self.grid_hz = grid_hz
        self._origin: int | None = None
        self._held: tuple[int, int, Item] | None = None  # tick, captured_ns, item
        self._done = 0

    def anchor(self, origin_ns: int | None) -> list[tuple[Item, bool]]:
        """Set the origin of the open segment; None while none is open, when every frame goes on.

        Returns what a held frame became under the new origin.
        """
        held, self._held = self._held, None
        self._origin, self._done = origin_ns, 0
        return [] if held is None else self.push(held[1], held[2])

    def push(self, captured_ns: int, item: Item) -> list[tuple[Item, bool]]:
        """The items that are now decided, in order."""
        if self._origin is None:
            return [(item, True)]
        tick = nearest_tick(self._origin, captured_ns, self.grid_hz)
        late = self._late(tick, captured_ns)
        if tick <= self._done:
            return [(item, False)]
        decided: list[tuple[Item, bool]] = []
        if self._held is not None:
            held_tick, held_ns, held = self._held
            self._held = None
            if held_tick == tick and -self._late(tick, held_ns) <= abs(late):
                self._done = tick
                return [(held, True), (item, False)]
            decided.append((held, held_tick != tick))
        if SNAP_PARTS * late < -NS:
            self._held = (tick, captured_ns, item)
        else:
            self._done = tick
            decided.append((item, True))
        return decided

    def _late(self, tick: int, captured_ns: int) -> int:
        """By how much a time follows a tick, in ticks x NS: exact."""
        return (captured_ns - (self._origin or 0)) * self.grid_hz - tick * NS

    def flush(self) -> list[tuple[Item, bool]]:
        """What is still held goes on; call when the segment ends."""
        held, self._held = self._held, None
        return [] if held is None else [(held[2], True)]
