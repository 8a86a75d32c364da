"""Laws 4 (times), 5 (ring, flat memory) and 6 (NMS)."""

import resource
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microspot.engines.clips import SECOND_NS, thin, tick_weights
from microspot.engines.intervals import Intervals, decode, encode, iou, nms
from microspot.realtime.config import Settings
from microspot.realtime.session import Session
from microspot.realtime.spotting.frame_decimator import FrameDecimator
from microspot.realtime.spotting.ring import Ring
from microspot.realtime.spotting.time_grid import TimeGrid, nearest_tick, tick_ns
from tests import fakes

rates = st.sampled_from([15.0, 20.0, 24.0, 25.0, 29.97, 30.0, 50.0, 59.94, 60.0])


def capture_times(seed, hz, jitter, count=120, loss=0.0):
    """Rising capture times in ns, with jitter (share of a frame) and a share of frames lost."""
    rng = np.random.default_rng(seed)
    times = np.round((np.arange(count) + rng.uniform(-jitter, jitter, count)) * 1e9 / hz).astype(
        np.int64
    )
    keep = rng.random(count) >= loss
    keep[0] = True
    return np.unique(times[keep] - times[0])


@settings(max_examples=80)
@given(st.integers(0, 2**32 - 1), rates, st.floats(0, 0.45), st.floats(0, 0.3))
def test_grid_and_decimator_equal_the_offline_rule(seed, hz, jitter, loss):
    times = capture_times(seed, hz, jitter, loss=loss)
    times = times[times >= 0]
    decimator: FrameDecimator[int] = FrameDecimator(30)
    kept = [0]
    decimator.anchor(int(times[0]))
    for i in range(1, len(times)):
        kept += [j for j, selected in decimator.push(int(times[i]), i) if selected]
    kept += [j for j, _ in decimator.flush()]
    assert kept == thin(times, 30).tolist()

    chosen = times[kept]
    grid = TimeGrid(30)
    rows = []
    for i, at in enumerate(chosen):
        for tick, weight in grid.place(int(at)):
            row = np.zeros(len(chosen), np.float32)
            row[i] += weight
            row[i - 1] += 1 - weight
            assert tick == len(rows)
            rows.append(row)
    np.testing.assert_allclose(np.array(rows), tick_weights(chosen, 30), atol=1e-6)


@given(st.integers(0, 10**13), st.integers(0, 10**7), st.sampled_from([25, 30, 60]))
def test_ticks_do_not_drift(origin, tick, hz):
    at = tick_ns(origin, tick, hz)
    assert abs((at - origin) * hz - tick * SECOND_NS) <= hz
    assert nearest_tick(origin, at, hz) == tick


def test_a_time_that_does_not_rise_is_refused():
    grid = TimeGrid(30)
    grid.place(100)
    for at in (100, 99):
        with pytest.raises(ValueError, match="rise"):
            grid.place(at)


@given(st.integers(1, 40), st.integers(0, 200), st.data())
def test_the_ring_gives_the_items_asked_for_or_raises(capacity, count, data):
    ring = Ring(capacity, (2,), np.int64)
    for i in range(count):
        assert ring.append(np.array([i, -i])) == i
    start = data.draw(st.integers(0, count))
    stop = data.draw(st.integers(start, count))
    if start < ring.start and stop > start:
        with pytest.raises(IndexError, match="ring holds"):
            ring.slice(start, stop)
    elif start >= ring.start:
        items = ring.slice(start, stop)
        assert items[:, 0].tolist() == list(range(start, stop))
        assert items.flags["C_CONTIGUOUS"]


def test_the_ring_raises_for_items_that_it_does_not_hold():
    ring = Ring(3, (), np.int64, mirrored=False)
    for i in range(5):
        ring.append(i)
    assert [int(ring[i]) for i in (2, 3, 4)] == [2, 3, 4]
    for index in (1, 5, -1):
        with pytest.raises(IndexError):
            ring[index]
    with pytest.raises(TypeError, match="mirrored"):
        ring.slice(2, 4)


def random_intervals(seed, count):
    rng = np.random.default_rng(seed)
    start = np.round(rng.uniform(0, 40, count) * 2) / 2  # halves, so that duplicates and ties occur
    stop = start + np.round(rng.uniform(4, 17, count))
    return Intervals.of(start, stop, np.round(rng.random(count), 1))


def plain_nms(x, threshold, rule):
    """The indices that NMS keeps, best first: the rule in plain lines."""
    order = sorted(range(len(x)), key=lambda i: (-x.score[i], x.start[i], x.stop[i], i))
    kept: list[int] = []
    for place, i in enumerate(order):
        others = kept if rule == "greedy" else order[:place]
        if not any(removes(x, j, i, threshold, rule) for j in others):
            kept.append(i)
    return kept


def removes(x, j, i, threshold, rule):
    """Whether interval j, which comes before i, removes it."""
    if x.start[i] == x.start[j] and x.stop[i] == x.stop[j]:
        return True
    overlap = float(iou(x.start[i], x.stop[i], x.start[j], x.stop[j]))
    better = rule == "greedy" or x.score[j] > x.score[i]
    return better and overlap > 0 and overlap >= threshold


def as_rows(x, keep, scores):
    starts = x.start[keep].tolist()
    stops = x.stop[keep].tolist()
    return sorted(zip(starts, stops, np.round(scores, 12).tolist(), strict=True))


@settings(max_examples=80)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 60),
    st.sampled_from([0.0, 0.2, 0.5, 1.0]),
    st.sampled_from(["greedy", "author", "soft"]),
)
def test_nms_equals_the_plain_rule_in_any_order(seed, count, threshold, rule):
    x = random_intervals(seed, count)
    keep, scores = nms(x, threshold, rule, floor=0.05)
    rows = as_rows(x, keep, scores)
    shuffled = x[np.random.default_rng(seed).permutation(count)]
    assert as_rows(shuffled, *nms(shuffled, threshold, rule, floor=0.05)) == rows
    if rule == "soft":
        one_each = nms(x, threshold, rule, floor=np.full(count, 0.05))
        assert as_rows(x, *one_each) == rows
    else:
        plain = plain_nms(x, threshold, rule)
        assert as_rows(x, plain, x.score[plain]) == rows
        again, _ = nms(x[keep], threshold, rule)
        assert len(again) == len(keep)


@given(st.floats(0, 100), st.integers(7, 15), st.floats(-1, 0.5), st.floats(-0.5, 1))
def test_encode_inverts_decode(start, width, r1, r2):
    first = start + 20
    stop = first + width
    onset, offset = decode(first, stop, np.array([r1, r2]))
    if offset > onset:
        np.testing.assert_allclose(encode(first, stop, onset, offset), [r1, r2], atol=1e-9)


def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


@pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="reads resident memory from /proc"
)
def test_memory_is_flat_over_40_000_ticks():
    session = Session(fakes.engine_set(), "x", settings=Settings(hop=25))
    feats = fakes.features(np.random.default_rng(1), 5000, 0.02)
    finals = 0
    memory_mb = {}
    for tick in range(40_000):
        crop = fakes.crop(feats[:, tick % 5000], tick_ns(0, tick, 30), tick)
        finals += len([event for event in session.push(crop) if event.status == "final"])
        if tick in (10_000, 39_999):
            memory_mb[tick] = resident_mb()
    assert finals > 40
    assert memory_mb[39_999] - memory_mb[10_000] < 3
