"""Law 1: any split, hop and batch of cameras gives what `engines.reference` gives for the whole."""

import dataclasses

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from microspot.engines import baseline, reference
from microspot.engines.intervals import Candidate, rounded
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
    return final(events + session.flush())


def final(events):
    return [event for event in events if event.status == "final"]


def rows(events):
    """(onset, offset, score) of every event, in ticks, which are frames here."""
    found = [(event.onset_frame, event.offset_frame, round(event.score, 12)) for event in events]
    return sorted(found)


def expected(engines, feats, limit=300):
    """The rows that the reference gives for the whole segment."""
    return rows_of(reference.spot(feats, engines, limit))


def rows_of(spotted):
    """The rows of intervals of the reference."""
    found = []
    for start, stop, score in zip(spotted.start, spotted.stop, spotted.score, strict=True):
        onset = rounded(start)
        offset = max(rounded(stop) - 1, onset)
        found.append((max(onset, 0), offset, round(float(score), 12)))
    return sorted(found)


@settings(max_examples=30)
@given(cases)
def test_any_hop_equals_the_reference(case):
    seed, length, hop, activity = case
    feats = fakes.features(np.random.default_rng(seed), length, activity)
    engines = fakes.engine_set()
    session = Session(engines, "x", settings=Settings(hop=hop))
    assert rows(stream(session, feats)) == expected(engines, feats)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(1, 120), st.integers(1, 130))
def test_the_reference_may_ask_in_pieces(seed, length, piece):
    feats = fakes.features(np.random.default_rng(seed), length, 0.5)
    for engines in (fakes.engine_set(), baseline.load()):
        feats = np.resize(feats, (engines.proposer.inputs[0].shape[1], length))
        whole = reference.propose(feats, engines, 10_000)
        parts = reference.propose(feats, engines, piece)
        np.testing.assert_allclose(parts, whole, atol=1e-6)  # and NaN where the whole has them


def test_the_reference_asks_no_engine_for_more_than_it_takes():
    engines = fakes.engine_set()
    asked = []

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
    assert rows(stream(session, feats)) == expected(engines, feats, limit=60)


def test_the_barrier_is_met():
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
    for tick in range(max(feats.shape[1] for feats in streams)):
        going_on = [k for k, feats in enumerate(streams) if tick < feats.shape[1]]
        steps = []
        for k in going_on:
            crop = fakes.crop(streams[k][:, tick], tick_ns(0, tick, 30), tick)
            steps.append(sessions[k].push_steps(crop))
        for k, found in zip(going_on, run_batched(steps, engines.engine), strict=True):
            events[k] += found
    steps = [session.flush_steps() for session in sessions]
    for k, found in enumerate(run_batched(steps, engines.engine)):
        assert rows(final(events[k] + found)) == expected(engines, streams[k])


def expected_without_crn(engines, feats):
    """The rows of the windows themselves, with the proposer's scores in place of the refiner's."""
    spec = engines.spotter
    scores = reference.propose(feats, engines)
    windows = []
    for end, scale in np.argwhere((scores >= max(spec.t_cpn, spec.t_crn)).T).tolist():
        start = end + 1 - spec.windows[scale]
        score = float(scores[scale, end])
        windows.append(Candidate(end, scale, float(start), float(end + 1), score))
    return rows_of(reference.suppress_clusters(windows, feats.shape[1], spec))


@settings(max_examples=20)
@given(cases, st.sampled_from([(0.3, 0.5), (0.5, 0.3)]))
def test_without_the_refiner_the_windows_themselves_compete(case, thresholds):
    """`Settings.refine` False: any hop gives the windows at both thresholds, as NMS leaves them."""
    seed, length, hop, activity = case
    feats = fakes.features(np.random.default_rng(seed), length, activity)
    engines = with_refiner(fakes.engine_set(t_cpn=thresholds[0], t_crn=thresholds[1]), no_refiner)
    session = Session(engines, "x", settings=Settings(hop=hop, refine=False))
    assert rows(stream(session, feats)) == expected_without_crn(engines, feats)


def with_refiner(engines, function):
    """The engine set with another function for its refiner."""
    tensors = engines.spotter.tensors()["refiner"]
    return dataclasses.replace(engines, refiner=FunctionEngine(function, *tensors))


def no_refiner(clips):
    raise AssertionError(f"the refiner was asked about {len(clips)} windows")


def test_windows_without_the_refiner_are_events_too():
    engines = fakes.engine_set(t_cpn=0.3, t_crn=0.5)
    feats = fakes.features(np.random.default_rng(0), 600, 0.3)
    found = expected_without_crn(engines, feats)
    assert len(found) >= 3
    assert found != expected(engines, feats)


def test_the_fake_engines_find_events():
    engines = fakes.engine_set()
    assert len(expected(engines, fakes.features(np.random.default_rng(0), 600, 0.3))) >= 5
