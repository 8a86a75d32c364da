"""Matching rules and pooled counts, each row with its reason."""

from itertools import permutations
from math import nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microspot.engines.data.annotations import Interval, read_table
from microspot.engines.errors import DataError, UsageError
from microspot.engines.evaluation.metrics import (
    frame_iou,
    label_report,
    match,
    matches,
    one_to_one,
    recognition_report,
    spotting_report,
)


def row(onset, offset, label=None, score=None, video="v", kind="micro", subject="s"):
    return Interval(subject, video, onset, None, offset, kind, label, score)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (row(1, 10), row(1, 10), 1.0),
        # touching frames do not overlap: the published +1 bug is not copied
        (row(1, 10), row(11, 20), 0.0),
        (row(1, 10), row(10, 19), 1 / 19),  # one shared frame of 19: both ends count
        (row(5, 5), row(5, 5), 1.0),  # a single frame is an interval
    ],
)
def test_iou_counts_both_end_frames(a, b, expected):
    assert frame_iou(a, b) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("rule", "truth", "found", "tp"),
    [
        # the second prediction is a false alarm
        ("one_to_one", [row(0, 9)], [row(0, 9), row(1, 10)], 1),
        # one prediction may serve two truths
        ("megc2020_gt_hit", [row(0, 9), row(4, 13)], [row(2, 11)], 2),
        ("one_to_one", [row(0, 9), row(4, 13)], [row(2, 11)], 1),  # not here
        # the higher score is matched
        ("voc_greedy", [row(0, 9)], [row(0, 9, score=0.1), row(1, 10, score=0.9)], 1),
        ("str_eval_relaxed", [row(0, 9)], [row(0, 9), row(1, 10)], 2),  # both count
    ],
)
def test_rules(rule, truth, found, tp):
    report = spotting_report(truth, found, rule=rule, iou=0.4)
    assert report["micro"]["tp"] == tp


def test_no_pair_is_lost_to_a_better_one():
    truth = [row(0, 9), row(4, 14)]
    found = [row(3, 13), row(8, 18)]
    assert match(truth, found, "one_to_one", 0.3) == [(0, 0), (1, 1)], (
        "the best pair, truth 1 and found 0, leaves nothing for the others"
    )


def test_of_as_many_pairs_those_with_the_largest_sum_are_taken():
    overlap = np.array([[0.9, 0.8], [0.8, 0.5]])
    assert one_to_one(overlap, 0.5) == [(0, 1), (1, 0)]
    assert one_to_one(overlap, 0.81) == [(0, 0)]
    assert one_to_one(np.empty((0, 3)), 0.5) == one_to_one(np.empty((3, 0)), 0.5) == []


def every_matching(overlap, iou):
    """(number of pairs, sum of IoU) of the best matching, by trying every one."""
    if overlap.shape[0] > overlap.shape[1]:
        overlap = overlap.T
    best = (0, 0.0)
    for columns in permutations(range(overlap.shape[1]), overlap.shape[0]):
        values = [value for value in overlap[range(len(overlap)), columns] if value >= iou]
        best = max(best, (len(values), sum(values)))
    return best


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 2**32 - 1), st.sampled_from([0.3, 0.5]))
@settings(max_examples=200, deadline=None)
def test_one_to_one_finds_the_best_of_all_matchings(truths, found, seed, iou):
    rng = np.random.default_rng(seed)
    overlap = rng.integers(0, 11, (truths, found)) / 10  # ties are frequent
    pairs = one_to_one(overlap, iou)
    rows = [t for t, _ in pairs]
    columns = [f for _, f in pairs]
    assert rows == sorted(set(rows))
    assert len(set(columns)) == len(columns)
    assert all(overlap[pair] >= iou for pair in pairs)
    count, total = every_matching(overlap, iou)
    assert len(pairs) == count
    assert sum(overlap[pair] for pair in pairs) == pytest.approx(total)


def test_counts_pool_over_videos_and_types_stay_apart():
    truth = [row(0, 9), row(0, 9, video="w"), row(0, 40, kind="macro")]
    report = spotting_report(truth, [row(0, 9), row(20, 29)], minutes=2.0)
    assert report["micro"] == {
        "tp": 1,
        "fp": 1,
        "fn": 1,
        "precision": 0.5,
        "recall": 0.5,
        "f1": 0.5,
        "false_alarms_per_min": 0.5,
    }, "a number of full precision each"
    assert report["macro"]["fn"] == 1
    assert report["overall"]["tp"] == 1


def test_a_type_that_is_not_emitted_is_null():
    report = spotting_report([row(0, 9)], [], emits=("micro",))
    assert report["macro"] is None
    assert report["overall"] is None
    assert report["micro"]["false_alarms_per_min"] is None


@pytest.mark.parametrize("truth", [[], [row(0, 9)]])
@pytest.mark.parametrize(
    ("rule", "iou", "message"),
    [
        ("best", 0.5, "one_to_one"),
        ("one_to_one", 0, "iou 0"),
        ("one_to_one", 1.01, "1.01"),
        ("voc_greedy", nan, "nan"),
    ],
)
def test_a_rule_or_an_iou_that_is_none_is_refused(truth, rule, iou, message):
    for call in (match, matches):
        with pytest.raises(UsageError, match=message):
            call(truth, [row(0, 9)], rule, iou)


def test_videos_of_one_name_are_told_apart_by_subject():
    truth = [row(0, 9, subject="a"), row(0, 9, subject="b")]
    assert spotting_report(truth, [row(0, 9, subject="b")])["micro"]["tp"] == 1
    assert spotting_report(truth, [row(0, 9, subject="c")])["micro"]["tp"] == 0
    with pytest.raises(DataError, match="'v' is of subjects 'a' and 'b'"):
        spotting_report(truth, [row(0, 9, subject="")])
    assert spotting_report(truth[:1], [row(0, 9, subject="")])["micro"]["tp"] == 1, (
        "a camera knows no subjects"
    )
    assert spotting_report([row(0, 9, subject="")], [row(0, 9)])["micro"]["tp"] == 1


def test_labels_pool_and_strs_multiplies():
    report = label_report(["a", "a", "b"], ["a", "b", "b"])
    assert report["accuracy"] == 2 / 3
    assert report["uar"] == 0.75
    truth = [row(0, 9, "a"), row(20, 29, "b")]
    assert recognition_report(truth, [row(0, 9, "a"), row(20, 29, "b")])["strs"] == 1.0
    assert recognition_report(truth, [])["uf1"] is None


def test_a_table_and_its_errors(tmp_path):
    path = tmp_path / "t.csv"
    header = "subject,video,onset,apex,offset,type,label"
    path.write_text(
        f"{header},score,fps\n007,0101,3,5,9,micro,surprise,0.5,30\ns,v,1,,2,micro,,,\n"
    )
    assert read_table(path) == [
        Interval("007", "0101", 3, 5, 9, "micro", "surprise", 0.5, 30.0),
        row(1, 2),
    ]
    path.write_text("subject,video,onset\n")
    with pytest.raises(DataError, match="apex"):
        read_table(path)
    for text, message in (
        ("s,v,9,,3,micro,", "line 2"),
        ("s,v,x,,3,micro,", "onset is 'x'"),
        ("s,v,nan,,3,micro,", "line 2: onset is 'nan'"),
        ("s,v,1,1e999,3,micro,", "apex is '1e999'"),
        ("s,v,1,,3,micro", "line 2: the row ends before column 'label'"),
    ):
        path.write_text(f"{header}\n{text}\n")
        with pytest.raises(DataError, match=message):
            read_table(path)
