"""Refinement: windows at T_CPN are refined, those at T_CRN are candidates, with and without CRN.

The stream's thresholds are the reference's: a score that equals one passes it in both.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from microspot.engines import reference
from microspot.engines.intervals import Candidate
from microspot.engines.runtime.engine import FunctionEngine
from microspot.realtime.spotting.batching import run_batched
from microspot.realtime.spotting.refinement import Refinement
from microspot.realtime.spotting.ring import Ring
from microspot.realtime.spotting.scorer import Scores
from tests import fakes

TICKS = 20
THRESHOLDS = [0.5, 0.9]  # the second has no exact float32
Refiner = Callable[..., Mapping[str, NDArray[np.float32]]]
Find = Callable[..., list[Candidate]]


def by_stream(
    scores: NDArray[np.float32], refiner: Refiner, enabled: bool = True, **thresholds: float
) -> list[Candidate]:
    """The candidates of scores (M, TICKS) by the stream's refinement, by end, then scale."""
    features = Ring(TICKS, (fakes.L,), np.float32)
    for _ in range(TICKS):
        features.append(np.zeros(fakes.L, np.float32))
    refinement = Refinement(fakes.spec(**thresholds), features, enabled)
    (found,) = run_batched([refinement.candidates(Scores(0, scores))], lambda name: refiner)
    return [candidate for end in sorted(found) for candidate in found[end]]


def by_reference(
    scores: NDArray[np.float32], refiner: Refiner, **thresholds: float
) -> list[Candidate]:
    """The same by `engines.reference`."""
    engines = fakes.engine_set(**thresholds)
    tensors = engines.spotter.tensors()["refiner"]
    engines = dataclasses.replace(engines, refiner=FunctionEngine(refiner, *tensors))
    return reference.refine(np.zeros((fakes.L, TICKS), np.float32), scores, engines)


def refiner_of(score: np.float32) -> Refiner:
    """A refiner that gives every window `score` and leaves its boundaries."""

    def refine(clips: NDArray[np.float32]) -> Mapping[str, NDArray[np.float32]]:
        classes = np.tile(np.array([1 - score, score], np.float32), (len(clips), 1))
        return {"classes": classes, "offsets": np.zeros((len(clips), 2), np.float32)}

    return refine


def no_refiner(clips: NDArray[np.float32]) -> Mapping[str, NDArray[np.float32]]:
    raise AssertionError(f"CRN was asked about {len(clips)} windows")


def scores_of(windows: Mapping[tuple[int, int], float]) -> NDArray[np.float32]:
    """Scores (M, TICKS) that are 0 but for some windows: (scale, last tick) -> score."""
    scores = np.zeros((fakes.spec().scales, TICKS), np.float32)
    for window, score in windows.items():
        scores[window] = score
    return scores


def just_below(threshold: float) -> np.float32:
    return np.nextafter(np.float32(threshold), np.float32(0))


@pytest.mark.parametrize("find", [by_stream, by_reference])
@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_a_window_at_t_cpn_is_refined_and_one_below_is_not(find: Find, threshold: float) -> None:
    sure = refiner_of(np.float32(1))
    thresholds = {"t_cpn": threshold, "t_crn": 0.5}
    found = find(scores_of({(2, 14): threshold}), sure, **thresholds)
    assert found == [Candidate(14, 2, 4.0, 15.0, 1.0)]
    assert find(scores_of({(2, 14): just_below(threshold)}), no_refiner, **thresholds) == []


@pytest.mark.parametrize("find", [by_stream, by_reference])
@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_a_score_at_t_crn_is_a_candidate_and_one_below_is_not(find: Find, threshold: float) -> None:
    scores = scores_of({(2, 14): 1.0})
    thresholds = {"t_cpn": 0.5, "t_crn": threshold}
    found = find(scores, refiner_of(np.float32(threshold)), **thresholds)
    assert found == [Candidate(14, 2, 4.0, 15.0, float(np.float32(threshold)))]
    assert find(scores, refiner_of(just_below(threshold)), **thresholds) == []


def test_without_crn_a_window_is_the_candidate_with_cpns_score_at_t_crn() -> None:
    scores = scores_of(
        {
            (0, 10): 0.875,
            (1, 10): 1.0,
            (2, 16): 0.75,  # T_CRN itself
            (3, 17): just_below(0.75),
            (4, 18): 0.5,  # T_CPN itself
        }
    )
    found = by_stream(scores, no_refiner, enabled=False, t_cpn=0.5, t_crn=0.75)
    assert found == [
        Candidate(10, 0, 4.0, 11.0, 0.875),
        Candidate(10, 1, 2.0, 11.0, 1.0),
        Candidate(16, 2, 6.0, 17.0, 0.75),
    ]


def test_with_crn_its_score_counts_and_not_cpns() -> None:
    scores = scores_of({(0, 10): 0.5, (1, 12): 1.0})
    found = by_stream(scores, refiner_of(np.float32(0.75)), t_cpn=0.5, t_crn=0.75)
    assert found == [Candidate(10, 0, 4.0, 11.0, 0.75), Candidate(12, 1, 4.0, 13.0, 0.75)]


def test_t_cpn_alone_decides_what_is_refined_without_crn() -> None:
    scores = scores_of({(0, 10): 0.75})
    assert by_stream(scores, no_refiner, enabled=False, t_cpn=0.875, t_crn=0.5) == []
