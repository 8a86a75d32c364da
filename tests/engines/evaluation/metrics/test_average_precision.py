"""Average precision on curves worked out by hand."""

from __future__ import annotations

import pytest

from microspot.engines.evaluation.metrics import score_tables

from .tables import row


def of(truth, found):
    return score_tables(truth, found, resamples=0)["average_precision"]


def test_a_curve_by_hand():
    """By score: hit, miss, hit of 4 truths: (1 + 2/3) / 4 up to the IoU that both reach."""
    truth = [row(100 * i, 100 * i + 9) for i in range(4)]
    found = [row(0, 9, score=0.9), row(50, 59, score=0.8), row(104, 113, score=0.7)]  # IoU 6/14
    report = of(truth, found)["micro"]
    assert report["0.3"] == report["0.4"] == pytest.approx((1 + 2 / 3) / 4)
    assert report["0.5"] == report["0.6"] == report["0.7"] == 1 / 4
    assert report["mean"] == pytest.approx((2 * (1 + 2 / 3) + 3) / 20)


def test_precision_is_the_best_at_a_recall_or_above():
    truth = [row(0, 9), row(100, 109)]
    found = [row(50, 59, score=0.9), row(0, 9, score=0.8), row(100, 109, score=0.7)]
    assert of(truth, found)["micro"]["0.5"] == pytest.approx(2 / 3), "1/2 and 2/3, read as 2/3"


def test_one_score_is_one_point_whatever_the_order():
    truth = [row(0, 9)]
    found = [row(0, 9, score=0.5), row(50, 59, score=0.5)]
    assert of(truth, found)["micro"]["0.5"] == of(truth, found[::-1])["micro"]["0.5"] == 0.5


def test_the_next_best_truth_is_taken_and_each_only_once():
    truth = [row(0, 9), row(2, 11)]
    found = [row(0, 9, score=0.9), row(1, 10, score=0.8), row(1, 10, score=0.7)]
    assert of(truth, found)["micro"]["0.5"] == 1.0
    assert of(truth[:1], [row(1, 10, score=0.8), row(0, 9, score=0.1)])["micro"]["0.5"] == 1.0
    assert of(truth[:1] * 2, [*found[:1], row(50, 59, score=0.5)])["micro"]["0.5"] == 0.5


def test_where_there_is_none():
    assert of([row(0, 9)], [row(0, 9)]) is None, "no scores"
    assert of([row(0, 9)], []) is None
    report = of([row(0, 9)], [row(0, 9, score=0.5, kind="macro")])
    assert (report["micro"]["mean"], report["macro"]) == (0.0, None)
