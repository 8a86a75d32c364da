"""PersonalThreshold: what passes when, what is told, what a segment's end leaves."""

import numpy as np
import pytest

from microspot.engines import running_neutral as rn
from microspot.engines.intervals import Candidate
from microspot.engines.running_neutral import Neutral, Peak
from microspot.realtime.spotting.personal_threshold import PersonalThreshold
from microspot.realtime.spotting.streaming_nms import suppress
from tests import fakes

SPEC = fakes.spec(t_cpn=0.5, t_crn=0.6)
NONE = np.zeros(SPEC.scales, np.float32)
SURE = np.ones(SPEC.scales, np.float32)
WARM_UP = round(rn.WARM_UP_S * SPEC.grid_hz)


def candidate(score, end=0):
    return Candidate(end, 2, float(end - 10), float(end + 1), float(np.float32(score)))


def quiet(threshold, ticks):
    for _ in range(ticks):
        assert threshold.admit([], NONE) == []


def test_without_a_rate_it_lets_everything_through_and_says_nothing():
    threshold = PersonalThreshold(SPEC, None)
    assert threshold.passing == SPEC
    low = candidate(0.1)
    assert threshold.admit([low], NONE) == [low]
    assert threshold.thresholds == (0.5, 0.6)
    assert threshold.state("x", 0, 0) is None


def test_in_the_warm_up_the_thresholds_are_those_of_the_weights():
    threshold = PersonalThreshold(SPEC, 0.01)
    at = candidate(0.6)
    below = candidate(0.59)
    assert threshold.admit([at, below], SURE) == [at._replace(floor=0.6)]
    assert threshold.admit([at], np.full(SPEC.scales, 0.49, np.float32)) == []
    assert threshold.thresholds == (0.5, 0.6)


def test_a_calm_face_gains_and_a_restless_one_is_watched_more_strictly():
    calm = PersonalThreshold(SPEC, 20.0)
    restless = PersonalThreshold(SPEC, 0.1)
    quiet(calm, WARM_UP)
    for _ in range(WARM_UP // 50):
        quiet(restless, 49)
        restless.admit([candidate(0.9)], SURE)
    assert calm.thresholds[1] < 0.6 < restless.thresholds[1]
    assert calm.admit([candidate(0.55)], SURE)
    assert not restless.admit([candidate(0.65)], SURE)


def test_a_peak_counts_as_soon_as_nothing_can_pass_it():
    threshold = PersonalThreshold(SPEC, 1.0)
    threshold.admit([candidate(0.9)], SURE)
    quiet(threshold, SPEC.max_ticks - 1)
    assert threshold.neutral.peaks == ()
    quiet(threshold, 1)
    (peak,) = threshold.neutral.peaks
    assert peak.tick == 0
    assert peak.margin == pytest.approx(float(rn.logit(0.9) - rn.logit(0.6)), abs=1e-6)


def test_the_end_of_a_segment_decides_its_last_peak_and_the_face_is_remembered():
    threshold = PersonalThreshold(SPEC, 1.0, Neutral(100, (Peak(3, 1.0),)))
    quiet(threshold, 5)
    threshold.admit([candidate(0.9)], SURE)
    threshold.end_segment()
    threshold.end_segment()  # a second call finds nothing new
    assert [peak.tick for peak in threshold.neutral.peaks] == [3, 105]
    assert threshold.neutral.ticks == 106
    threshold.admit([candidate(0.95)], SURE)  # no neighbour of what came before the Gap
    threshold.end_segment()
    assert [peak.tick for peak in threshold.neutral.peaks] == [3, 105, 106]


def test_the_state_says_the_threshold_and_what_it_rests_on():
    threshold = PersonalThreshold(SPEC, 0.2)
    quiet(threshold, WARM_UP - 1)
    learning = threshold.state("cam", 1, 7)
    assert (learning.source, learning.face, learning.at_ns) == ("cam", 1, 7)
    assert learning.learning
    assert learning.threshold == 0.6
    quiet(threshold, 1)
    state = threshold.state("cam", 1, 7)
    assert not state.learning
    assert state.seen_s == rn.WARM_UP_S
    assert state.threshold == threshold.thresholds[1] != 0.6
    line = state.to_json()
    assert next(iter(line)) == "type"
    assert line["type"] == "threshold"
    assert line["alarms_per_min"] == 0.2


def test_memory_is_flat():
    threshold = PersonalThreshold(SPEC, 1.0)
    counts = []
    for _ in range(2):
        for _ in range(round(rn.MEMORY_S * SPEC.grid_hz) // 20):
            threshold.admit([candidate(0.9)], SURE)
            quiet(threshold, 19)
        counts.append(len(threshold.neutral.peaks))
    assert counts[1] <= counts[0] + 1


def test_what_passes_has_the_threshold_of_then_as_the_floor_of_its_decayed_score():
    threshold = PersonalThreshold(SPEC, 20.0)
    quiet(threshold, WARM_UP)
    (found,) = threshold.admit([candidate(0.9)], SURE)
    assert found.floor == threshold.thresholds[1] < 0.6
    better = Candidate(0, 2, 0.0, 10.0, 0.95)
    worse = Candidate(0, 3, 2.0, 12.0, 0.9)  # IoU 2 / 3: decays to 0.3
    soft = fakes.spec(t_crn=0.1, nms_rule="soft")
    assert len(suppress([better, worse._replace(floor=0.29)], soft)) == 2
    assert suppress([better, worse._replace(floor=0.31)], soft) == [better]
