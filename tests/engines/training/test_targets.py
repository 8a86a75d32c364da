"""Which windows are MEs, and where their boundaries should go."""

from __future__ import annotations

import numpy as np
import pytest

from microspot.engines.clips import to_ticks
from microspot.engines.errors import UsageError
from microspot.engines.intervals import decode
from microspot.engines.specs import SpotterSpec
from microspot.engines.training.targets import (
    Assignment,
    Truths,
    best_overlap,
    jittered,
    labels_of,
    proposal_labels,
    refiner_samples,
    refiner_targets,
)

SPEC = SpotterSpec()
RULE = Assignment()


def floats(*values: float) -> np.ndarray:
    return np.array(values, float)


@pytest.mark.parametrize(
    ("window", "truths", "overlap", "reason"),
    [
        ((10, 20), [(10, 20)], 1.0, "the same"),
        ((10, 20), [(20, 30)], 0.0, "half-open intervals that touch share no tick"),
        ((10, 20), [(15, 25)], 1 / 3, "5 of 15 ticks"),
        ((10, 20), [(12, 17)], 0.5, "inside: the ratio of the lengths"),
        ((10, 20), [(0, 12), (11, 20)], 0.9, "the best truth counts"),
        ((10, 20), [], 0.0, "no truth, no overlap"),
    ],
)
def test_overlap(
    window: tuple[int, int], truths: list[tuple[int, int]], overlap: float, reason: str
) -> None:
    onset = floats(*(t[0] for t in truths))
    offset = floats(*(t[1] for t in truths))
    assert best_overlap(window[0], window[1], Truths.of(onset, offset))[0] == pytest.approx(
        overlap
    ), reason


@pytest.mark.parametrize(
    ("overlap", "label", "reason"),
    [
        (0.5, 1, "the positive limit belongs to the positives"),
        (0.499, -1, "between the limits a window is neither"),
        (0.4, -1, "the negative limit does not belong to the negatives"),
        (0.399, 0, "under it a window is a negative"),
        (0.0, 0, "macro-expressions and rest are negatives alike"),
    ],
)
def test_labels(overlap: float, label: int, reason: str) -> None:
    assert labels_of(floats(overlap), RULE)[0] == label, reason


def test_limits_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(UsageError, match=r"0\.5, 0\.4"):
        Assignment(positive_iou=0.4, negative_iou=0.5)


def test_an_inclusive_offset_frame_belongs_to_the_interval() -> None:
    start, stop = to_ticks([1_200_000_000], [1_500_000_000], 1_000_000_000, 30)
    assert (start[0], stop[0]) == pytest.approx((6, 16))  # ticks 6..15: ten frames


@pytest.mark.parametrize("n", [3, 14, 40])
def test_proposal_labels_equal_a_plain_loop(n: int) -> None:
    onset = floats(-3, 12, 33)
    offset = floats(5, 24.5, 45)
    found = proposal_labels(SPEC, n, Truths.of(onset, offset), RULE)
    for i, width in enumerate(SPEC.windows):
        for last in range(n):
            a = last - width + 1
            b = last + 1
            ratio = max(
                max(0.0, min(b, h) - max(a, g)) / (max(b, h) - min(a, g))
                for g, h in zip(onset, offset, strict=True)
            )
            wanted = -1 if a < 0 or 0.4 <= ratio < 0.5 else int(ratio >= 0.5)
            assert found[i, last] == wanted, (width, last)


def test_a_doubtful_me_is_neither_positive_nor_negative() -> None:
    onset = floats(20, 60)
    offset = floats(31, 71)
    sure = proposal_labels(SPEC, 120, Truths.of(onset, offset), RULE)
    truths = Truths.of(onset, offset, [False, True])
    labels = proposal_labels(SPEC, 120, truths, RULE)
    late = np.arange(120) > 50
    assert ((sure == 1) & late).any()
    assert (labels[:, late] == np.where(sure == 1, -1, sure)[:, late]).all()
    assert (labels[:, ~late] == sure[:, ~late]).all()
    scores = np.where(sure == 1, 0.9, 0.1).astype(np.float32)
    drawn = refiner_samples(SPEC, scores, truths, RULE, np.random.default_rng(6))
    assert ((drawn.labels == 1) & (drawn.start < 50)).any()
    assert not ((drawn.labels == 1) & (drawn.start > 50)).any()


