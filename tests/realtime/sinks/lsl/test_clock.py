"""LSL's clock and the host's, which are one on Linux: so here they are made up, and differ."""

from __future__ import annotations

import pytest

from microspot.realtime.sinks.lsl import clock
from microspot.realtime.sinks.lsl.clock import PAIRS, LslClock

AHEAD_S = 1000.0
MS = 1_000_000


class Clocks:
    """Two clocks of one host, of which LSL's is AHEAD_S ahead, read in as long as is given.

    delays: for each reading of LSL's clock, ns before and after it.
    """

    def __init__(self, delays: list[tuple[int, int]]) -> None:
        self._delays = iter(delays)
        self._now_ns = 7_000_000_000

    def host_time_ns(self) -> int:
        return self._now_ns

    def local_clock(self) -> float:
        before, after = next(self._delays)
        read_ns = self._now_ns + before
        self._now_ns = read_ns + after
        return read_ns / 1e9 + AHEAD_S


@pytest.mark.parametrize(
    "delays",
    [
        pytest.param([(MS, MS)] * PAIRS, id="reading takes a while"),
        pytest.param([(0, 500 * MS)] * 4 + [(MS, MS)] * 7, id="some readings are interrupted"),
    ],
)
def test_times_go_to_lsl_s_clock_and_back(
    delays: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    clocks = Clocks(delays)
    monkeypatch.setattr(clock, "host_time_ns", clocks.host_time_ns)
    made = LslClock(clocks)
    monkeypatch.undo()
    assert made.stamp(5.0) == pytest.approx(5.0 + AHEAD_S, abs=1e-6)
    assert made.host_ns(5.0 + AHEAD_S) == pytest.approx(5e9, abs=1000)
