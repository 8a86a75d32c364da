"""Laws 1 and 3 with a memory of rejected events: equal to the reference, one end for every id."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from microspot.engines import reference
from microspot.engines.rejected_memory import Memory, event_vector, ticks_of
from microspot.realtime.config import Settings
from microspot.realtime.session import Session
from microspot.realtime.spotting.time_grid import tick_ns
from tests import fakes
from tests.laws.test_stream_equals_offline import final, rows, rows_of


def everything(session, feats):
    """All events of a session fed one crop per tick."""
    events = []
    for tick in range(feats.shape[1]):
        events += session.push(fakes.crop(feats[:, tick], tick_ns(0, tick, 30), tick))
    return events + session.flush()


def memory_of(feats, engines):
    """Every other event of a segment is rejected."""
    found = reference.spot(feats, engines)
    vectors = [
        event_vector(feats[:, slice(*ticks_of(start, stop, feats.shape[1]))])
        for start, stop in zip(found.start, found.stop, strict=True)
    ]
    stacked = np.array(vectors, np.float32).reshape(-1, fakes.L)
    return Memory(stacked[::2], stacked[1::2], engines.digest), found


@settings(max_examples=6)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 9),
    st.sampled_from([0.5, 1.5]),
    st.sampled_from(["greedy", "soft"]),
)
def test_the_stream_suppresses_what_the_reference_does(seed, hop, activity, rule):
    feats = fakes.features(np.random.default_rng(seed), 150, activity)
    engines = fakes.engine_set(nms_rule=rule)
    memory, found = memory_of(feats, engines)
    session = Session(engines, "x", settings=Settings(hop=hop), memory=memory)
    events = everything(session, feats)
    kept = memory.without(found, feats)
    assert rows(final(events)) == rows_of(kept)
    assert session.suppressed == len(found.start) - len(kept.start)
    statuses: dict[str, list[str]] = {}
    for event in events:
        statuses.setdefault(event.id, []).append(event.status)
    for said in statuses.values():
        assert sum(status != "provisional" for status in said) == 1
        assert said[-1] != "provisional"
        assert said[0] != "withdrawn"  # nothing is taken back that was never said


def test_something_is_suppressed_and_something_is_not():
    feats = fakes.features(np.random.default_rng(1), 200, 0.5)
    engines = fakes.engine_set()
    memory, found = memory_of(feats, engines)
    kept = memory.without(found, feats)
    assert 0 < len(kept.start) < len(found.start)
    session = Session(engines, "x", memory=memory)
    everything(session, feats)
    before = session.suppressed
    session.reset()
    everything(session, feats)
    assert session.suppressed == 2 * before > 0  # counted over all segments


def test_final_events_carry_what_they_are_remembered_by():
    feats = fakes.features(np.random.default_rng(3), 120, 0.5)
    events = everything(Session(fakes.engine_set(), "x"), feats)
    for event in events:
        if event.status == "final":
            interval = feats[:, event.onset_frame : event.offset_frame + 1]
            np.testing.assert_allclose(event.vector, event_vector(interval))
        else:
            assert event.vector is None
    assert final(events)
