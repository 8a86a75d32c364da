"""Every rule on tables whose counts were worked out by hand, and what holds for any table."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microspot.engines.errors import DataError
from microspot.engines.evaluation.metrics import (
    RULES,
    candidates,
    frame_iou,
    match,
    score_tables,
    spotting_report,
)

from .tables import row, tables

# Truth and spotted intervals, and (tp, fp, fn) by each rule at IoU 0.5. Overlaps are in comments.
CASES = {
    "one perfect hit": (
        [row(10, 19)],
        [row(10, 19)],
        dict.fromkeys(RULES, (1, 0, 0)),
    ),
    "disjoint": ([row(0, 9)], [row(10, 19)], dict.fromkeys(RULES, (0, 1, 1))),
    "two spotted on one truth": (  # 9/10, 9/10
        [row(0, 9)],
        [row(0, 8, score=0.2), row(1, 9, score=0.9)],
        {
            "one_to_one": (1, 1, 0),
            "megc2020_gt_hit": (1, 1, 0),
            "voc_greedy": (1, 1, 0),
            "str_eval_relaxed": (2, 0, -1),
        },
    ),
    "one spotted on two truths": (  # 10/20, 10/20
        [row(0, 9), row(10, 19)],
        [row(0, 19)],
        {
            "one_to_one": (1, 0, 1),
            "megc2020_gt_hit": (2, -1, 0),
            "voc_greedy": (1, 0, 1),
            "str_eval_relaxed": (2, 0, 0),
        },
    ),
    "the best truth is taken": (  # f0: 10/10 t0, 8/12 t1; f1: 9/11 t0, 9/11 t1
        [row(0, 9), row(2, 11)],
        [row(0, 9, score=0.9), row(1, 10, score=0.5)],
        {
            "one_to_one": (2, 0, 0),
            "megc2020_gt_hit": (2, 0, 0),
            "voc_greedy": (1, 1, 1),  # f1 wants t0 first, which is taken: no second choice
            "str_eval_relaxed": (4, 0, -2),
        },
    ),
    "a video without truth, one without spotted": (
        [row(0, 9), row(0, 9, video="missed")],
        [row(0, 9), row(0, 9, video="quiet"), row(30, 39, video="quiet")],
        dict.fromkeys(RULES, (1, 2, 1)),
    ),
    "a macro over a micro": (
        [row(0, 9)],
        [row(0, 9, kind="macro")],
        dict.fromkeys(RULES, (0, 1, 1)),
    ),
    "no rows": ([], [], dict.fromkeys(RULES, (0, 0, 0))),
    "no truth": ([], [row(0, 9)], dict.fromkeys(RULES, (0, 1, 0))),
    "nothing spotted": ([row(0, 9)], [], dict.fromkeys(RULES, (0, 0, 1))),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("case", CASES)
def test_counts_by_hand(case, rule):
    truth, found, expected = CASES[case]
    overall = spotting_report(truth, found, rule=rule)["overall"]
    assert (overall["tp"], overall["fp"], overall["fn"]) == expected[rule]


def test_the_published_counts_of_megc2020_give_its_figures():
    """21 of 57 truths hit by 5035 spotted: 0.008248 in the published table, with six digits."""
    truth = [row(100 * i, 100 * i + 9) for i in range(57)]
    hit = [row(100 * i, 100 * i + 9) for i in range(21)]
    report = spotting_report(
        truth, hit + [row(10**6 + 20 * i, 10**6 + 20 * i + 9) for i in range(5014)]
    )
    assert report["micro"]["f1"] == pytest.approx(0.008248232521602514, abs=1e-17)


def test_recall_above_1_is_what_the_relaxed_rule_says():
    report = spotting_report(
        [row(0, 9)], [row(0, 9), row(0, 9), row(1, 9)], rule="str_eval_relaxed"
    )["micro"]
    assert (report["precision"], report["recall"], report["f1"]) == (1.0, 3.0, 1.5)


@pytest.mark.parametrize("rule", ["one_to_one", "voc_greedy"])
def test_ties_go_by_the_frames_and_not_by_the_order_of_the_table(rule):
    truth = [row(0, 9, "a"), row(0, 9, "b"), row(4, 13, "c")]
    found = [row(2, 11, score=0.5), row(2, 11, score=0.5)]
    chosen = {truth[t].label for t, _ in match(truth, found, rule, 0.5)}
    assert chosen == {truth[::-1][t].label for t, _ in match(truth[::-1], found, rule, 0.5)}


@given(tables(), st.sampled_from(sorted(RULES)), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_the_order_of_rows_changes_nothing(both, rule, seed):
    truth, found = both
    mixed = [list(truth), list(found)]
    for rows in mixed:
        random.Random(seed).shuffle(rows)
    first, second = (score_tables(*each, rule=rule, resamples=50) for each in (both, mixed))
    for report in (first, second):
        report.pop("strs_official")  # it goes by the order of the table, and says so
    assert first == second


@given(tables(most=8), st.sampled_from([0.3, 0.5, 0.8]))
@settings(max_examples=60, deadline=None)
def test_one_to_one_is_never_below_greedy_and_never_above_either_table(both, iou):
    truth, found = both
    tp = {
        rule: spotting_report(truth, found, rule=rule, iou=iou)["overall"]["tp"] for rule in RULES
    }
    assert tp["voc_greedy"] <= tp["one_to_one"] <= min(len(truth), len(found))
    assert tp["one_to_one"] <= tp["megc2020_gt_hit"] <= len(truth)
    assert tp["megc2020_gt_hit"] <= tp["str_eval_relaxed"]


@given(tables(), st.sampled_from([0.05, 0.3, 0.5, 0.75, 1.0]))
@settings(max_examples=60, deadline=None)
def test_candidates_are_all_pairs_that_overlap_enough(both, iou):
    truth, found = both
    key = candidates.group_key(truth, found)
    codes: dict = {}
    true, spotted = candidates.columns(truth, key, codes), candidates.columns(found, key, codes)
    pairs = candidates.candidates(true, spotted, iou)
    expected = {
        (t, f)
        for t, a in enumerate(truth)
        for f, b in enumerate(found)
        if key(a) == key(b) and frame_iou(a, b) >= iou
    }
    assert set(zip(pairs.truth.tolist(), pairs.found.tolist(), strict=True)) == expected
    assert len(pairs.truth) == len(expected)


def test_pairs_are_looked_at_in_parts(monkeypatch):
    truth = [row(i, i + 9) for i in range(40)]
    whole = match(truth, truth, "str_eval_relaxed", 0.3)
    monkeypatch.setattr(candidates, "MOST_PAIRS", 7)
    assert match(truth, truth, "str_eval_relaxed", 0.3) == whole
    assert len(whole) > 200


def test_a_number_that_is_no_frame_is_refused():
    with pytest.raises(DataError, match="frame lies beyond"):
        spotting_report([row(0, 2**40)], [row(0, 9)])
    with pytest.raises(DataError, match="frame lies beyond"):
        spotting_report([row(0, 10**30)], [row(0, 9)])


def test_long_videos_and_many_of_them_are_told_apart():
    far = candidates.MOST_FRAME
    truth = [row(far - 9, far, video=f"v{i}") for i in range(300)]
    found = [row(-far, -far + 9, video=f"v{i}") for i in range(300)]
    assert spotting_report(truth, found)["micro"]["tp"] == 0
    assert spotting_report(truth, truth)["micro"]["tp"] == 300
    assert np.isfinite(spotting_report(truth, found)["micro"]["f1"])
