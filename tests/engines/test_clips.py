"""Time arithmetic: lags, thinning, ticks, resampling, window masks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from microspot.engines.clips import (
    lag_indices,
    nearest_frames,
    resample,
    thin,
    tick_weights,
    window_bounds,
    window_mask,
)
from microspot.engines.errors import DataError
from microspot.engines.specs import SpotterSpec
from microspot.engines.training.spotter.data import resample_batch

MS = 1_000_000


def test_lag_takes_the_latest_frame_at_or_before() -> None:
    times = np.array([0, 30, 70, 100]) * MS
    found = lag_indices(times, [30 * MS, 40 * MS])
    reasons = [
        ([0, 0], "nothing that early: the first frame"),
        ([0, 0], "exactly at t - 30 counts"),
        ([1, 1], "40 -> 30, and exactly 30"),
        ([2, 1], "exactly 70; 60 -> 30, never the later 70"),
    ]
    for row, (wanted, reason) in zip(found.tolist(), reasons, strict=True):
        assert row == wanted, reason


def test_no_lags_is_a_still_frame() -> None:
    assert lag_indices([0, MS], ()).shape == (2, 0)


@pytest.mark.parametrize("times", [[], [0, 0], [5, 3]])
def test_unordered_times_are_refused(times: list[int]) -> None:
    with pytest.raises(DataError, match="strictly increasing"):
        thin(np.array(times, np.int64), 30)


def test_thin_keeps_one_frame_of_each_tick() -> None:
    times = np.array([0, 10, 95, 104, 140, 160, 300]) * MS  # at 10 Hz ticks 0, 100, 200, 300
    assert thin(times, 10).tolist() == [0, 2, 5, 6], "the first within a quarter"
    assert thin(np.array([0, 60, 70, 128]) * MS, 10).tolist() == [0, 3], "else the nearest"
    assert thin(np.array([0, 60, 70, 120]) * MS, 10).tolist() == [0, 3]
    assert thin(np.array([0, 70, 130]) * MS, 10).tolist() == [0, 1], (
        "a tie goes to the earlier frame"
    )


@pytest.mark.parametrize(
    ("times", "wanted", "reason"),
    [
        ([0, 100, 200], [[1, 0, 0], [0, 1, 0], [0, 0, 1]], "a steady source is its own grid"),
        ([0, 75, 225], [[1, 0, 0], [0, 1, 0], [0, 0, 1]], "a quarter tick away still is the tick"),
        (
            [0, 60, 160],
            [[1, 0, 0], [0, 0.6, 0.4]],
            "otherwise linear in time; tick 2 is not reached",
        ),
        ([0, 300], [[1, 0], [2 / 3, 1 / 3], [1 / 3, 2 / 3], [0, 1]], "a missing frame is bridged"),
        ([0, 80, 120], [[1, 0, 0], [0, 1, 0]], "of two in reach the nearer, the earlier on a tie"),
        ([0], [[1]], "one frame is one tick"),
        ([0, 20], [[1, 0]], "a frame that reaches no tick adds none"),
    ],
)
def test_ticks(times: list[int], wanted: list[list[float]], reason: str) -> None:
    found = tick_weights(np.array(times) * MS, 10)
    np.testing.assert_allclose(found, wanted, atol=1e-6, err_msg=reason)


def test_tick_weights_do_not_drift_at_a_fractional_period() -> None:
    times = (np.arange(3000) * 1_000_000_000) // 30  # 33.3 ms, truncated to ns
    np.testing.assert_array_equal(tick_weights(times, 30), np.eye(3000, dtype=np.float32))


def test_resample_hits_both_ends_and_is_linear() -> None:
    features = np.arange(20, dtype=np.float32)[None]
    np.testing.assert_allclose(
        resample(features, 3, 11, 4)[0], [3, 3 + 7 / 3, 3 + 14 / 3, 10], rtol=1e-6
    )
    np.testing.assert_allclose(resample(features, 2.5, 6.0, 3)[0], [2.5, 3.75, 5.0], rtol=1e-6)


def test_resample_many_windows_and_batches_equal_one_by_one() -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(3, 5, 40)).astype(np.float32)
    start = random.integers(0, 25, 7)
    stop = start + random.integers(4, 15, 7)
    many = resample(features[1], start, stop, 16)
    row = torch.ones(7, dtype=torch.long)
    twin = resample_batch(
        torch.from_numpy(features), row, torch.from_numpy(start), torch.from_numpy(stop), 16
    )
    for i in range(7):
        one = resample(features, start[i], stop[i], 16)
        np.testing.assert_array_equal(many[i], one[1])
    np.testing.assert_allclose(twin.numpy(), many, atol=1e-6)


def test_resample_does_not_depend_on_where_the_window_lies() -> None:
    features = np.random.default_rng(1).normal(size=(4, 12)).astype(np.float32)
    late = np.concatenate([np.zeros((4, 10_007), np.float32), features], 1)
    np.testing.assert_array_equal(resample(features, 0, 11, 16), resample(late, 10_007, 10_018, 16))


def test_nearest_frames_take_the_earlier_on_a_tie_and_the_edge_outside() -> None:
    assert nearest_frames([0, 10, 20], [-5, 4, 5, 6, 15, 99]).tolist() == [0, 0, 0, 1, 1, 2]
    assert nearest_frames([7], [0.0, 9.0]).tolist() == [0, 0]


def test_window_mask_counts_the_windows_that_fit() -> None:
    spec = SpotterSpec()
    assert window_mask(spec, 20).sum(1).tolist() == [20 - w + 1 for w in spec.windows]
    assert not window_mask(spec, 6).any()
    start, stop = window_bounds(spec, 20)
    np.testing.assert_array_equal(stop - start, np.repeat(spec.windows, 20).reshape(5, 20))
    assert stop[0].tolist() == list(range(1, 21))
