"""Labels: pooled over folds, the mean of the folds, classes that are absent."""

from __future__ import annotations

import pytest

from microspot.engines.errors import UsageError
from microspot.engines.evaluation.metrics import label_report, recognition_report, score_tables

from .tables import row

TRUE = ["a", "a", "b", "b"]
SAID = ["a", "b", "b", "b"]
FOLDS = ["1", "1", "2", "2"]


def test_pooled_and_the_mean_of_the_folds_are_two_numbers():
    report = label_report(TRUE, SAID, FOLDS)
    assert report["uf1"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert (report["uar"], report["accuracy"]) == (0.75, 0.75)
    # fold 1: a 2/3, b 0 / 1; fold 2: a absent, b 1
    assert report["fold_mean"] == {
        "folds": 2,
        "uf1": pytest.approx((2 / 3 / 2 + 1 / 2) / 2),
        "uar": pytest.approx((0.5 / 2 + 1 / 2) / 2),
        "accuracy": 0.75,
    }
    assert report["classes"]["a"] == {
        "support": 2,
        "precision": 1.0,
        "recall": 0.5,
        "f1": pytest.approx(2 / 3),
    }


def test_a_class_that_is_named_and_absent_counts_0():
    assert label_report(TRUE, TRUE)["uf1"] == 1.0
    report = label_report(TRUE, TRUE, classes=["a", "b", "c"])
    assert (report["uf1"], report["uar"]) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert report["classes"]["c"] == {"support": 0, "precision": 0.0, "recall": 0.0, "f1": 0.0}
    with pytest.raises(UsageError, match="also has b"):
        label_report(TRUE, TRUE, classes=["a"])


def test_a_class_that_is_only_told_costs_precision_and_no_term():
    report = label_report(["a", "a"], ["a", "c"])
    assert report["uf1"] == pytest.approx(2 / 3)
    assert report["confusion"] == {"a": {"a": 1, "c": 1}, "c": {"a": 0, "c": 0}}


def test_hits_have_the_mean_of_subjects():
    truth = [row(0, 9, "a"), row(30, 39, "b", subject="t", video="w")]
    found = [row(0, 9, "a"), row(30, 39, "a", subject="t", video="w")]
    report = recognition_report(truth, found)
    assert report["fold_mean"] == {"folds": 2, "uf1": 0.25, "uar": 0.25, "accuracy": 0.5}
    assert "fold_mean" not in recognition_report(
        [row(0, 9, "a", subject="")], [row(0, 9, "a", subject="")]
    )
    assert score_tables(truth, found)["recognition"]["fold_mean"]["folds"] == 2