def test_targets_invert_the_decoding() -> None:
    start = floats(10, 30, 60)
    stop = floats(21, 37, 75)
    onset = floats(12.25, 61)
    offset = floats(20.5, 72)
    labels, targets = refiner_targets(start, stop, Truths.of(onset, offset), RULE)
    assert labels.tolist() == [1, 0, 1]
    assert np.isnan(targets[1]).all(), "a window that is no ME has no boundary to learn"
    a, b = decode(start[[0, 2]], stop[[0, 2]], targets[[0, 2]])
    np.testing.assert_allclose([a, b], [onset, offset])


def test_jittered_truths_hold_the_truth_and_stay_inside() -> None:
    random = np.random.default_rng(0)
    start, stop = jittered(Truths.of([5.2, 90], [15.1, 105]), 100, SPEC, RULE, random)
    assert len(start) == RULE.copies + 1, "the truth that leaves the segment is not copied"
    assert (start[0], stop[0]) == (5, 15)
    assert (start >= 0).all()
    assert (stop <= 100).all()
    assert len({*zip(start.tolist(), stop.tolist(), strict=True)}) > 1


def test_samples_hold_the_ratio_and_prefer_what_cpn_proposes() -> None:
    scores = np.zeros((SPEC.scales, 120), np.float32)
    scores[:, 80:90] = 0.9  # CPN is wrong here
    drawn = refiner_samples(SPEC, scores, Truths.of([20], [31]), RULE, np.random.default_rng(1))
    positives = int((drawn.labels == 1).sum())
    negatives = int((drawn.labels == 0).sum())
    assert RULE.copies < positives <= RULE.positives
    assert negatives == pytest.approx(RULE.negatives_per_positive * RULE.positives, abs=2)
    hard = (drawn.labels == 0) & (drawn.stop > 80) & (drawn.stop <= 90)
    assert hard.sum() >= 0.4 * negatives
    assert np.isfinite(drawn.targets[drawn.labels == 1]).all()


def test_positives_are_those_that_cpn_believes() -> None:
    """At inference CRN judges nothing else."""
    scores = np.full((SPEC.scales, 120), 0.05, np.float32)
    scores[2] = 0.99  # windows of 11 ticks
    random = np.random.default_rng(4)
    drawn = [refiner_samples(SPEC, scores, Truths.of([20], [31]), RULE, random) for _ in range(20)]
    lengths = np.concatenate([(d.stop - d.start)[d.labels == 1][RULE.copies + 1 :] for d in drawn])
    believed = np.flatnonzero(proposal_labels(SPEC, 120, Truths.of([20], [31]), RULE)[2] == 1)
    assert (lengths == 11).sum() >= 20 * 0.9 * min(len(believed), RULE.positives - RULE.copies - 1)


def test_even_negatives_are_of_all_lengths_alike() -> None:
    random = np.random.default_rng(5)
    drawn = [
        refiner_samples(SPEC, np.zeros((5, 120), np.float32), Truths.of([], []), RULE, random)
        for _ in range(50)
    ]
    lengths = np.concatenate([d.stop - d.start for d in drawn])
    shares = np.array([(lengths == window).mean() for window in SPEC.windows])
    assert np.allclose(shares, 0.2, atol=0.06)


def test_a_segment_without_me_gives_negatives_only() -> None:
    drawn = refiner_samples(
        SPEC, np.zeros((5, 60), np.float32), Truths.of([], []), RULE, np.random.default_rng(2)
    )
    assert drawn.labels.tolist() == [0] * RULE.negatives


def test_a_segment_too_short_for_any_window_gives_nothing() -> None:
    drawn = refiner_samples(
        SPEC, np.zeros((5, 4), np.float32), Truths.of([], []), RULE, np.random.default_rng(3)
    )
    assert len(drawn.start) == 0
