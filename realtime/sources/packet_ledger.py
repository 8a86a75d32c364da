"""Which frames a video file holds, by the times of its packets.

So lost frames are counted, and the numbers of the others stay right. A decoder reports only the
first of the frames that it loses with a key frame, and some packets never show a frame (second
fields, hidden references): so a frame that does not come counts as lost only between an error and
the next key frame.

AVI keeps only the order of decoding. The display times that FFmpeg makes up for H.264 in AVI go
back and forth, but sorted decoding times are right, since the container's frames are evenly spaced.
"""

from __future__ import annotations

import heapq
from typing import Any


class PacketLedger:
    """The time stamps of packets whose frames have not come yet, in units of the time base."""

    def __init__(self, by_decoding: bool) -> None:
        self.damaged = False  # since the last key frame
        self._by_decoding = by_decoding
        self._due: list[int] = []  # a heap

    def expect(self, packet: Any) -> None:
        """Enter a packet that goes to the decoder."""
        self.damaged |= packet.is_corrupt
        stamp = packet.dts if self._by_decoding or packet.pts is None else packet.pts
        if stamp is not None and packet.size and not packet.is_discard:
            heapq.heappush(self._due, stamp)

    def stamp(self, frame: Any) -> int | None:
        """The time of a frame that came out; None where the file has no times at all."""
        if frame.pts is not None and not self._by_decoding:
            return int(frame.pts)
        return self._due[0] if self._due else None

    def lost_before(self, stamp: int | None, is_key: bool = False) -> int:
        """How many frames were lost before the one stamped `stamp` (None: before the end).

        is_key: whether that one is a key frame.
        """
        lost = 0
        while self._due and (stamp is None or self._due[0] <= stamp):
            if heapq.heappop(self._due) != stamp:
                lost += 1
        counted = lost if self.damaged else 0
        if is_key:
            self.damaged = False
        return counted
