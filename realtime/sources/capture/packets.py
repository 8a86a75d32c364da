"""Packets of a live stream that wait to be decoded, with the times they came. The capture worker's,
so it imports nothing of this project.

What comes faster than it can be analysed waits here and not as frames: a packet is a hundredth of
its frame, so that the 20 s which HLS hands over at once fit in a few MB. Waiting is judged by time,
whenever a packet comes: the oldest is overdue when it has waited `late_ns` beyond its arrival or
beyond its turn in capture time, whichever is later. So a burst ahead of its time is worked off. An
analysis slower than the camera falls behind by that much, then all that waits is dropped, and what
comes up to the next key frame, since no frame between can be decoded. Nothing here is from the
papers.
"""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

NS = 1_000_000_000
# longest that a packet is held back on its way: the pictures since a key frame, sent at once
HELD_NS = 15 * NS


class Arrived(NamedTuple):
    """A packet of PyAV, when it came, when it is due (host ns), and how many were dropped before it."""

    packet: Any
    at_ns: int
    due_ns: int = 0
    lost: int = 0


class Packets:
    """Iterate once, from one thread, while another one reads `source`. Raises what reading raised, at that place."""

    def __init__(
        self, source: Iterator[Any], late_ns: int, limit_bytes: int, settle_ns: int
    ) -> None:
        self._source, self._late_ns, self._limit, self._settle_ns = (
            source,
            late_ns,
            limit_bytes,
            settle_ns,
        )
        self._queue: collections.deque[Arrived] = collections.deque()
        self._change = threading.Condition()
        self._bytes = self._lost = 0
        self._dropping = self._ended = self._closed = self._keyed = False
        self._error: Exception | None = None
        self._turn: int | None = None  # arrival minus capture time when the queue was last empty
        self._first: tuple[int, int] | None = None  # arrival, and arrival minus capture time
        self._least: int | None = None  # the least of the latter while the connection settled
        self._thread = threading.Thread(target=self._read, name="packets", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Arrived]:
        self._settle()
        while True:
            with self._change:
                self._change.wait_for(lambda: self._queue or self._ended)
                if not self._queue:
                    break
                arrived = self._queue.popleft()
                self._bytes -= arrived.packet.size
            yield arrived
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Wait for the reader, which leaves at its next packet: no container may close under a read."""
        self._closed = True
        self._thread.join()

    def earliest(self, pts_ns: int, at_ns: int) -> int:
        """When a frame of `pts_ns` would have come without what held it back: probing, a burst, a queue on its way."""
        return at_ns if self._least is None else pts_ns + self._least

    def _settle(self) -> None:
        with self._change:
            self._change.wait_for(lambda: self._queue or self._ended)
            self._change.wait_for(lambda: self._ended, self._settle_ns / NS)

    def _read(self) -> None:
        try:
            for packet in self._source:
                self._take(packet, time.monotonic_ns())
                if self._closed:
                    return
        except Exception as error:  # the one who iterates shall have it
            self._error = error
        finally:
            with self._change:
                self._ended = True
                self._change.notify_all()

    def _take(self, packet: Any, at_ns: int) -> None:
        pts_ns = _ns(packet, packet.pts)
        with self._change:
            self._keyed |= packet.is_keyframe
            self._watch(pts_ns, at_ns)
            if self._overdue(packet, at_ns):
                self._drop()
            if self._dropping and packet.size and self._keyed and not packet.is_keyframe:
                self._lost += 1
                return
            self._dropping = False
            if not self._queue:
                self._turn = None if pts_ns is None else at_ns - pts_ns
            due_ns = at_ns if pts_ns is None or self._turn is None else pts_ns + self._turn
            self._queue.append(Arrived(packet, at_ns, due_ns, self._lost))
            self._lost, self._bytes = 0, self._bytes + packet.size
            self._change.notify_all()

    def _watch(self, pts_ns: int | None, at_ns: int) -> None:
        """Follow the least delay while the connection settles."""
        if pts_ns is None:
            return
        if self._first is None:
            self._first, self._least = (at_ns, at_ns - pts_ns), at_ns - pts_ns
        first_at, delay = self._first
        if at_ns - first_at <= self._settle_ns and 0 < delay - (at_ns - pts_ns) < HELD_NS:
            self._least = min(self._least or 0, at_ns - pts_ns)

    def _overdue(self, packet: Any, at_ns: int) -> bool:
        """Whether too much waits, for too long or in bytes. The empty packet of the end ends what waits, and stays."""
        if not self._queue or not packet.size:
            return False
        head = self._queue[0]
        late = at_ns - max(head.at_ns, head.due_ns) > self._late_ns
        return late or self._bytes + packet.size > self._limit

    def _drop(self) -> None:
        self._lost += sum(1 + arrived.lost for arrived in self._queue)
        self._queue.clear()
        self._bytes, self._dropping = 0, True


class OnDemand:
    """Packets of a recording: read when they are asked for, so that nothing ever waits."""

    def __init__(self, source: Iterator[Any]) -> None:
        self._source = source

    def __iter__(self) -> Iterator[Arrived]:
        for packet in self._source:
            yield Arrived(packet, time.monotonic_ns())

    def close(self) -> None:
        """Nothing is held."""

    def earliest(self, pts_ns: int, at_ns: int) -> int:
        """Nothing held it back."""
        return at_ns


def _ns(packet: Any, stamp: int | None) -> int | None:
    base = packet.time_base
    return None if stamp is None else stamp * base.numerator * NS // base.denominator
