"""When a live frame was taken: the camera's own times on the host's monotonic clock.

Arrival times jitter with network and decoder; the camera's times do not, but they start anywhere
and drift. Arrival minus camera time is an offset plus a delay that is never negative, so the least
of it over a while shows the drift. It is followed slowly, since a step would look like motion to
the time grid. The first frames come late, held back while a stream is probed or by a server that
sends all since its last key frame; so the arrival that is given for the first one is what the least
delay of the connection's beginning makes it (see `packets`). Nothing here is from the papers.
"""

from __future__ import annotations

BLOCK_NS = 10_000_000_000  # drift is measured between the least offsets of blocks this long
SLEW = 0.005  # of elapsed time: a 33 ms interval changes by 0.17 ms at most
BACK_NS = 1_000_000_000  # camera time that steps back further than this was set anew
LEAP_NS = 60_000_000_000  # segments whose times differ from arrival by this much were set anew
HELD_NS = 15_000_000_000  # a first frame up to this much before the floor is one that was held back: it keeps its time
# so was one that runs this far ahead of arrival from one frame to the next
AHEAD_NS = 1_000_000_000


class ArrivalClock:
    """One connection's clock. Times in ns; host times given out lie after `floor_ns`, the end of what was told before.

    But for frames that are themselves older than that, which keep their time: the caller drops
    them.
    """

    def __init__(self, floor_ns: int = 0) -> None:
        self._floor = floor_ns
        self._offset: int | None = None
        self._target = 0  # where the offset is heading
        self._low = 0  # least arrival minus camera time in this block
        self._past: int | None = None  # and in the one before
        self._block_from = self._last_pts = self._last_at = 0

    def place(self, pts_ns: int | None, at_ns: int) -> tuple[int, bool]:
        """Host time of a frame with camera time `pts_ns` (None: it has none) that arrived at `at_ns`.

        The flag says that the camera's clock jumped before this frame. Where the camera's time
        repeats or steps back a little, so does the result; the caller drops such frames.
        """
        jumped = False
        if pts_ns is None:
            host = max(at_ns, self._floor + 1)
        else:
            jumped = self._offset is not None and self._jumps(pts_ns, at_ns)
            if self._offset is None or jumped:
                offset = self._anchor(pts_ns, at_ns)
            else:
                offset = self._follow(pts_ns, at_ns, self._offset)
            host, self._offset, self._last_at = pts_ns + offset, offset, at_ns
        self._floor = max(self._floor, host)
        return host, jumped

    def _jumps(self, pts_ns: int, at_ns: int) -> bool:
        step = pts_ns - self._last_pts
        return step < -BACK_NS or step > at_ns - self._last_at + AHEAD_NS

    def _anchor(self, pts_ns: int, at_ns: int) -> int:
        held = self._offset is None and self._floor - at_ns < HELD_NS
        self._target = (at_ns if held else max(at_ns, self._floor + 1)) - pts_ns
        self._low, self._past = at_ns - pts_ns, None
        self._block_from = self._last_pts = pts_ns
        return self._target

    def _follow(self, pts_ns: int, at_ns: int, offset: int) -> int:
        """The offset, moved a little towards its target; the target moves by the drift from block to block."""
        self._low = min(self._low, at_ns - pts_ns)
        if pts_ns - self._block_from >= BLOCK_NS:
            if self._past is not None:
                self._target += self._low - self._past
            self._past, self._low, self._block_from = self._low, at_ns - pts_ns, pts_ns
        step = int(SLEW * max(0, pts_ns - self._last_pts))
        self._last_pts = max(self._last_pts, pts_ns)
        return offset + max(-step, min(step, self._target - offset))


class PlaylistClock:
    """The clock of HLS, for all its connections: its times are exact, and arrivals, a segment at once, say nothing.

    So a segment that is given again, as after a reconnect, falls where it fell before, and the
    caller drops it.
    """

    def __init__(self) -> None:
        self._offset: int | None = None
        self._floor = 0

    def place(self, pts_ns: int | None, at_ns: int) -> tuple[int, bool]:
        """As ArrivalClock.place."""
        if pts_ns is None:
            return at_ns, False
        jumped = self._offset is not None and abs(pts_ns + self._offset - at_ns) > LEAP_NS
        if self._offset is None or jumped:
            self._offset = max(at_ns, self._floor + 1) - pts_ns
        self._floor = max(self._floor, pts_ns + self._offset)
        return pts_ns + self._offset, jumped
