"""Thresholds of each fold come from its training subjects, whatever the test subject would like."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from microspot.engines.data.annotations import Interval
from microspot.engines.evaluation.stored_scores import SegmentScores, VideoScores
from microspot.engines.intervals import Candidate
from microspot.engines.training.folds import Split, Subject, leave_one_subject_out
from microspot.engines.training.threshold_folds import SubjectVideo, choose_in_folds
from tests import fakes

SPEC = fakes.spec(t_cpn=0.3, t_crn=0.05)
TICKS = 1800
PEOPLE = [Subject("cas-me-2", name) for name in ("s1", "s2", "s3")]


def video(real: float, false: float) -> SubjectVideo:
    """A minute at 30 Hz with an ME and a false alarm, of these CRN scores."""
    windows = (Candidate(21, 0, 11, 21, real), Candidate(101, 0, 91, 101, false))
    frames = np.arange(TICKS, dtype=np.int32)
    scores = np.ones((TICKS, SPEC.scales), np.float32)
    segment = SegmentScores(0, frames, scores, windows)
    index = frames.astype(np.int64)
    stored = VideoScores(30, index, index * 10**9 // 30, (segment,))
    return SubjectVideo("v", stored, (Interval("", "v", 11, None, 20, "micro"),))


# The third person would like a lower threshold than the others.
VIDEOS = dict(zip(PEOPLE, [video(0.9, 0.8), video(0.9, 0.8), video(0.5, 0.2)], strict=True))


def test_a_fold_chooses_without_its_test_subject() -> None:
    asked: list[Subject] = []

    def read(subject: Subject) -> list[SubjectVideo]:
        asked.append(subject)
        return [VIDEOS[subject]]

    results = choose_in_folds(leave_one_subject_out(PEOPLE), read, SPEC, 30.0)
    assert asked == [*PEOPLE[1:], PEOPLE[0], PEOPLE[0], PEOPLE[2], PEOPLE[1], *PEOPLE]
    third = results[2]
    assert 0.8 < third.chosen["t_crn"] <= 0.9
    assert third.found == (), "at the others' threshold nothing of the third person is found"
    assert third.to_json() == {
        "fold": "cas-me-2/s3",
        "test": ["cas-me-2/s3"],
        "t_cpn": third.chosen["t_cpn"],
        "t_crn": third.chosen["t_crn"],
        "f1": 1.0,
        "truths": 2,
        "minutes": 2.0,
    }
    rows = [row for result in results for row in result.found if row.subject == "s1"]
    assert (rows[0].onset, rows[0].offset, rows[0].score) == (11, 20, pytest.approx(0.9))
    assert {row.type for row in rows} == {"micro"}


def test_the_test_subject_changes_no_choice() -> None:
    split = Split("s3", tuple(PEOPLE[:2]), (PEOPLE[2],))

    def chosen(third: SubjectVideo) -> dict[str, object]:
        videos = VIDEOS | {PEOPLE[2]: third}
        (result,) = choose_in_folds([split], lambda one: [videos[one]], SPEC)
        return result.chosen

    assert chosen(video(0.3, 0.99)) == chosen(video(0.99, 0.3))


def test_other_values_of_the_weights_stay() -> None:
    """With an NMS that suppresses nothing, two windows of one ME are two intervals."""
    twice = video(0.9, 0.1)
    (segment,) = twice.scores.segments
    more = (*segment.windows, Candidate(22, 0, 12, 22, 0.85))
    doubled = replace(segment, windows=more)
    videos = [replace(twice, scores=replace(twice.scores, segments=(doubled,)))]
    split = Split("s3", (PEOPLE[0],), (PEOPLE[1],))
    read = {PEOPLE[0]: [video(0.8, 0.1)], PEOPLE[1]: videos}
    counts = [
        len(choose_in_folds([split], read.__getitem__, replace(SPEC, t_nms=t_nms))[0].found)
        for t_nms in (0.2, 1.0)
    ]
    assert counts == [1, 2]
