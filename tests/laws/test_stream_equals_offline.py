"""Law 1: any split, hop and batch of cameras gives what `engines.reference` says of the whole segment."""

import dataclasses

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from microspot.engines import baseline, reference
from microspot.engines.intervals import rounded
from microspot.engines.runtime.engine import FunctionEngine
from microspot.engines.specs import FREE_SIZES
from microspot.realtime.config import Settings
from microspot.realtime.session import Session
from microspot.realtime.spotting.batching import run_batched
from microspot.realtime.spotting.time_grid import tick_ns
from tests import fakes

cases = st.tuples(
    st.integers(0, 2**32 - 1),
    st.integers(1, 260),
    st.integers(1, 9),
    st.sampled_from([0.1, 0.5, 1.5]),
)


def stream(session, feats):
    """Final events of a session fed one crop per tick."""
    events = []
    for tick in range(feats.shape[1]):
        events += session.push(fakes.crop(feats[:, tick], tick_ns(0, tick, 30), tick))
    return [e for e in events + session.flush() if e.status == "final"]


def ticks_of(events):
    return sorted((e.onset_frame, e.offset_frame, round(e.score, 12)) for e in events)


def expected(engines, feats, limit=300):
    found = reference.spot(feats, engines, limit)
    rows = zip(found.start, found.stop, found.score, strict=True)
    return sorted(
        (max(rounded(a), 0), max(rounded(b) - 1, rounded(a)), round(float(s), 12))
        for a, b, s in rows
    )


@settings(max_examples=30)
@given(cases)
def test_any_hop_equals_the_reference(case):
    seed, length, hop, activity = case
    feats = fakes.features(np.random.default_rng(seed), length, activity)
    engines = fakes.engine_set()
    assert ticks_of(stream(Session(engines, "x", settings=Settings(hop=hop)), feats)) == expected(
        engines, feats
    )


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(1, 120), st.integers(1, 130))
def test_the_reference_may_ask_in_pieces(seed, length, piece):
    feats = fakes.features(np.random.default_rng(seed), length, 0.5)
    for engines in (fakes.engine_set(), baseline.load()):
        feats = np.resize(feats, (engines.proposer.inputs[0].shape[1], length))
        whole, parts = (reference.propose(feats, engines, n) for n in (10_000, piece))
        np.testing.assert_allclose(parts, whole, atol=1e-6)  # and NaN where the whole has them


def test_the_reference_asks_no_engine_for_more_than_it_takes():
    engines, asked = fakes.engine_set(), []

    def propose(features, valid, state):
        asked.append(features.shape[2])
        return fakes.propose(features, valid, state)

    watched = dataclasses.replace(
        engines, proposer=FunctionEngine(propose, *fakes.spec().tensors()["proposer"])
    )
    feats = fakes.features(np.random.default_rng(0), 1804)
    assert reference.propose(feats, watched).shape[1] == 1804
    assert max(asked) == FREE_SIZES["n"].largest


@settings(max_examples=12)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["greedy", "author", "soft"]))
def test_every_rule_and_the_barrier_equal_the_reference(seed, rule):
    feats = fakes.features(np.random.default_rng(seed), 400, 2.5)
    engines = fakes.engine_set(nms_rule=rule, t_crn=0.3, t_cpn=0.2)
    session = Session(engines, "x", settings=Settings(cluster_ticks=60))
    assert ticks_of(stream(session, feats)) == expected(engines, feats, limit=60)


def test_the_barrier_is_really_met():
    engines = fakes.engine_set(t_crn=0.3, t_cpn=0.2)
    feats = fakes.features(np.random.default_rng(5), 400, 2.5)
    windows = reference.refine(feats, reference.propose(feats, engines), engines)
    assert len(reference.clusters(windows, 60)) > len(reference.clusters(windows, 10_000))


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1), st.integers(2, 5))
def test_cameras_in_one_batch_equal_cameras_alone(seed, cameras):
    rng = np.random.default_rng(seed)
    streams = [fakes.features(rng, int(rng.integers(20, 120)), 0.8) for _ in range(cameras)]
    engines = fakes.engine_set()
    sessions = [
        Session(engines, "x", settings=Settings(hop=int(rng.integers(1, 4)))) for _ in streams
    ]
    events = [[] for _ in streams]
    for tick in range(max(f.shape[1] for f in streams)):
        live = [k for k, f in enumerate(streams) if tick < f.shape[1]]
        steps = [
            sessions[k].push_steps(fakes.crop(streams[k][:, tick], tick_ns(0, tick, 30), tick))
            for k in live
        ]
        for k, found in zip(live, run_batched(steps, engines.engine), strict=True):
            events[k] += found
    for k, found in enumerate(run_batched([s.flush_steps() for s in sessions], engines.engine)):
        events[k] += found
        finals = [e for e in events[k] if e.status == "final"]
        assert ticks_of(finals) == expected(engines, streams[k])


def test_the_fake_finds_events_at_all():
    engines = fakes.engine_set()
    assert len(expected(engines, fakes.features(np.random.default_rng(0), 600, 0.3))) >= 5
