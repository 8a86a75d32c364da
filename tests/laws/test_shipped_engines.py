"""Law 1 with the shipped networks on the samples.

Scores are within 1e-5, events are identical, and no value lies near its threshold.
"""

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
        frames = (record for record in source if isinstance(record, Frame))
        for frame in itertools.islice(frames, 240):
            at = frame.captured_ns
            for face in aligner(frame.image, at).faces[:1]:
                crop = Crop("s", 0, frame.index, at, face.pixels, face.affine, face.quality)
                found.append(crop)
    assert len(found) > 150
    return found


@pytest.fixture(scope="module")
def features(crops, engines):
    times = np.array([crop.captured_ns for crop in crops])
    assert len(thin(times, engines.spotter.grid_hz)) == len(times)
    return clip_features(np.stack([crop.pixels for crop in crops]), times, engines)


@pytest.mark.parametrize("hop", [1, 4])
def test_scores_and_refinements_agree(features, engines, hop):
    scorer = IncrementalScorer(engines.spotter)
    found = []
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
    events = []
    for crop in crops:
        events += session.push(crop)
    events += session.flush()
    tick_length_ns = 1e9 / engines.spotter.grid_hz
    origin_ns = crops[0].captured_ns

    def tick(at_ns):
        return rounded((at_ns - origin_ns) / tick_length_ns)

    finals = [event for event in events if event.status == "final"]
    streamed = sorted((tick(event.onset_ns), tick(event.offset_ns)) for event in finals)
    whole = reference.spot(features, engines)
    expected = []
    for start, stop in zip(whole.start, whole.stop, strict=True):
        onset = rounded(start)
        expected.append((onset, max(rounded(stop) - 1, onset)))
    assert undecided_values(features, engines) == 0
    assert streamed == sorted(expected)


def undecided_values(features, engines):
    """How many values lie within NEAR of a threshold or of a rounding point.

    For these, floating-point noise could decide.
    """
    spec = engines.spotter
    scores = reference.propose(features, engines)
    windows = reference.refine(features, scores, engines)
    distances = list(np.abs(scores - spec.t_cpn).ravel())
    for window in windows:
        distances.append(abs(window.score - spec.t_crn))
        for edge in (window.start + 0.5, window.stop + 0.5):
            distance = abs(edge - round(edge))
            if distance > 0:
                distances.append(distance)
    return len([distance for distance in distances if distance < NEAR])
