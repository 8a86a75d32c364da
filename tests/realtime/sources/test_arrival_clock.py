"""The clock of a live source: the camera's times are kept, its drift is followed."""

from __future__ import annotations

import numpy as np
import pytest

from microspot.engines.clips import SECOND_NS
from microspot.realtime.sources.arrival_clock import ArrivalClock

STEP = SECOND_NS // 30


def test_camera_time_is_kept_whatever_arrival_does() -> None:
    clock = ArrivalClock()
    rng = np.random.default_rng(1)
    delays = rng.integers(1_000_000, 60_000_000, 600)
    placed = [
        clock.place(5 * SECOND_NS + i * STEP, 77 * SECOND_NS + i * STEP + int(d))
        for i, d in enumerate(delays)
    ]
    assert np.abs(np.diff([host for host, _ in placed]) - STEP).max() <= 0.0051 * STEP
    assert not any(jumped for _, jumped in placed)


def test_drift_of_the_camera_clock_is_followed() -> None:
    clock = ArrivalClock()
    late = []
    for i in range(30 * 600):  # ten minutes; the camera's second is 200 ppm short: 120 ms in all
        at = i * STEP + 5_000_000 + (i * 7919 % 13) * 1_000_000
        host, _ = clock.place(i * STEP * 9998 // 10_000, at)
        late.append(at - host)
    assert max(late) - min(late) < 30_000_000


@pytest.mark.parametrize("jump", [-3 * SECOND_NS, 40 * SECOND_NS])
def test_jump_of_the_camera_clock_is_told(jump: int) -> None:
    clock = ArrivalClock()
    placed = []
    for i in range(100):
        camera_ns = 9 * SECOND_NS + i * STEP
        if i >= 50:
            camera_ns += jump
        placed.append(clock.place(camera_ns, 80 * SECOND_NS + i * STEP))
    assert [i for i, (_, jumped) in enumerate(placed) if jumped] == [50]
    assert min(np.diff([host for host, _ in placed])) > 0
    assert placed[-1][0] - placed[0][0] <= 99 * STEP + 2


def test_repeated_times_stay_repeated_and_reconnects_stay_behind_the_floor() -> None:
    clock = ArrivalClock()
    hosts = [
        clock.place(pts, at)[0]
        for pts, at in ((SECOND_NS, 10), (SECOND_NS, 20), (SECOND_NS + STEP, 30), (SECOND_NS, 40))
    ]
    assert hosts[1] <= hosts[0] < hosts[2]
    assert hosts[3] <= hosts[2]
    later = ArrivalClock(after_ns=1000)
    assert later.place(None, 950)[0] == 1001


def test_frames_older_than_the_floor_keep_their_time_unless_it_is_absurd() -> None:
    held = ArrivalClock(after_ns=100 * SECOND_NS)
    assert [held.place(i * SECOND_NS, 98 * SECOND_NS)[0] for i in range(5)] == [
        98 * SECOND_NS,
        99 * SECOND_NS,
        100 * SECOND_NS,
        101 * SECOND_NS,
        102 * SECOND_NS,
    ]
    assert ArrivalClock(after_ns=100 * SECOND_NS).place(0, 50 * SECOND_NS)[0] == 100 * SECOND_NS + 1
