"""Law 1 for what else moves: whatever the hop, an event has what the whole segment gives."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from microspot.engines import reference
from microspot.engines.evaluation.calibration import clip_features
from microspot.engines.intervals import rounded
from microspot.engines.networks.mesnet import MESNet
from microspot.engines.specs import NUISANCES, SpotterSpec
from microspot.engines.training.spotter.validation import as_engines
from microspot.realtime.config import Settings
from microspot.realtime.records import Crop
from microspot.realtime.session import Session
from microspot.realtime.spotting.time_grid import tick_ns
from tests import fakes

TWO = ("blink", "turn")


def finals(session, crops):
    """Final events of a session fed these crops."""
    events = []
    for crop in crops:
        events += session.push(crop)
    events += session.flush()
    return [event for event in events if event.status == "final"]


def expected(engines, feats, limit=300):
    """Confounders of the whole segment by first and last tick of their event."""
    found = reference.spot(feats, engines, limit)
    moves = reference.nuisances(feats, engines)
    shares = reference.confounders(found, moves, engines.spotter)
    spans = zip(found.start, found.stop, found.score, strict=True)
    rows = []
    for (start, stop, score), share in zip(spans, shares, strict=True):
        onset = max(rounded(start), 0)
        rows.append((onset, max(rounded(stop) - 1, onset), float(score), share))
    return sorted(rows, key=lambda row: row[:3])


def streamed(events):
    rows = [(e.onset_frame, e.offset_frame, e.score, e.confounders) for e in events]
    return sorted(rows, key=lambda row: row[:3])


@settings(max_examples=25)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 260),
    st.integers(1, 9),
    st.sampled_from([0.1, 0.5, 1.5]),
    st.sampled_from([60, 300]),
)
def test_any_hop_gives_the_confounders_of_the_reference(seed, length, hop, activity, limit):
    feats = fakes.features(np.random.default_rng(seed), length, activity)
    engines = fakes.engine_set(nuisance=TWO)
    session = Session(engines, "x", settings=Settings(hop=hop, cluster_ticks=limit))
    crops = (fakes.crop(feats[:, tick], tick_ns(0, tick, 30), tick) for tick in range(length))
    assert streamed(finals(session, crops)) == expected(engines, feats, limit)


def test_events_have_confounders_where_the_weights_say_them_and_none_elsewhere():
    feats = fakes.features(np.random.default_rng(0), 600, 0.3)
    crops = [fakes.crop(feats[:, tick], tick_ns(0, tick, 30), tick) for tick in range(600)]
    told = finals(Session(fakes.engine_set(nuisance=TWO), "x"), crops)
    silent = finals(Session(fakes.engine_set(), "x"), crops)
    assert len(told) == len(silent) >= 5
    assert {tuple(event.confounders) for event in told} == {TWO}
    assert {event.confounders for event in silent} == {None}
    assert len({event.confounders["blink"] for event in told}) > 3
    record = told[0].to_json()["confounders"]
    assert record == {name: round(share, 4) for name, share in told[0].confounders.items()}
    assert silent[0].to_json()["confounders"] is None


def test_provisional_events_and_a_new_segment_know_nothing_of_it():
    feats = fakes.features(np.random.default_rng(0), 300, 0.5)
    session = Session(fakes.engine_set(nuisance=TWO), "x")
    crops = [fakes.crop(feats[:, tick], tick_ns(0, tick, 30), tick) for tick in range(300)]
    events = [event for crop in crops for event in session.push(crop)]
    provisional = [event for event in events if event.status != "final"]
    assert provisional
    assert {event.confounders for event in provisional} == {None}
    assert tuple(session.view().nuisances) == TWO
    session.flush()
    session.reset()
    assert session.view().nuisances == {}


@pytest.fixture(scope="module")
def full():
    """A small network, not trained, with all that a spec can ask for."""
    torch.manual_seed(3)
    spec = SpotterSpec(side=32, feature=32)
    network = MESNet(
        dataclasses.replace(
            spec,
            surround_ns=spec.lags_ns[:2],
            parallax=True,
            certainty=True,
            ridge=3e-5,
            grid="fine",
            nuisance=NUISANCES,
            t_cpn=0.49,
            t_crn=0.49,
        )
    )
    return as_engines(network, "full")


@pytest.mark.parametrize("hop", [1, 4])
def test_a_network_with_all_options_gives_the_same_in_pieces(full, hop):
    rng = np.random.default_rng(8)
    pixels = rng.integers(0, 256, (90, 3, 32, 32), np.uint8)
    times = np.array([tick_ns(0, tick, 30) for tick in range(90)])
    crops = [
        Crop("x", 0, tick, int(times[tick]), pixels[tick], np.eye(2, 3), 1.0) for tick in range(90)
    ]
    found = streamed(finals(Session(full, "x", settings=Settings(hop=hop)), crops))
    wanted = expected(full, clip_features(pixels, times, full))
    assert len(found) >= 2
    assert [row[:2] for row in found] == [row[:2] for row in wanted]
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours[3] == pytest.approx(theirs[3], abs=1e-5)
        assert ours[2] == pytest.approx(theirs[2], abs=1e-5)
