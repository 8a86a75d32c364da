"""A row of a study where a data set is large enough to be told of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from microspot.engines.data.annotations import Interval
from microspot.engines.data.annotations.result import FROM_0, Annotations
from microspot.engines.data.layouts import Recordings
from microspot.engines.evaluation.cells import LEAST
from microspot.engines.evaluation.metrics.report import score_tables
from microspot.realtime.datasets.compared import Compared
from microspot.realtime.datasets.protocols import Found
from microspot.realtime.study.rows import row

PEOPLE = 6
PROTOCOL = {"name": "zero-shot", "means": "as given"}
ENGINES = {
    "digest": "abc",
    "backend": "onnx",
    "thresholds": {},
    "name": "x",
    "labels": ["negative", "positive", "surprise"],
}


def truths(**classes: int) -> list[Interval]:
    labels = [label for label, count in classes.items() for _ in range(count)]
    return [
        Interval(f"s{place % PEOPLE}", f"v{place}", 10, 14, 20, "micro", label)
        for place, label in enumerate(labels)
    ]


def row_of(truth: list[Interval], found: list[Interval]) -> dict[str, Any]:
    compared = Compared(
        Annotations("cas-me-2", FROM_0), Recordings((), ()), (), truth, (), {}, 30.0
    )
    report = score_tables(truth, found, minutes=10.0, emits=("micro",))
    report |= {"engines": ENGINES, "decision_delay_s": 0.8}
    delays_s = [0.8] * len(found)
    return row("a", report, compared, Found(found, found, delays_s, PROTOCOL), LEAST)


def found_of(truth: list[Interval]) -> list[Interval]:
    return [replace(each, score=0.9) for each in truth]


def test_what_is_large_enough_is_told_with_its_interval() -> None:
    truth = truths(negative=60, positive=36, surprise=48)
    missed = [each for each in truth if each.label == "positive" and each.subject != "s1"]
    told = row_of(truth, found_of([each for each in truth if each not in missed]))
    assert told["micro"]["events"] == 144
    recalls = told["recall_by_class"]
    assert [recalls[name]["events"] for name in recalls] == [60, 36, 48]
    assert recalls["negative"]["recall"] == 1
    assert recalls["positive"]["recall"] == pytest.approx(6 / 36)
    low, high = recalls["positive"]["intervals"]["recall"]
    assert low == 0, "of one person in six alone"
    assert 1 / 6 < high < 1
    assert told["labels"]["events"] == 114
    assert told["labels"]["uf1"] == 1
    assert told["labels"]["intervals"]["accuracy"] == [1, 1]
    assert told["decision_delay_s"] == {"events": 114, "median": 0.8}


def test_a_small_class_takes_others_with_it_and_few_hits_have_no_labels() -> None:
    truth = truths(negative=60, positive=29, surprise=48)
    told = row_of(truth, found_of(truth[:29]))
    recalls = told["recall_by_class"]
    assert recalls["negative"]["recall"] == pytest.approx(29 / 60)
    assert [list(recalls[name]) for name in ("positive", "surprise")] == [["withheld"]] * 2
    assert list(told["labels"]) == list(told["decision_delay_s"]) == ["withheld"]
    assert told["micro"]["tp"] == 29


def test_labels_that_the_engines_do_not_tell_do_not_count() -> None:
    truth = truths(negative=40, others=40)
    told = row_of(
        [replace(each, label=None) if each.label == "others" else each for each in truth],
        found_of(truth),
    )
    assert told["labels"]["events"] == 40
    assert told["recall_by_class"]["no label"]["events"] == 40
