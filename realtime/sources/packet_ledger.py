"""Which frames a video file holds, by the times of its packets, so that lost ones are counted and numbers stay right.

A decoder reports only the first of the frames it loses with a key frame, and some packets never
show a frame (second fields, hidden references): so a frame that does not come counts as lost only
between an error and the next key frame. AVI keeps only the order of decoding; the display times
FFmpeg makes up for H.264 in AVI go back and forth, but sorted decoding times are right, since the
container's frames are evenly apart.
"""

from __future__ import annotations

import heapq
from typing import Any


class PacketLedger:
    """The time stamps (units of the stream's time base) of packets whose frames have not come yet."""

    def __init__(self, by_decoding: bool) -> None:
        self.trouble = False
        self._by_decoding = by_decoding
        self._due: list[int] = []

    def expect(self, packet: Any) -> None:
        """A packet goes to the decoder."""
        self.trouble |= packet.is_corrupt
        stamp = packet.dts if self._by_decoding or packet.pts is None else packet.pts
        if stamp is not None and packet.size and not packet.is_discard:
            heapq.heappush(self._due, stamp)

    def stamp(self, frame: Any) -> int | None:
        """The time of a frame that came out; None where the file has no times at all."""
        if frame.pts is not None and not self._by_decoding:
            return int(frame.pts)
        return self._due[0] if self._due else None

    def missing(self, upto: int | None, key: bool = False) -> int:
        """How many frames were lost before the one stamped `upto` (None: before the end), a key frame or not."""
        lost = 0
        while self._due and (upto is None or self._due[0] <= upto):
            lost += heapq.heappop(self._due) != upto
        counted = lost if self.trouble else 0
        self.trouble &= not key
        return counted
