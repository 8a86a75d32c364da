"""The feed: what counts as evidence.

A fake aligner loses faces, a fake source gives frames at any times.
"""

import threading

import numpy as np
import pytest

from microspot.engines.alignment.aligner import Alignment, Face
from microspot.realtime.config import Settings
from microspot.realtime.feed import End, Feed, Sighting
from microspot.realtime.meter import Meter
from microspot.realtime.records import Frame, Gap

STEP = 33_333_333


class Times:
    """A source of blank frames at given times.

    heights: of the frames, 8 by default; between: (index, record) of a record before a frame.
    """

    name = "times"
    live = False
    pace = False
    epoch = 0
    started_utc = None
    rate_hz = None

    def __init__(self, times, heights=None, between=None):
        self.times = times
        self.heights = heights or [8] * len(times)
        self.between = between
        self.drops = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def __iter__(self):
        images = [np.zeros((height, 8, 3), np.uint8) for height in self.heights]
        records = [Frame("times", i, int(t), images[i]) for i, t in enumerate(self.times)]
        if self.between:
            records.insert(*self.between)
        return iter(records)

    def close(self):
        pass


class Faces:
    """An aligner that finds the faces that `visible(ns)` names; with none it rejects: "no face"."""

    def __init__(self, visible):
        self.visible = visible
        self.resets = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def __call__(self, image, captured_ns):
        pixels = np.zeros((3, 8, 8), np.uint8)
        found = [
            Face(f, pixels, np.eye(2, 3), 1.0, np.empty((0, 2), np.float32))
            for f in self.visible(captured_ns)
        ]
        return Alignment(tuple(found), None if found else "no face")

    def reset(self, face=None):
        self.resets += 1

    def close(self):
        pass


def run(times, visible=lambda ns: {0}, heights=None, between=None):
    feed = Feed(Times(times, heights, between), Faces(visible), 30, Settings(), Meter())
    feed.start(threading.Event())
    items = []
    while not items or not isinstance(items[-1], End):
        items.append(feed.get(block=True))
    feed.close()
    assert items[-1].error is None
    return items[:-1]


def test_an_absence_gives_a_gap_when_certain_and_another_on_return():
    times = [k * STEP for k in range(90)]
    items = run(times, lambda ns: set() if 1_000_000_000 <= ns < 2_000_000_000 else {0})
    gaps = [item for item in items if isinstance(item, Gap)]
    assert [gap.reason for gap in gaps] == ["no face", "no face"]
    assert gaps[0].start_ns == max(t for t in times if t < 1_000_000_000)
    assert gaps[0].stop_ns == gaps[1].start_ns <= gaps[0].start_ns + 100_000_000 + 2 * STEP
    assert gaps[1].stop_ns == min(t for t in times if t >= 2_000_000_000)
    after = items[items.index(gaps[1]) + 1]
    assert isinstance(after, Sighting)
    assert after.crops


def test_a_short_absence_is_bridged():
    items = run([k * STEP for k in range(30)], lambda ns: set() if ns == 10 * STEP else {0})
    assert not [item for item in items if isinstance(item, Gap)]


@pytest.mark.parametrize(("hz", "kept"), [(60, 0.5), (120, 0.25), (30, 1.0), (25, 1.0)])
def test_one_frame_per_tick_is_aligned_and_every_frame_comes_out(hz, kept):
    count = 4 * hz
    items = run([round(k * 1e9 / hz) for k in range(count)])
    assert [item.frame.index for item in items] == list(range(count))
    aligned = [item for item in items if item.crops]
    assert len(aligned) == pytest.approx(kept * count, abs=2)
    assert all(item.dropped == "thinned" for item in items if not item.crops)


def test_each_face_has_its_own_gaps():
    items = run(
        [k * STEP for k in range(60)],
        lambda ns: {0} if 500_000_000 < ns < 1_000_000_000 else {0, 1},
    )
    gaps = [item for item in items if isinstance(item, Gap)]
    assert {gap.face for gap in gaps} == {1}
    assert all(
        any(crop.face == 0 for crop in item.crops) for item in items if isinstance(item, Sighting)
    )


def test_a_feed_that_never_started_can_be_closed():
    Feed(Times([]), Faces(lambda ns: {0}), 30, Settings(), Meter()).close()


def test_a_picture_of_another_size_starts_a_new_segment_in_the_same_frame():
    heights = [8] * 10 + [16] * 10 + [12] + [8] * 9
    items = run([k * STEP for k in range(30)], heights=heights)
    gaps = [item for item in items if isinstance(item, Gap)]
    assert [(gap.start_ns, gap.stop_ns) for gap in gaps] == [
        ((k - 1) * STEP, k * STEP) for k in (10, 20, 21)
    ]
    assert {(gap.face, gap.reason) for gap in gaps} == {(None, "picture size changed")}
    sighted = [item for item in items if isinstance(item, Sighting)]
    assert [len(item.crops) for item in sighted] == [1] * 30


def test_a_change_of_size_after_an_interruption_gives_no_gap_of_its_own():
    lost = Gap("times", None, 9 * STEP, 10 * STEP, "connection lost")
    items = run([k * STEP for k in range(20)], heights=[8] * 10 + [16] * 10, between=(10, lost))
    assert [item for item in items if isinstance(item, Gap)] == [lost]
