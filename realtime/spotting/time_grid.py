"""TimeGrid: capture times (ns) to uniform ticks at the weights' rate. Integers only; no declared rate is consulted.

Tick k of a segment lies at origin + k / grid_hz, origin being the segment's first accepted frame. A frame within a
quarter tick of a tick is that tick; any other tick is linear in time between the frames left and right of it.
"""

from __future__ import annotations

from typing import NamedTuple

from microspot.engines.clips import SECOND_NS, SNAP_PARTS

NS = SECOND_NS


def tick_ns(origin_ns: int, tick: int, grid_hz: int) -> int:
    """Time of a tick, rounded to the nearest nanosecond (no drift: computed from the origin, never summed)."""
    return origin_ns + (2 * tick * NS + grid_hz) // (2 * grid_hz)


def nearest_tick(origin_ns: int, captured_ns: int, grid_hz: int) -> int:
    """The tick nearest to a time; halves go up."""
    return (2 * (captured_ns - origin_ns) * grid_hz + NS) // (2 * NS)


class Placement(NamedTuple):
    """A tick decided by the newest frame: feature = (1 - weight) x previous frame + weight x newest frame."""

    tick: int
    weight: float


class TimeGrid:
    """The ticks of one segment.

    place() raises ValueError for a time that does not rise: such frames never reach the networks.
    """

    def __init__(self, grid_hz: int) -> None:
        self.grid_hz = grid_hz
        self.reset()

    def reset(self) -> None:
        """The next frame opens a new segment."""
        self.origin_ns: int | None = None
        self._last = 0  # newest frame, in ticks x NS from the origin
        self._next = 0

    @property
    def ticks(self) -> int:
        """Ticks decided so far."""
        return self._next

    def time(self, tick: int) -> int:
        """Stream time of a tick in ns."""
        return tick_ns(self.origin_ns or 0, tick, self.grid_hz)

    def place(self, captured_ns: int) -> list[Placement]:
        """The ticks that this frame decides, in order: every tick up to it, and the next if it is within a quarter."""
        if self.origin_ns is None:
            self.origin_ns, self._last, self._next = captured_ns, 0, 1
            return [Placement(0, 1.0)]
        now = (captured_ns - self.origin_ns) * self.grid_hz  # in ticks x NS: exact
        if now <= self._last:
            raise ValueError(
                f"frame at {captured_ns} ns does not come after the last one: times must rise"
            )
        placed = []
        while SNAP_PARTS * ((at := self._next * NS) - now) <= NS:
            near = SNAP_PARTS * abs(at - now) <= NS
            placed.append(
                Placement(self._next, 1.0 if near else (at - self._last) / (now - self._last))
            )
            self._next += 1
        self._last = now
        return placed
