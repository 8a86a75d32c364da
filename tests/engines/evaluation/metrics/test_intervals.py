"""Intervals over subjects, and decision delays."""

from __future__ import annotations

import numpy as np
import pytest

from microspot.engines.evaluation.metrics import bootstrap, score_tables
from microspot.engines.evaluation.metrics.delays import delay_report
from microspot.engines.evaluation.rates import poisson_interval

from .tables import row

SUBJECTS = [f"s{i}" for i in range(10)]
# Each subject has two truths; half of the subjects are hit twice, the others never.
TRUTH = [row(100 * k, 100 * k + 9, "ab"[k], subject=s, video=s) for s in SUBJECTS for k in range(2)]
FOUND = [r for r in TRUTH if int(r.subject[1:]) >= 5]


def test_an_interval_is_the_quantiles_of_drawing_whole_subjects():
    report = score_tables(TRUTH, FOUND, resamples=4000)
    low, high = report["micro"]["intervals"]["recall"]
    shares = np.random.default_rng(1).binomial(10, 0.5, 20000) / 10
    assert (low, high) == tuple(np.quantile(shares, (0.025, 0.975))) == (0.2, 0.8)
    assert report["micro"]["recall"] == 0.5
    assert report["micro"]["intervals"]["precision"] == [1.0, 1.0]
    assert report["protocol"]["intervals"] == {
        "over": "subjects", "subjects": 10, "resamples": 4000, "level": 0.95
    }  # fmt: skip


def test_labels_and_strs_have_intervals_over_all_subjects():
    intervals = score_tables(TRUTH, FOUND)["recognition"]["intervals"]
    assert intervals["uf1"] == [1.0, 1.0]
    low, high = intervals["strs"]  # the F1 of 2 and of 8 hits of 10
    assert (low, high) == (pytest.approx(1 / 3), pytest.approx(16 / 18))


def test_labels_are_of_the_subject_that_was_hit():
    truth = [row(0, 9, "a", subject=who, video=who) for who in ("missed", "seen")]
    ends = score_tables(truth, truth[1:])["recognition"]["intervals"]
    assert ends["strs"] == [0.0, 1.0], "one of them twice, or the other"


def test_a_table_has_one_interval():
    assert score_tables(TRUTH, FOUND) == score_tables(TRUTH, FOUND)
    counts = np.arange(30, dtype=float).reshape(10, 3)
    np.testing.assert_array_equal(bootstrap.resampled(counts, 7), bootstrap.resampled(counts, 7))


def test_draws_in_parts_are_the_same_draws(monkeypatch):
    counts = np.arange(30, dtype=float).reshape(10, 3)
    whole = bootstrap.resampled(counts, 50)
    monkeypatch.setattr(bootstrap, "MOST_CELLS", 70)
    np.testing.assert_array_equal(bootstrap.resampled(counts, 50), whole)


def test_without_two_subjects_there_is_none():
    for truth in (TRUTH[:2], [row(0, 9, subject="")], []):
        report = score_tables(truth, truth)
        assert report["protocol"]["intervals"] is None
        assert report["micro"]["intervals"]["f1"] is None
    assert "intervals" not in score_tables(TRUTH, FOUND, resamples=0)["micro"]


def test_spotted_rows_without_a_subject_are_of_their_videos_subject():
    """A camera knows no subjects; a video that nobody is known of stands for itself."""
    found = [row(r.onset, r.offset, video=r.video, subject="") for r in FOUND]
    found.append(row(0, 9, video="quiet", subject=""))
    report = score_tables(TRUTH, found)
    assert report["protocol"]["intervals"]["subjects"] == 11
    assert report["micro"]["intervals"]["recall"] is not None


def test_false_alarms_a_minute_have_the_exact_interval_of_a_rate():
    report = score_tables(TRUTH, [*FOUND, row(500, 509, subject="s5", video="s5")], minutes=4.0)
    assert report["micro"]["false_alarms_per_min"] == 0.25
    expected = [end / 4 for end in poisson_interval(1)]
    assert report["micro"]["intervals"]["false_alarms_per_min"] == expected
    assert score_tables(TRUTH, FOUND)["micro"]["intervals"]["false_alarms_per_min"] is None


def test_delays():
    assert delay_report([]) is None
    report = delay_report([1.0, 0.5, 0.25, 0.75, 0.0])
    assert (report["count"], report["min"], report["p50"], report["max"]) == (5, 0.0, 0.5, 1.0)
    assert report["p95"] == pytest.approx(0.95)
