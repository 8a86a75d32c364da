"""Law 1 with the shipped networks on the samples: scores within 1e-5, events identical, no value near its threshold."""

import itertools

import numpy as np
import pytest

from microspot.engines import reference
from microspot.engines.alignment.aligner import MediaPipeAligner
from microspot.engines.clips import thin
from microspot.engines.evaluation.calibration import clip_features
from microspot.engines.intervals import rounded
from microspot.engines.loading import load_engines
from microspot.realtime.config import Settings
from microspot.realtime.records import Crop, Frame
from microspot.realtime.session import Session
from microspot.realtime.sources.open import open_source
from microspot.realtime.spotting.batching import run_batched
from microspot.realtime.spotting.scorer import IncrementalScorer

NEAR = 1e-5


@pytest.fixture(scope="module")
def engines():
    with load_engines() as loaded:
        yield loaded


@pytest.fixture(scope="module", params=["sample", "sample:synthetic:7"])
def crops(request):
    """The first segment of a sample, eight seconds at most."""
    found = []
    with open_source(request.param) as source, MediaPipeAligner() as aligner:
        for frame in itertools.islice((r for r in source if isinstance(r, Frame)), 240):
            faces = aligner(frame.image, frame.captured_ns).faces
            if faces:
                face = faces[0]
                found.append(
                    Crop(
                        "s",
                        0,
                        frame.index,
                        frame.captured_ns,
                        face.pixels,
                        face.affine,
                        face.quality,
                    )
                )
    assert len(found) > 150
    return found


@pytest.fixture(scope="module")
def features(crops, engines):
    times = np.array([c.captured_ns for c in crops])
    assert len(thin(times, engines.spotter.grid_hz)) == len(times)
    return clip_features(np.stack([c.pixels for c in crops]), times, engines)


@pytest.mark.parametrize("hop", [1, 4])
def test_scores_and_refinements_agree(features, engines, hop):
    scorer, found = IncrementalScorer(engines.spotter), []
    for start in range(0, features.shape[1], hop):
        columns = features[:, start : start + hop]
        found.append(run_batched([scorer.push(columns)], engines.engine)[0].values)
    found.append(run_batched([scorer.flush()], engines.engine)[0].values)
    streamed = np.concatenate(found, axis=1)[:, engines.spotter.radius :]
    whole = reference.propose(features, engines)
    assert np.array_equal(np.isnan(streamed), np.isnan(whole))
    assert np.nanmax(np.abs(streamed - whole)) <= NEAR


@pytest.mark.parametrize("hop", [1, 4])
def test_events_are_identical(crops, features, engines, hop):
    session = Session(engines, "s", settings=Settings(hop=hop))
    events = [event for crop in crops for event in session.push(crop)] + session.flush()
    ticks = 1e9 / engines.spotter.grid_hz
    origin = crops[0].captured_ns
    streamed = sorted(
        (rounded((e.onset_ns - origin) / ticks), rounded((e.offset_ns - origin) / ticks))
        for e in events
        if e.status == "final"
    )
    whole = reference.spot(features, engines)
    spans = sorted(
        (rounded(a), max(rounded(b) - 1, rounded(a)))
        for a, b in zip(whole.start, whole.stop, strict=True)
    )
    assert near_calls(features, engines) == 0
    assert streamed == spans


def near_calls(features, engines):
    """Values within 1e-5 of a threshold or of a rounding point, where float noise could decide."""
    spec = engines.spotter
    scores = reference.propose(features, engines)
    windows = reference.refine(features, scores, engines)
    count = int(np.sum(np.abs(scores - spec.t_cpn) < NEAR))
    for window in windows:
        edges = (window.start + 0.5, window.stop + 0.5)
        count += abs(window.score - spec.t_crn) < NEAR
        count += sum(NEAR > abs(edge - round(edge)) > 0 for edge in edges)
    return count
