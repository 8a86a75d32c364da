"""Gaps.

Joined, the records of an outage run from the last frame used to the first used after it.
"""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microspot.engines.alignment.bridge import Bridge, BridgeOptions, breaks
from microspot.realtime.gaps import SegmentTracker, joined
from microspot.realtime.records import Gap

MS = 1_000_000
STEP = 40 * MS  # a camera of 25 Hz


def make_tracker(**options):
    return SegmentTracker("cam", Bridge(BridgeOptions(**options)))


def see_all(tracker, sightings):
    """The Gaps of sightings: (time in ms, faces, reason)."""
    gaps = []
    for at, faces, reason in sightings:
        gaps += tracker.see(at * MS, set(faces), reason)
    return gaps


def test_a_gap_is_never_of_zero_length():
    with pytest.raises(ValueError, match="stop 5, expected later than its start 5"):
        Gap("cam", None, 5, 5, "connection lost")


@pytest.mark.parametrize(
    ("hole", "why", "reported"),
    [
        (
            [(80, "turned away"), (120, "turned away"), (160, "turned away")],
            "turned away",
            "turned away",
        ),
        (
            [(80, "registration lost"), (120, "registration lost"), (160, None)],
            "frames missing",
            "registration lost",
        ),
        ([], "frames missing", "frames missing"),
    ],
    ids=["rejected", "rejected, and back in the frame that makes it certain", "no frame came"],
)
def test_the_reason_is_what_was_seen_of_the_hole(hole, why, reported):
    missing = [(at, set(), reason) for at, reason in hole if reason]
    sightings = [(0, {0}, None), (40, {0}, None), *missing, (240, {0}, None)]
    gaps = see_all(make_tracker(frames=1), sightings)
    assert {gap.reason for gap in gaps} == {reported}
    assert [(gap.start_ns, gap.stop_ns) for gap in joined(gaps)] == [(40 * MS, 240 * MS)]


def test_an_outage_of_the_source_runs_from_the_last_frame_used_to_the_first_used():
    """The last frame before it showed no face any more, nor did the first after it."""
    tracker = make_tracker()
    before = see_all(tracker, [(0, {0}, None), (40, {0}, None), (80, set(), "no face")])
    lost = tracker.interrupted(Gap("cam", None, 80 * MS, 5_000 * MS, "connection lost"))
    after = see_all(tracker, [(8_000, set(), "no face"), (8_040, {0}, None), (8_080, {0}, None)])
    reported = [*before, *lost, *after]
    assert [gap.face for gap in lost] == [None]
    assert [(gap.start_ns, gap.stop_ns) for gap in joined(reported)] == [(40 * MS, 8_040 * MS)]


def test_faces_that_were_away_before_the_source_was_lost_keep_their_reason():
    tracker = make_tracker()
    see_all(tracker, [(0, {0, 1}, None), (40, {0, 1}, None)])
    reported = see_all(tracker, [(40 * n, {0}, "turned away") for n in range(2, 8)])
    lost = tracker.interrupted(Gap("cam", None, 280 * MS, 900 * MS, "connection lost"))
    reported += [*lost, *see_all(tracker, [(1_000, {0, 1}, None)])]
    assert [(gap.face, gap.reason) for gap in lost] == [
        (1, "turned away"),
        (None, "connection lost"),
    ]
    assert [(g.face, g.start_ns // MS, g.stop_ns // MS, g.reason) for g in joined(reported)] == [
        (0, 280, 1_000, "connection lost"),
        (1, 40, 1_000, "turned away, connection lost"),
    ]


@given(
    st.lists(
        st.tuples(st.sampled_from([20, 33, 40, 66, 200, 900]), st.booleans(), st.integers(0, 30))
    )
)
def test_joined_gaps_cover_every_hole_that_was_not_bridged_and_nothing_else(script):
    """Against the definition: neighbours in the times of use are bridged, or one outage."""
    tracker = make_tracker()
    reported = []
    used = []
    now = 0
    for step, seen, event in script:
        before = now
        now += step * MS
        if event == 0:
            reported += tracker.interrupted(Gap("cam", None, before, now - 1, "connection lost"))
        if seen:
            reported += tracker.see(now, {0}, None)
            used.append(now)
        else:
            reported += tracker.see(now, set(), "no face")
    if not used:
        return
    outages = [gap for gap in joined(reported) if gap.start_ns >= used[0]]
    for outage in outages:
        if outage.stop_ns <= used[-1]:
            assert outage.start_ns in used
            assert outage.stop_ns in used
    # Only a single frame between two outages lies within a joined one.
    starts = {gap.start_ns for gap in reported}
    isolated = starts & {gap.stop_ns for gap in reported}
    for outage in outages:
        assert all(at in isolated for at in used if outage.start_ns < at < outage.stop_ns)
    for last, first in pairwise(used):
        if first - last > 150 * MS:
            assert any(gap.start_ns <= last and first <= gap.stop_ns for gap in outages)


@pytest.mark.parametrize(
    ("hz", "missing", "bridged"),
    [
        (30, 2, True),
        (30, 3, False),
        (29.97, 2, True),
        (25, 2, True),
        (25, 3, False),
        (24, 2, True),
        (15, 1, True),
        (15, 2, False),
        (60, 2, True),
        (60, 5, True),
        (60, 6, False),
    ],
)
def test_cameras_of_any_rate_may_miss_two_frames(hz, missing, bridged):
    """Above 30 Hz frames are thinned to the grid, and the missing ticks of the grid count."""
    bridge = Bridge()
    step = round(1e9 / min(hz, 30))
    for n in range(40):
        bridge.see(n * step)
    last = 39 * step
    assert bridge.spans(last, last + round((missing + 1) * 1e9 / hz)) is bridged


def test_the_time_of_a_bridge_has_its_own_limit():
    bridge = Bridge(BridgeOptions(frames=4, most_ns=90 * MS))
    bridge.see(0)
    assert bridge.spans(0, 90 * MS)
    assert not bridge.spans(0, 91 * MS)


def test_faces_that_nobody_named_share_one_outage():
    gaps = [
        Gap("a", None, 0, 5, "lost"),
        Gap("a", None, 5, 9, "lost"),
        Gap("b", None, 0, 3, "lost"),
    ]
    assert joined(gaps) == [Gap("a", None, 0, 9, "lost"), Gap("b", None, 0, 3, "lost")]
    assert joined([]) == []


def test_bridges_are_measured_from_the_frames_that_were_looked_at():
    """One late frame does not lengthen them: the rate is a median."""
    bridge = Bridge()
    for at in np.cumsum([33, 33, 33, 900, 33, 33]):
        bridge.see(int(at) * MS)
    assert bridge.longest_ns == pytest.approx(116.7 * MS, rel=0.01)


def test_examinations_split_where_the_stream_reports_a_gap():
    times = [0, 140, 173, 206, 240, 273, 400, 433, 600, 633]
    tracker = make_tracker()
    reported = see_all(tracker, [(at, {0}, None) for at in times])
    assert [times[place] * MS for place in breaks([at * MS for at in times])] == [
        gap.stop_ns for gap in reported
    ]
    assert len(reported) == 3  # before the second interval no rate is known
