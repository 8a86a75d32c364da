"""When a live frame was taken: the camera's own times on the host's clock.

Arrival times jitter with network and decoder; the camera's times do not, but they start anywhere
and drift. Arrival minus camera time is an offset plus a delay that is never negative, so the least
of it over a while shows the drift. The drift is followed slowly, since a step would look like
motion to the time grid.

The first frames come late, held back while a stream is probed, or by a server that sends all since
its last key frame at once; so the arrival that is given for the first one is the one without that
delay (`packets` measures it).

Nothing here is from the papers.
"""

from __future__ import annotations

from .capture.packets import HELD_BACK_NS, SECOND_NS

BLOCK_NS = 10 * SECOND_NS  # drift is measured between the least offsets of blocks this long
SLEW = 0.005  # of elapsed time: a 33 ms interval changes by 0.17 ms at most
STEP_BACK_NS = SECOND_NS  # camera time that steps back further than this was set anew
# Camera time that runs further ahead of arrival than this, from one frame to the next, was set
# anew.
STEP_AHEAD_NS = SECOND_NS
# Segments of a playlist whose times differ from their arrival by more than this were set anew.
PLAYLIST_JUMP_NS = 60 * SECOND_NS


class ArrivalClock:
    """The clock of one connection; all times in ns.

    Host times lie after `after_ns`, the end of what was recorded before. A first frame that is
    older by less than HELD_BACK_NS was held back and keeps its time: the caller drops it.
    """

    def __init__(self, after_ns: int = 0) -> None:
        self._after = after_ns  # host time of the newest frame
        self._offset: int | None = None  # host time minus camera time
        self._target = 0  # where the offset is heading
        self._block_least = 0  # least arrival minus camera time in this block
        self._last_block_least: int | None = None
        self._block_start = 0  # camera time
        self._last_pts = 0
        self._last_at = 0

    def place(self, pts_ns: int | None, at_ns: int) -> tuple[int, bool]:
        """Host time of a frame with camera time `pts_ns` (None: without) that arrived at `at_ns`.

        The flag says that the camera's clock jumped before this frame. Where the camera's time
        repeats or steps back a little, so does the result; the caller drops such frames.
        """
        jumped = False
        if pts_ns is None:
            host = max(at_ns, self._after + 1)
        else:
            jumped = self._offset is not None and self._jumps(pts_ns, at_ns)
            if self._offset is None or jumped:
                offset = self._anchor(pts_ns, at_ns)
            else:
                offset = self._follow(pts_ns, at_ns, self._offset)
            self._offset = offset
            self._last_at = at_ns
            host = pts_ns + offset
        self._after = max(self._after, host)
        return host, jumped

    def _jumps(self, pts_ns: int, at_ns: int) -> bool:
        step = pts_ns - self._last_pts
        return step < -STEP_BACK_NS or step > at_ns - self._last_at + STEP_AHEAD_NS

    def _anchor(self, pts_ns: int, at_ns: int) -> int:
        """The offset of a first frame, or of one before which the clock jumped."""
        held_back = self._offset is None and self._after - at_ns < HELD_BACK_NS
        host = at_ns if held_back else max(at_ns, self._after + 1)
        self._target = host - pts_ns
        self._block_least = at_ns - pts_ns
        self._last_block_least = None
        self._block_start = pts_ns
        self._last_pts = pts_ns
        return self._target

    def _follow(self, pts_ns: int, at_ns: int, offset: int) -> int:
        """The offset, moved a little towards its target.

        The target moves by the drift from block to block.
        """
        self._block_least = min(self._block_least, at_ns - pts_ns)
        if pts_ns - self._block_start >= BLOCK_NS:
            if self._last_block_least is not None:
                self._target += self._block_least - self._last_block_least
            self._last_block_least = self._block_least
            self._block_least = at_ns - pts_ns
            self._block_start = pts_ns
        most = int(SLEW * max(0, pts_ns - self._last_pts))
        self._last_pts = max(self._last_pts, pts_ns)
        return offset + max(-most, min(most, self._target - offset))


class PlaylistClock:
    """The clock of HLS, for all connections to a playlist.

    Its times are exact, and arrivals, a segment at once, say nothing. So a segment that is given
    again, as after a reconnect, gets the same times as before, and the caller drops it.
    """

    def __init__(self) -> None:
        self._offset: int | None = None
        self._after = 0

    def place(self, pts_ns: int | None, at_ns: int) -> tuple[int, bool]:
        """Host time of a frame, and whether the clock jumped; as ArrivalClock.place."""
        if pts_ns is None:
            return at_ns, False
        jumped = self._offset is not None and abs(pts_ns + self._offset - at_ns) > PLAYLIST_JUMP_NS
        if self._offset is None or jumped:
            self._offset = max(at_ns, self._after + 1) - pts_ns
        self._after = max(self._after, pts_ns + self._offset)
        return pts_ns + self._offset, jumped
