"""Packets of a live stream that wait to be decoded, with the times at which they came.

What comes faster than it can be analysed waits here and not as frames: a packet is a hundredth of
its frame, so that the 20 s which HLS hands over at once fit in a few MB.

Waiting is judged by time, whenever a packet comes: the oldest is overdue when it has waited
`late_ns` beyond its arrival, or beyond its turn in capture time, whichever is later. So a burst
ahead of its time is worked off. An analysis slower than the camera falls behind by that much; then
all that waits is dropped, and what comes up to the next key frame, since no frame between can be
decoded.

Of this project this module imports the clock alone, so that the worker stays light. Nothing here is
from the papers.
"""

from __future__ import annotations

import collections
import threading
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

from .host_clock import host_time_ns

# As engines.clips.SECOND_NS, which the worker does not load; a test compares the two.
SECOND_NS = 1_000_000_000
# The longest that frames are held back on their way: those since a key frame, sent at once.
HELD_BACK_NS = 15 * SECOND_NS


class ArrivedPacket(NamedTuple):
    """A packet of PyAV, when it came and is due (host ns), and how many were dropped before it."""

    packet: Any
    at_ns: int
    due_ns: int = 0
    lost: int = 0


class LivePackets:
    """Packets that one thread reads from `source` while another iterates over them, once.

    Iterating raises what reading raised, in its place.
    """

    def __init__(
        self, source: Iterator[Any], late_ns: int, limit_bytes: int, settle_ns: int
    ) -> None:
        self._source = source
        self._late_ns = late_ns
        self._limit_bytes = limit_bytes
        self._settle_ns = settle_ns
        self._queue: collections.deque[ArrivedPacket] = collections.deque()
        self._change = threading.Condition()
        self._bytes = 0
        self._lost = 0  # packets dropped since the last one that was queued
        self._dropping = False
        self._ended = False
        self._closed = False
        self._has_key_frames = False
        self._error: Exception | None = None
        # Delays are arrival minus capture time.
        self._delay_when_empty: int | None = None  # when the queue was last empty
        self._first_at_ns = 0  # arrival of the first packet that has a time
        self._first_delay: int | None = None
        self._least_delay: int | None = None  # while the connection settled
        self._thread = threading.Thread(target=self._read, name="packets", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[ArrivedPacket]:
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
        """Wait for the reader, which leaves at its next packet.

        No container may be closed while it is read.
        """
        self._closed = True
        self._thread.join()

    def undelayed_ns(self, pts_ns: int, at_ns: int) -> int:
        """When a frame of `pts_ns` that came at `at_ns` would have come, had nothing held it back.

        Probing, a burst, or a queue on its way may have.
        """
        return at_ns if self._least_delay is None else pts_ns + self._least_delay

    def _settle(self) -> None:
        with self._change:
            self._change.wait_for(lambda: self._queue or self._ended)
            self._change.wait_for(lambda: self._ended, self._settle_ns / SECOND_NS)

    def _read(self) -> None:
        try:
            for packet in self._source:
                self._add(packet, host_time_ns())
                if self._closed:
                    return
        except Exception as error:  # raised in the thread that iterates
            self._error = error
        finally:
            with self._change:
                self._ended = True
                self._change.notify_all()

    def _add(self, packet: Any, at_ns: int) -> None:
        """Queue a packet, or drop it."""
        pts_ns = to_ns(packet.pts, packet.time_base)
        with self._change:
            self._has_key_frames |= packet.is_keyframe
            self._measure_delay(pts_ns, at_ns)
            if self._overdue(packet, at_ns):
                self._drop_all()
            undecodable = self._has_key_frames and not packet.is_keyframe
            if self._dropping and packet.size and undecodable:
                self._lost += 1
                return
            self._dropping = False
            if not self._queue:
                self._delay_when_empty = None if pts_ns is None else at_ns - pts_ns
            due_ns = at_ns
            if pts_ns is not None and self._delay_when_empty is not None:
                due_ns = pts_ns + self._delay_when_empty
            self._queue.append(ArrivedPacket(packet, at_ns, due_ns, self._lost))
            self._lost = 0
            self._bytes += packet.size
            self._change.notify_all()

    def _measure_delay(self, pts_ns: int | None, at_ns: int) -> None:
        """Follow the least delay while the connection settles."""
        if pts_ns is None:
            return
        delay = at_ns - pts_ns
        if self._first_delay is None or self._least_delay is None:
            self._first_at_ns = at_ns
            self._first_delay = delay
            self._least_delay = delay
        settling = at_ns - self._first_at_ns <= self._settle_ns
        if settling and 0 < self._first_delay - delay < HELD_BACK_NS:
            self._least_delay = min(self._least_delay, delay)

    def _overdue(self, packet: Any, at_ns: int) -> bool:
        """Whether packets wait for too long, or in too many bytes.

        The empty packet of the end drops nothing that waits, and is not dropped itself.
        """
        if not self._queue or not packet.size:
            return False
        oldest = self._queue[0]
        late = at_ns - max(oldest.at_ns, oldest.due_ns) > self._late_ns
        return late or self._bytes + packet.size > self._limit_bytes

    def _drop_all(self) -> None:
        self._lost += sum(1 + arrived.lost for arrived in self._queue)
        self._queue.clear()
        self._bytes = 0
        self._dropping = True


class RecordedPackets:
    """Packets of a recording: read when they are asked for, so that none ever waits."""

    def __init__(self, source: Iterator[Any]) -> None:
        self._source = source

    def __iter__(self) -> Iterator[ArrivedPacket]:
        for packet in self._source:
            yield ArrivedPacket(packet, host_time_ns())

    def close(self) -> None:
        """Do nothing: nothing is held."""

    def undelayed_ns(self, pts_ns: int, at_ns: int) -> int:
        """The arrival itself: nothing held the frame back."""
        return at_ns


def to_ns(stamp: int | None, time_base: Fraction) -> int | None:
    """A time stamp (units of `time_base` seconds) in ns; None for none."""
    if stamp is None:
        return None
    return stamp * time_base.numerator * SECOND_NS // time_base.denominator
