"""Reports: intervals by cluster, recall by what matters, and what counts nowhere."""

from __future__ import annotations

import math

import numpy as np
import pytest

from microspot.engines.data.generator.timeline import Movement
from microspot.engines.evaluation.exams.clusters import by_cluster, interval, ratio
from microspot.engines.evaluation.exams.recordings import (
    Recording,
    SpottingResult,
    examine,
)
from microspot.engines.evaluation.exams.report import report
from microspot.engines.evaluation.exams.surroundings import surroundings_px
from microspot.engines.intervals import Intervals
from microspot.engines.units.displacement import crop_px
from tests import fakes

TICK = 33_333_333


def test_counts_are_summed_by_cluster() -> None:
    counts = by_cluster([("b", (1, 2)), ("a", (0, 1)), ("b", (3, 4))])
    assert counts.tolist() == [[0, 1], [4, 6]]


def test_the_interval_is_as_wide_as_clusters_differ() -> None:
    alike = np.tile([5.0, 10.0], (20, 1))
    assert interval(alike, ratio(0, 1)) == [0.5, 0.5]
    divided = np.array([[0.0, 10.0]] * 10 + [[10.0, 10.0]] * 10)
    low, high = interval(divided, ratio(0, 1)) or (0.0, 0.0)
    # the mean of 20 draws of 0 or 1: standard deviation 0.112
    assert (low, high) == pytest.approx((0.5 - 1.96 * 0.112, 0.5 + 1.96 * 0.112), abs=0.04)
    alone = np.array([[float(hit), 1.0] for hit in (0, 1) for _ in range(100)])
    singles = interval(alone, ratio(0, 1)) or (0.0, 1.0)
    assert singles[1] - singles[0] < 0.5 * (high - low), "MEs of one face are no independent ones"
    assert interval(divided[:1], ratio(0, 1)) is None


def micro(at: int, px: float, region: str, kind: str = "micro") -> Movement:
    times = (at * TICK, (at + 5) * TICK, (at + 10) * TICK)
    return Movement(kind, *times, (), peak_px=crop_px(px, 112), region=region)


def result(cluster: str, hit: bool) -> SpottingResult:
    moves = (micro(10, 0.7, "brow"), micro(50, 1.5, "lips"))
    crops = np.zeros((0, 3, 112, 112), np.uint8)
    recording = Recording("x", np.array([0, 60 * 10**9]), crops, moves, cluster)
    found = Intervals.of([10.0], [20.0], [0.9]) if hit else Intervals.of([], [], [])
    hits = ((0, 0),) if hit else ()
    around = crop_px(0.5, 112)
    return SpottingResult(recording, found, hits, surroundings=(around, math.nan))


def test_recall_is_told_by_size_region_and_surroundings() -> None:
    made = report([result("a", True), result("b", False), result("b", True)], 112)
    assert (made["truths"], made["found"], made["clusters"]) == (6, 2, 2)
    assert (made["precision"], made["recall"]) == (1.0, 0.3333)
    assert made["recall_by_px"] == {
        "0.5-1": "2/3 [0.5, 1.0]",
        "1-2": "0/3 [0.0, 0.0]",
    }
    assert made["recall_by_region"] == {"brow": "2/3 [0.5, 1.0]", "lips": "0/3 [0.0, 0.0]"}
    assert made["recall_by_surroundings"] == {"0.35-1": "2/3 [0.5, 1.0]"}
    assert made["intervals"]["recall"] == [0.25, 0.5]
    assert made["intervals"]["false_alarms_per_min"] == [0.0, 0.0]


def test_nothing_makes_an_empty_report() -> None:
    made = report([], 112)
    assert (made["truths"], made["f1"], made["false_alarms_per_min"]) == (0, 0.0, None)


def test_a_doubtful_movement_is_neither_truth_nor_false_alarm() -> None:
    rng = np.random.default_rng(0)
    engines = fakes.engine_set()
    crops = np.stack(
        [fakes.crop(f, t * TICK, t).pixels for t, f in enumerate(fakes.features(rng, 120, 0.6).T)]
    )
    times = np.arange(120, dtype=np.int64) * TICK
    plain = examine(Recording("x", times, crops), engines)
    assert len(plain.found) > 1
    start, stop = plain.found.start[0], plain.found.stop[0]
    spans = (round(start * TICK), round(start * TICK), round((stop - 1) * TICK))
    doubtful = examine(Recording("x", times, crops, (Movement("doubtful", *spans, ()),)), engines)
    assert len(doubtful.found) == len(plain.found) - 1
    known = examine(Recording("x", times, crops, (Movement("micro", *spans, ()),)), engines)
    assert len(known.found) == len(plain.found)
    assert len(known.hits) == 1


def test_surroundings_move_where_the_region_does_not() -> None:
    rng = np.random.default_rng(1)
    texture = np.kron(rng.integers(0, 255, (40, 40)), np.ones((4, 4))).astype(np.uint8)
    crops = np.zeros((30, 3, 112, 112), np.uint8)
    crops[:] = texture[20:132, 20:132]
    times = np.arange(30, dtype=np.int64) * 40_000_000
    at_apex = 25
    crops[at_apex:, :, 60:, :] = texture[80:132, 18:130]  # the lower half 2 px to the right
    still = Movement("micro", 0, at_apex * 40_000_000, 28 * 40_000_000, (), region="mouth corner")
    assert surroundings_px(crops, times, still) < 0.5
    moved = Movement("micro", 0, at_apex * 40_000_000, 28 * 40_000_000, (), region="brow")
    assert surroundings_px(crops, times, moved) == pytest.approx(2.0, abs=0.5)
    assert math.isnan(surroundings_px(crops[:, :, :16, :16], times, still))
