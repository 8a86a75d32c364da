"""FrameDecimator: of several frames nearest one tick, only one is aligned and encoded."""

from __future__ import annotations

from typing import Generic, TypeVar

from microspot.engines.clips import SECOND_NS, SNAP_PARTS

from .time_grid import nearest_tick

Item = TypeVar("Item")


class FrameDecimator(Generic[Item]):
    """Selects one frame per tick: the first within a quarter tick, else the nearest.

    `engines.clips.thin` is the same rule for a whole recording. Only a frame that is earlier than a
    quarter tick before its tick waits, until its successor shows whether a nearer one comes: a
    camera about as fast as the grid is never a frame behind. Every item comes back, in order, with
    True when it is selected.
    """

    def __init__(self, grid_hz: int) -> None:
        self.grid_hz = grid_hz
        self._origin: int | None = None
        self._waiting: tuple[int, int, Item] | None = None  # tick, captured_ns, item
        self._served = 0  # the newest tick that has its frame

    def anchor(self, origin_ns: int | None) -> list[tuple[Item, bool]]:
        """Set the origin of the open segment, or None while none is open.

        Without an origin every frame is selected. Returns what a waiting frame became under the
        new origin.
        """
        waiting = self._waiting
        self._waiting = None
        self._origin = origin_ns
        self._served = 0
        return [] if waiting is None else self.push(waiting[1], waiting[2])

    def push(self, captured_ns: int, item: Item) -> list[tuple[Item, bool]]:
        """The items that are now decided, in order."""
        if self._origin is None:
            return [(item, True)]
        tick = nearest_tick(self._origin, captured_ns, self.grid_hz)
        late = self._lateness(tick, captured_ns)
        if tick <= self._served:
            return [(item, False)]
        decided: list[tuple[Item, bool]] = []
        if self._waiting is not None:
            waiting_tick, waiting_ns, waiting = self._waiting
            self._waiting = None
            if waiting_tick == tick and -self._lateness(tick, waiting_ns) <= abs(late):
                self._served = tick
                return [(waiting, True), (item, False)]
            decided.append((waiting, waiting_tick != tick))
        if SNAP_PARTS * late < -SECOND_NS:
            self._waiting = (tick, captured_ns, item)
        else:
            self._served = tick
            decided.append((item, True))
        return decided

    def _lateness(self, tick: int, captured_ns: int) -> int:
        """By how much a time follows a tick, in ticks x SECOND_NS: exact."""
        return (captured_ns - (self._origin or 0)) * self.grid_hz - tick * SECOND_NS

    def flush(self) -> list[tuple[Item, bool]]:
        """A frame that still waits is selected; call when the segment ends."""
        waiting = self._waiting
        self._waiting = None
        return [] if waiting is None else [(waiting[2], True)]
