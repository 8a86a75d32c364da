"""Laws 1, 3 and 7 with a threshold of the face's own: stream equals offline, over Gaps too."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microspot.engines import reference, running_neutral
from microspot.engines.intervals import Candidate
from microspot.realtime.config import Settings
from microspot.realtime.session import Session
from microspot.realtime.spotting.batching import run_batched
from microspot.realtime.spotting.personal_threshold import PersonalThreshold
from microspot.realtime.spotting.time_grid import tick_ns
from tests import fakes
from tests.laws.test_stream_equals_offline import final, rows, rows_of

WARM_UP_TICKS = round(running_neutral.WARM_UP_S * 30)
SHORT_WARM_UP_S = 2.0
PER_MIN = 6.0
RATES = st.sampled_from([0.2, PER_MIN, 40.0])


@pytest.fixture(autouse=True)
def short_times(monkeypatch):
    """A warm-up and a memory as short as the sequences of these tests."""
    monkeypatch.setattr(running_neutral, "WARM_UP_S", SHORT_WARM_UP_S)
    monkeypatch.setattr(running_neutral, "MEMORY_S", 5.0)


def session_of(engines, per_min, **options):
    return Session(engines, "x", settings=Settings(alarms_per_min=per_min, **options))


def crops_of(feats, first):
    """A crop per tick of a segment that begins at tick `first` of the source."""
    ticks = range(feats.shape[1])
    return [fakes.crop(feats[:, i], tick_ns(0, first + i, 30), i) for i in ticks]


def stream(session, segments):
    """The events of each segment, with a Gap between them."""
    found = []
    first = 0
    for feats in segments:
        events = []
        for crop in crops_of(feats, first):
            events += session.push(crop)
        found.append(events + session.flush())
        session.reset()
        first += feats.shape[1] + 100
    return found


def by_reference(engines, segments, per_min):
    """The rows of each segment by the reference, and what it knows of the face after them."""
    neutral = None
    found = []
    for feats in segments:
        spotted, neutral = reference.spot_personally(feats, engines, per_min, neutral)
        found.append(rows_of(spotted))
    return found, neutral


def expected(engines, segments, per_min):
    """The rows of each segment by the reference."""
    return by_reference(engines, segments, per_min)[0]


def draw(seed, lengths=(160, 90, 50), activity=0.8):
    rng = np.random.default_rng(seed)
    return [fakes.features(rng, length, activity) for length in lengths]


@settings(max_examples=8)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), RATES, st.sampled_from(["greedy", "soft"]))
def test_any_hop_and_any_gap_equal_the_reference(seed, hop, per_min, rule):
    segments = draw(seed)
    engines = fakes.engine_set(nms_rule=rule)
    session = session_of(engines, per_min, hop=hop)
    found = stream(session, segments)
    wanted, neutral = by_reference(engines, segments, per_min)
    assert [rows(final(events)) for events in found] == wanted
    assert session._personal.neutral == neutral


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.sampled_from([2.0, 10.0, 60.0]))
def test_the_same_windows_pass_at_every_tick(seed, per_min):
    """Windows at almost every tick, with scores about the threshold, over several segments."""
    rng = np.random.default_rng(seed)
    spec = fakes.spec()
    threshold = PersonalThreshold(spec, per_min)
    neutral = running_neutral.Neutral()
    for ticks in (130, 7, 70):
        scores = rng.uniform(0.2, 1, (spec.scales, ticks)).astype(np.float32)
        windows = []
        for end in np.flatnonzero(rng.random(ticks) < 0.7).tolist():
            score = float(np.float32(rng.beta(3, 1)))
            scale = int(rng.integers(spec.scales))
            windows.append(Candidate(end, scale, float(end - 9), float(end + 1), score))
        above = reference.window_margins(windows, scores, spec)
        best = reference.best_margins(windows, above, ticks)
        expected = reference.admitted(windows, above, best, per_min, neutral, spec)
        passed = []
        for end in range(ticks):
            ending = [window for window in windows if window.end == end]
            passed += threshold.admit(ending, scores[:, end])
        threshold.end_segment()
        neutral = neutral.after(best, spec)
        assert passed == expected
        assert threshold.neutral == neutral


@settings(max_examples=3)
@given(st.integers(0, 2**32 - 1), st.integers(2, 4))
def test_cameras_in_one_batch_equal_cameras_alone(seed, cameras):
    rng = np.random.default_rng(seed)
    engines = fakes.engine_set()
    streams = [fakes.features(rng, int(rng.integers(80, 130)), 0.8) for _ in range(cameras)]
    sessions = [session_of(engines, PER_MIN, hop=int(rng.integers(1, 4))) for _ in streams]
    crops = [crops_of(feats, 0) for feats in streams]
    events = [[] for _ in streams]
    for tick in range(max(map(len, crops))):
        going_on = [k for k in range(cameras) if tick < len(crops[k])]
        steps = [sessions[k].push_steps(crops[k][tick]) for k in going_on]
        for k, found in zip(going_on, run_batched(steps, engines.engine), strict=True):
            events[k] += found
    for k, feats in enumerate(streams):
        found = final(events[k] + sessions[k].flush())
        assert [rows(found)] == expected(engines, [feats], PER_MIN)


@settings(max_examples=3)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["greedy", "author", "soft"]))
def test_every_provisional_id_ends_once(seed, rule):
    session = session_of(fakes.engine_set(nms_rule=rule), 20.0)
    for events in stream(session, draw(seed, activity=1.5)):
        ends = {}
        for event in events:
            ends.setdefault(event.id, []).append(event.status)
        for statuses in ends.values():
            assert [status for status in statuses if status != "provisional"] == statuses[-1:]


def test_two_runs_give_equal_bytes():
    def once():
        found = stream(session_of(fakes.engine_set(), PER_MIN), draw(3))
        return json.dumps([event.to_json() for events in found for event in events])

    assert once() == once()
    assert len(once()) > 1000


def test_the_threshold_moves_and_what_passes_with_it():
    """Otherwise the tests above would hold for a threshold that stays."""
    engines = fakes.engine_set()
    segments = draw(4, (600,), 0.6)
    rare = expected(engines, segments, 0.2)[0]
    often = expected(engines, segments, 40.0)[0]
    assert len(rare) < len(rows_of(reference.spot(segments[0], engines))) < len(often)


def test_what_a_face_did_before_a_gap_counts_after_it():
    engines = fakes.engine_set()
    first, second = draw(5, (300, 300), 0.5)
    after_it = expected(engines, [first, second], 40.0)[1]
    alone = expected(engines, [second], 40.0)[0]
    assert after_it != alone


def test_without_a_rate_the_thresholds_are_those_of_the_weights():
    engines = fakes.engine_set()
    segments = draw(6)
    found = stream(Session(engines, "x"), segments)
    plain = [rows_of(reference.spot(feats, engines)) for feats in segments]
    assert [rows(final(events)) for events in found] == plain


def test_in_the_warm_up_too(monkeypatch):
    monkeypatch.setattr(running_neutral, "WARM_UP_S", WARM_UP_TICKS / 30)
    engines = fakes.engine_set()
    feats = draw(7, (WARM_UP_TICKS,), 0.6)
    assert expected(engines, feats, 0.2) == [rows_of(reference.spot(feats[0], engines))]


@pytest.mark.parametrize("per_min", [0.2, 60.0])
def test_scores_that_soft_suppression_lowers_stay_above_the_threshold_of_their_time(per_min):
    engines = fakes.engine_set(nms_rule="soft", t_nms=0.01)
    segments = draw(8, (400,), 1.5)
    found = stream(session_of(engines, per_min), segments)
    wanted = expected(engines, segments, per_min)
    assert [rows(final(events)) for events in found] == wanted
    warm = [row for row in wanted[0] if row[0] < SHORT_WARM_UP_S * 30 - engines.spotter.reach]
    assert warm
    assert min(score for _, _, score in warm) >= engines.spotter.t_crn
    lowest = min(score for _, _, score in wanted[0])
    assert (lowest < engines.spotter.t_crn) == (per_min == 60.0)


def test_in_the_warm_up_soft_suppression_is_that_of_the_weights(monkeypatch):
    monkeypatch.setattr(running_neutral, "WARM_UP_S", WARM_UP_TICKS / 30)
    engines = fakes.engine_set(nms_rule="soft", t_nms=0.01)
    feats = draw(8, (WARM_UP_TICKS,), 1.5)
    plain = rows_of(reference.spot(feats[0], engines))
    assert expected(engines, feats, 60.0) == [plain]
    assert [rows(final(events)) for events in stream(session_of(engines, 60.0), feats)] == [plain]
