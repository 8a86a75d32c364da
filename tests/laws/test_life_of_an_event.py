"""Laws 2, 3 and 7: latency bounds, one end for every provisional id, equal bytes on equal input."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microspot.engines import reference
from microspot.realtime.config import Settings
from microspot.realtime.session import Session
from microspot.realtime.spotting.time_grid import tick_ns
from microspot.realtime.start_record import latency
from tests import fakes


def run(feats, hop=1, limit=300, **changes):
    """(tick at which it came out, event) for every event of a segment."""
    session = Session(
        fakes.engine_set(**changes), "x", settings=Settings(hop=hop, cluster_ticks=limit)
    )
    ticks = feats.shape[1]
    found = []
    for tick in range(ticks):
        crop = fakes.crop(feats[:, tick], tick_ns(0, tick, 30), tick)
        found += [(tick, event) for event in session.push(crop)]
    return found + [(ticks, event) for event in session.flush()]


@settings(max_examples=25)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["greedy", "author", "soft"]),
    st.sampled_from([60, 300]),
)
def test_every_provisional_id_ends_once(seed, rule, limit):
    feats = fakes.features(np.random.default_rng(seed), 250, 1.5)
    ends: dict[str, list[str]] = {}
    for _, event in run(feats, limit=limit, nms_rule=rule):
        ends.setdefault(event.id, []).append(event.status)
    for statuses in ends.values():
        closing = [status for status in statuses if status != "provisional"]
        assert len(closing) == 1
        assert statuses[-1] == closing[0]


def test_only_final_events_carry_label_and_intensity():
    events = [event for _, event in run(fakes.features(np.random.default_rng(3), 400, 0.5))]
    assert {event.status for event in events} >= {"provisional", "final"}
    for event in events:
        recognized = [event.label, event.intensity, event.apex_ns]
        if event.status != "final":
            assert recognized == [None, None, None]
        else:
            assert None not in recognized
            assert event.onset_ns <= event.apex_ns <= event.offset_ns
            assert len(event.intensity) == 11


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_provisional_within_its_bound(seed, hop):
    feats = fakes.features(np.random.default_rng(seed), 200, 0.2)
    engines = fakes.engine_set()
    bound = latency(engines.spotter, hop)["provisional"]
    windows = reference.refine(feats, reference.propose(feats, engines), engines)
    first = {}
    for tick, event in run(feats, hop):
        first.setdefault(event.id, (tick, event.status))
    announced = sorted(tick for tick, status in first.values() if status == "provisional")
    for members in reference.clusters(windows, 300):
        earliest = min(window.end for window in members)
        ticks = [*announced, feats.shape[1]]
        assert any(earliest <= tick <= earliest + bound for tick in ticks)


@pytest.mark.parametrize("hop", [1, 2, 4])
def test_final_within_its_bound_after_an_isolated_event(hop):
    feats = np.zeros((fakes.L, 300), np.float32)
    feats[:3, 100:112] = 2.0
    bound = latency(fakes.spec(), hop)["final"]
    engines = fakes.engine_set()
    windows = reference.refine(feats, reference.propose(feats, engines), engines)
    finals = [tick for tick, event in run(feats, hop) if event.status == "final"]
    assert finals
    # of all that competes with the event
    last_tick = max(math.ceil(window.stop) for window in windows) - 1
    assert max(finals) <= last_tick + bound


def test_the_published_bounds_hold_for_the_default_spec():
    bounds = latency(fakes.spec(), 1)
    assert bounds["provisional"] <= 11
    assert bounds["final"] <= 30


def test_two_runs_give_equal_bytes():
    feats = fakes.features(np.random.default_rng(11), 500, 0.5)
    once = json.dumps([event.to_json() for _, event in run(feats)])
    again = json.dumps([event.to_json() for _, event in run(feats)])
    assert once == again
    assert len(once) > 1000
