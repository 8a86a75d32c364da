"""TimeGrid: capture times (ns) to uniform ticks at the weights' rate, in integers.

Tick k of a segment lies at origin + k / grid_hz, origin being the segment's first accepted frame. A
frame within a quarter tick of a tick is that tick; any other tick is linear in time between the
frames left and right of it. The frame rate that a source declares is not used.
"""

from __future__ import annotations

from typing import NamedTuple

from microspot.engines.clips import SECOND_NS, SNAP_PARTS


def tick_ns(origin_ns: int, tick: int, grid_hz: int) -> int:
    """Time of a tick, to the nearest ns; computed from the origin, so that nothing drifts."""
    return origin_ns + (2 * tick * SECOND_NS + grid_hz) // (2 * grid_hz)


def nearest_tick(origin_ns: int, captured_ns: int, grid_hz: int) -> int:
    """The tick nearest to a time; halves go up."""
    return (2 * (captured_ns - origin_ns) * grid_hz + SECOND_NS) // (2 * SECOND_NS)


class Placement(NamedTuple):
    """A tick decided by the newest frame.

    Its feature is (1 - weight) x that of the previous frame + weight x that of the newest.
    """

    tick: int
    weight: float


class TimeGrid:
    """The ticks of one segment.

    `place` raises ValueError for a time that does not rise: such frames never reach the networks.
    """

    def __init__(self, grid_hz: int) -> None:
        self.grid_hz = grid_hz
        self.reset()

    def reset(self) -> None:
        """The next frame opens a new segment."""
        self.origin_ns: int | None = None
        self._last = 0  # newest frame, in ticks x SECOND_NS from the origin
        self._next = 0  # the first tick that is not decided

    @property
    def ticks(self) -> int:
        """Ticks decided so far."""
        return self._next

    def time(self, tick: int) -> int:
        """Stream time of a tick in ns."""
        return tick_ns(self.origin_ns or 0, tick, self.grid_hz)

    def place(self, captured_ns: int) -> list[Placement]:
        """The ticks that this frame decides, in order.

        These are every tick up to the frame, and the next if the frame is within a quarter of it.
        Raises ValueError unless the time is later than the last one.
        """
        if self.origin_ns is None:
            self.origin_ns = captured_ns
            self._last = 0
            self._next = 1
            return [Placement(0, 1.0)]
        now = (captured_ns - self.origin_ns) * self.grid_hz  # in ticks x SECOND_NS: exact
        if now <= self._last:
            raise ValueError(
                f"frame at {captured_ns} ns does not come after the last one: times must rise"
            )
        placed = []
        while SNAP_PARTS * (self._next * SECOND_NS - now) <= SECOND_NS:
            placed.append(Placement(self._next, self._weight(now)))
            self._next += 1
        self._last = now
        return placed

    def _weight(self, now: int) -> float:
        """The share of the frame at `now` in the next tick."""
        tick = self._next * SECOND_NS
        if SNAP_PARTS * abs(tick - now) <= SECOND_NS:
            return 1.0
        return (tick - self._last) / (now - self._last)
