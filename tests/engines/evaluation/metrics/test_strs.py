"""STRS, strict and official: the example of its authors, and cases where they differ."""

from __future__ import annotations

import pytest

from microspot.engines.evaluation.metrics import official_strs, recognition_report

from .tables import row

# The example in the README of STRS-Metric, which prints STRS: 0.2.
TRUTH = [
    row(45, 85, "happiness", video="EP02_01f", subject="1"),
    row(130, 160, "others", video="EP03_02", subject="1"),
    row(20, 75, "others", video="EP04_02", subject="1"),
    row(45, 95, "repression", video="EP01_11f", subject="2"),
    row(30, 140, "repression", video="EP02_04f", subject="2"),
]
FOUND = [
    row(10, 70, "happiness", video="EP02_01f", subject="1"),
    row(100, 170, "others", video="EP03_02", subject="1"),
    row(0, 70, "others", video="EP04_02", subject="1"),
    row(20, 90, "happiness", video="EP01_11f", subject="2"),
    row(70, 140, "happiness", video="EP02_04f", subject="2"),
]


def test_the_example_of_the_authors():
    official = official_strs(TRUTH, FOUND)
    assert official["strs"] == pytest.approx(0.2, abs=1e-15)
    assert (official["spotting"]["tp"], official["labels"]["recall"]) == (3, pytest.approx(1 / 3))
    assert recognition_report(TRUTH, FOUND)["strs"] == pytest.approx(0.3, abs=1e-15)


@pytest.mark.parametrize(
    ("truth", "found", "official", "strict"),
    [
        # one perfect hit: the script divides 0 by 0
        ([row(0, 9, "a")], [row(0, 9, "a")], None, 1.0),
        # spotted in a video without truth: no false alarm to the script; F1 4/5
        (
            [row(0, 9, "a"), row(30, 39, "b")],
            [row(0, 9, "a"), row(30, 39, "b"), row(0, 9, "a", video="w")],
            1.0,
            0.8,
        ),
        # a subject without spotted intervals: no miss to the script
        (
            [row(0, 9, "a"), row(30, 39, "b"), row(0, 9, "a", video="w", subject="t")],
            [row(0, 9, "a"), row(30, 39, "b")],
            1.0,
            0.8,
        ),
        # one spotted interval on two truths: two hits to the script, right and wrong
        (
            [row(0, 9, "a"), row(10, 19, "b")],
            [row(0, 19, "a")],
            1 / 3,  # precision (1/2, 0), recall (1, 0)
            2 / 3,  # tp 1, fn 1; its label is right
        ),
        # the mean precision is over all classes of the truth, also one that was never spotted
        (
            [row(0, 9, "a"), row(30, 39, "b"), row(60, 69, "c")],
            [row(0, 9, "a"), row(30, 39, "b")],
            0.8 * 2 / 3,
            0.8,
        ),
    ],
)
def test_where_the_counts_differ(truth, found, official, strict):
    assert official_strs(truth, found)["strs"] == (
        None if official is None else pytest.approx(official)
    )
    assert recognition_report(truth, found)["strs"] == pytest.approx(strict)


def test_the_first_in_the_table_takes_the_truth_officially():
    truth = [row(0, 9, "a"), row(30, 39, "b")]
    found = [row(1, 9, "b"), row(0, 9, "a"), row(30, 39, "b")]
    first = official_strs(truth, found)
    second = official_strs(truth, [found[1], found[0], found[2]])
    assert first["spotting"] == second["spotting"]
    assert first["strs"] < second["strs"] == pytest.approx(0.8)


def test_what_the_script_calls_uar_is_the_mean_precision():
    told = official_strs([row(0, 9, "a"), row(10, 19, "b")], [row(0, 19, "a")])["labels"]
    assert (told["precision"], told["recall"], told["uar"]) == (0.25, 0.5, 0.25)


def test_macro_rows_and_rows_without_labels_are_left_out():
    truth = [row(0, 9, "a"), row(30, 39, "b"), row(60, 99, "a", kind="macro"), row(200, 209)]
    found = [row(0, 9, "a"), row(30, 39, "b"), row(300, 399, "a", kind="macro"), row(200, 209)]
    assert official_strs(truth, found)["strs"] == 1.0
    assert official_strs(truth, found)["spotting"]["tp"] == 3


def test_a_table_without_subjects_has_an_official_score_too():
    truth = [row(0, 9, "a", subject=""), row(30, 39, "b", subject="")]
    assert official_strs(truth, truth)["strs"] == 1.0
    missed = official_strs([*truth, row(0, 9, "a", subject="", video="w")], truth)
    assert missed["spotting"]["fn"] == 1, "whose it is, is not known"
    assert official_strs([], [])["strs"] is None
