"""One outage of a second and one kill: the whole set is a command (see rtsp_outages)."""

from __future__ import annotations

from tests.faults.rtsp_outages import run


def test_gaps_are_as_long_as_the_camera_s_own_numbers_say() -> None:
    told: list[str] = []
    assert run({"outages": ([1.0, 0.0], 1.5)}, told.append, frames=300), "\n".join(told)
