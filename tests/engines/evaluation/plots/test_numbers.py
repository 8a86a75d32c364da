"""The numbers behind each figure, on tables whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microspot.engines.evaluation.metrics import RULES, spotting_report
from microspot.engines.evaluation.metrics.average_precision import average_precision
from microspot.engines.evaluation.plots import LeftOut, Scored, interval_plots
from microspot.engines.evaluation.plots.confusion import confusion_plot, counts, shares
from microspot.engines.evaluation.plots.curves import precision_recall
from microspot.engines.evaluation.plots.delay import delay_plot, distribution
from microspot.engines.evaluation.plots.sweep import MOST_THRESHOLDS, sweeps, thresholds
from microspot.engines.evaluation.plots.timeline import Bar, Row, rows, timelines
from tests.engines.evaluation.metrics.tables import row, tables

TRUTH = [row(0, 9), row(20, 29), row(40, 49)]
FOUND = [
    row(0, 9, score=0.9),
    row(60, 69, score=0.8),
    row(20, 29, score=0.7),
    row(80, 89, score=0.6),
]


def named(plots):
    return {each.name: each for each in plots if not isinstance(each, LeftOut)}


def left_out(plots):
    return [str(each) for each in plots if isinstance(each, LeftOut)]


def test_precision_recall():
    curve = precision_recall(Scored(TRUTH, FOUND))["micro"]
    assert curve.recall == pytest.approx([1 / 3, 1 / 3, 2 / 3, 2 / 3])
    assert curve.precision == pytest.approx([1, 2 / 3, 2 / 3, 1 / 2])
    assert (curve.average, curve.truths) == (pytest.approx(5 / 9), 3)


def test_counts_as_the_threshold_rises():
    sweep = sweeps(Scored(TRUTH, FOUND))["micro"]
    assert sweep.thresholds.tolist() == [0.6, 0.7, 0.8, 0.9]
    assert sweep.counts.tolist() == [[2, 2, 1], [2, 1, 1], [1, 1, 2], [1, 0, 2]]
    assert sweep.f1 == pytest.approx([4 / 7, 2 / 3, 2 / 5, 1 / 2])
    assert sweep.recall == pytest.approx([2 / 3, 2 / 3, 1 / 3, 1 / 3])
    assert sweep.false_alarms(2.0).tolist() == [1, 0.5, 0.5, 0]


@given(tables(), st.sampled_from(sorted(RULES)))
@settings(max_examples=60, deadline=None)
def test_curves_end_where_score_is(both, rule):
    truth, found = both
    scored = Scored(truth, found, rule, 0.4)
    if not found or not scored.kinds:
        return
    report = spotting_report(truth, found, rule=rule, iou=0.4)
    average = average_precision(scored.compared)
    curve = precision_recall(scored)
    for kind, sweep in sweeps(scored).items():
        assert sweep.counts[0].tolist() == [report[kind][name] for name in ("tp", "fp", "fn")]
        assert sweep.f1[0] == pytest.approx(report[kind]["f1"])
        assert kind == "overall" or curve[kind].average == pytest.approx(average[kind]["0.4"])


def test_of_many_scores_some_are_thresholds_and_both_ends_are():
    score = np.arange(1000) / 1000
    found = thresholds(score)
    assert len(found) == MOST_THRESHOLDS
    assert (found[0], found[-1]) == (0, 0.999)
    assert thresholds(np.array([0.5, 0.2, 0.5])).tolist() == [0.2, 0.5]


def test_a_type_has_a_curve_where_it_is_emitted_and_there_is_truth_of_it():
    macro = row(0, 50, kind="macro", score=0.5)
    assert Scored(TRUTH, FOUND).kinds == ["micro"]
    assert Scored(TRUTH, [*FOUND, macro]).kinds == ["micro", "overall"]
    assert Scored([*TRUTH, macro], FOUND).kinds == ["micro", "macro", "overall"]
    assert Scored([*TRUTH, macro], FOUND, emits=("micro",)).kinds == ["micro"]
    assert Scored([], FOUND).kinds == []


def test_timeline_says_what_was_hit_in_each_video():
    truth = [*TRUTH, row(5, 9, video="w", kind="macro")]
    found = [*FOUND, row(7, 9, video="quiet", score=0.5)]
    v, quiet, w = "s v", "s quiet", "s w"
    expected = [
        Row(quiet, (), (Bar(7, 9, "micro", False),)),
        Row(
            v,
            (Bar(0, 9, "micro", True), Bar(20, 29, "micro", True), Bar(40, 49, "micro", False)),
            (
                Bar(0, 9, "micro", True),
                Bar(20, 29, "micro", True),
                Bar(60, 69, "micro", False),
                Bar(80, 89, "micro", False),
            ),
        ),
        Row(w, (Bar(5, 9, "macro", False),), ()),
    ]
    assert rows(Scored(truth, found)) == expected
    assert rows(Scored(truth[::-1], found[::-1])) == expected
    assert expected[1].numbers() == "s v: 2 of 3 found, false alarms: 2"


def test_many_videos_have_several_timelines_and_too_many_are_told():
    def of(videos):
        return timelines(Scored([row(0, 9, video=f"{n:03}") for n in range(videos)], []))

    assert list(named(of(20))) == ["timeline"]
    assert list(named(of(21))) == ["timeline_1", "timeline_2"]
    assert left_out(of(21)) == []
    many = of(203)
    assert len(named(many)) == 10
    assert left_out(many) == [
        "timelines of 3 videos not drawn: only the first 200 of 203 videos by name are"
    ]


def test_confusion_has_counts_and_their_share_of_the_true_label():
    confusion = {"a": {"a": 3, "b": 1}, "b": {"a": 0, "b": 0}}
    assert counts(confusion).tolist() == [[3, 1], [0, 0]]
    assert shares(counts(confusion)).tolist() == [[0.75, 0.25], [0, 0]]
    assert confusion_plot(confusion, "", "").alt == "true a: 3 a, 1 b."
    wide = {str(n): {str(m): 1 for m in range(17)} for n in range(17)}
    assert "17 labels" in str(confusion_plot(wide, "", ""))


def test_share_of_decisions_after_as_long():
    seconds, share = distribution([2.0, 0.5, 0.5, 1.0])
    assert seconds.tolist() == [0.5, 1.0, 2.0]
    assert share.tolist() == [0.5, 0.75, 1.0]
    alt = delay_plot([2.0, 0.5, 0.5, 1.0], "").alt
    assert alt.startswith("4 decisions: min 0.500 s,")
    assert "p50 0.750 s" in alt


def test_figures_tell_their_numbers_protocol_and_note():
    scored = Scored(TRUTH, FOUND, minutes=2.0, confusion={"a": {"a": 1}}, delays_s=[0.5])
    plots = interval_plots(scored)
    found = named(plots)
    assert list(found) == [
        "precision_recall",
        "f1_threshold",
        "false_alarms",
        "confusion",
        "decision_delay",
        "timeline",
    ]
    assert left_out(plots) == []
    assert (
        "average precision 0.556 of 3 truths, highest recall 0.667" in found["precision_recall"].alt
    )
    assert "highest 0.667 at 0.7" in found["f1_threshold"].alt
    assert "recall 0.667 at 1 false alarms a minute" in found["false_alarms"].alt
    assert "0.333 without any false alarm" in found["false_alarms"].alt
    assert all(plot.note == scored.note for plot in plots)
    assert all(RULES["one_to_one"] in found[name].protocol for name in ("f1_threshold", "timeline"))
    assert all("IoU 0.5" in plot.protocol for plot in plots if plot.name != "decision_delay")


@pytest.mark.parametrize(
    ("truth", "found", "why"),
    [
        (TRUTH, [*FOUND, row(90, 99)], "1 of 5 spotted intervals have no score"),
        (TRUTH, [], "no interval was spotted"),
        ([], FOUND, "the truth has no micro and no macro interval"),
    ],
)
def test_why_there_are_no_curves(truth, found, why):
    plots = interval_plots(Scored(truth, found))
    assert list(named(plots)) == ["timeline"]
    assert why in left_out(plots)[0]


def test_what_else_is_left_out():
    said = left_out(interval_plots(Scored(TRUTH, FOUND, delays_s=[])))
    assert [line.split(" not drawn")[0] for line in said] == [
        "false alarms against recall",
        "confusion of labels",
        "decision delay",
    ]
    assert left_out(timelines(Scored([], []))) == ["timelines not drawn: both tables are empty"]
