"""Matching rules and pooled counts, each row with its reason."""

import pytest

from engines.data.annotations import Interval, read_table, write_table
from engines.errors import DataError, UsageError
from engines.metrics import frame_iou, label_report, match, recognition_report, spotting_report


def row(onset, offset, label=None, score=None, video="v", kind="micro"):
    return Interval("s", video, onset, None, offset, kind, label, score)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (row(1, 10), row(1, 10), 1.0),
        (row(1, 10), row(11, 20), 0.0),  # touching frames do not overlap: the published +1 bug is not copied
        (row(1, 10), row(10, 19), 1 / 19),  # one shared frame of 19: both ends count
        (row(5, 5), row(5, 5), 1.0),  # a single frame is an interval
    ],
)
def test_iou_counts_both_end_frames(a, b, expected):
    assert frame_iou(a, b) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("rule", "truth", "found", "tp"),
    [
        ("one_to_one", [row(0, 9)], [row(0, 9), row(1, 10)], 1),  # the second prediction is a false alarm
        ("megc2020_gt_hit", [row(0, 9), row(4, 13)], [row(2, 11)], 2),  # one prediction may serve two truths
        ("one_to_one", [row(0, 9), row(4, 13)], [row(2, 11)], 1),  # not here
        ("voc_greedy", [row(0, 9)], [row(0, 9, score=0.1), row(1, 10, score=0.9)], 1),  # the higher score is matched
        ("str_eval_relaxed", [row(0, 9)], [row(0, 9), row(1, 10)], 2),  # both count
    ],
)
def test_rules(rule, truth, found, tp):
    report = spotting_report(truth, found, rule=rule, iou=0.4)
    assert report["micro"]["tp"] == tp


def test_counts_pool_over_videos_and_types_stay_apart():
    truth = [row(0, 9), row(0, 9, video="w"), row(0, 40, kind="macro")]
    report = spotting_report(truth, [row(0, 9), row(20, 29)], minutes=2.0)
    assert report["micro"] == {
        "tp": 1, "fp": 1, "fn": 1, "precision": 0.5, "recall": 0.5, "f1": 0.5, "false_alarms_per_min": 0.5
    }  # fmt: skip
    assert report["macro"]["fn"] == 1
    assert report["overall"]["tp"] == 1


def test_a_type_that_is_not_emitted_is_null():
    report = spotting_report([row(0, 9)], [], emits=("micro",))
    assert report["macro"] is None
    assert report["overall"] is None
    assert report["micro"]["false_alarms_per_min"] is None


def test_unknown_rule_is_refused():
    with pytest.raises(UsageError, match="one_to_one"):
        match([row(0, 9)], [row(0, 9)], "best", 0.5)


def test_labels_pool_and_strs_multiplies():
    report = label_report(["a", "a", "b"], ["a", "b", "b"])
    assert report["accuracy"] == pytest.approx(0.6667)
    assert report["uar"] == 0.75
    truth = [row(0, 9, "a"), row(20, 29, "b")]
    assert recognition_report(truth, [row(0, 9, "a"), row(20, 29, "b")])["strs"] == 1.0
    assert recognition_report(truth, [])["uf1"] is None


def test_table_round_trip_and_its_errors(tmp_path):
    path = tmp_path / "t.csv"
    rows = [Interval("007", "0101", 3, 5, 9, "micro", "surprise", 0.5, 30.0), row(1, 2)]
    write_table(path, rows)
    assert read_table(path) == rows
    path.write_text("subject,video,onset\n")
    with pytest.raises(DataError, match="apex"):
        read_table(path)
    path.write_text("subject,video,onset,apex,offset,type,label\ns,v,9,,3,micro,\n")
    with pytest.raises(DataError, match="line 2"):
        read_table(path)
    path.write_text("subject,video,onset,apex,offset,type,label\ns,v,x,,3,micro,\n")
    with pytest.raises(DataError, match="onset is 'x'"):
        read_table(path)
