"""Protocols: parts that share no subject, and a test part that no selection can read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microspot.engines.data.annotations import Interval
from microspot.engines.errors import DataError, UsageError
from microspot.engines.training.folds import (
    Fold,
    LeakError,
    Split,
    Subject,
    composite,
    cross_database,
    hold_out,
    leave_one_subject_out,
)

A, B, C = (Subject("cas-me-2", name) for name in ("s15", "s16", "s19"))
names = st.lists(
    st.builds(Subject, st.sampled_from(["samm", "casme-ii"]), st.sampled_from("abcdefgh")),
    min_size=2,
)


def test_leave_one_subject_out() -> None:
    assert leave_one_subject_out([C, A, B, A]) == [
        Split("cas-me-2/s15", (B, C), (A,)),
        Split("cas-me-2/s16", (A, C), (B,)),
        Split("cas-me-2/s19", (A, B), (C,)),
    ]
    with pytest.raises(DataError, match="0 training and 1 test subjects"):
        leave_one_subject_out([A, A])


@given(names, st.floats(0.01, 0.99), st.integers(0, 3))
def test_every_subject_is_whole_in_one_part(
    subjects: list[Subject], share: float, seed: int
) -> None:
    everyone = set(subjects)
    if len(everyone) > 1:
        splits = leave_one_subject_out(subjects)
        assert sorted(one for split in splits for one in split.test) == sorted(everyone)
        assert all({*split.training, *split.test} == everyone for split in splits)
    if len({one.dataset for one in everyone}) > 1:
        for split in cross_database(subjects):
            assert {one.dataset for one in split.test} == {split.name}
            assert split.name not in {one.dataset for one in split.training}
            assert {*split.training, *split.test} == everyone
    if round(share * len(everyone)) < len(everyone) > 1:
        split = hold_out(subjects, share, seed)
        assert {*split.training, *split.test} == everyone
        assert split == hold_out(reversed(subjects), share, seed)


def test_hold_out_takes_its_share() -> None:
    everyone = [Subject("samm", f"{number:03}") for number in range(20)]
    drawn = [hold_out(everyone, 0.25, seed).test for seed in range(3)]
    assert [len(test) for test in drawn] == [5, 5, 5]
    assert len(set(drawn)) == 3
    with pytest.raises(UsageError, match="share 1"):
        hold_out(everyone, 1.0)


def test_one_data_set_is_no_cross_database() -> None:
    with pytest.raises(DataError, match="0 training"):
        cross_database([A, B])


def test_a_subject_of_both_parts_is_refused() -> None:
    with pytest.raises(DataError, match="cas-me-2/s16 is a training and a test subject"):
        Split("mine", (A, B), (B, C))


def test_the_composite_has_three_classes_and_its_own_clips() -> None:
    def row(subject: str, video: str, label: str, kind: str = "micro") -> Interval:
        return Interval(subject, video, 1, None, 9, kind, label)

    rows = {
        "smic-hs": [row("01", "s1_ne_01", "negative")],
        "casme-ii": [
            row("01", "sub01/EP02_01f", "repression"),
            row("01", "sub01/EP03_02", "happiness"),
            row("01", "sub01/EP04_02", "others"),
            row("02", "sub02/EP01_11f", "fear"),
            row("04", "sub04/EP12_01f", "disgust"),
        ],
        "samm": [row("01", "006_1_2", "fear"), row("01", "006_1_3", "surprise", "macro")],
    }
    found = composite(rows)
    assert {str(who): [(one.video, one.label) for one in own] for who, own in found.items()} == {
        "smic-hs/01": [("s1_ne_01", "negative")],
        "casme-ii/01": [("sub01/EP02_01f", "negative"), ("sub01/EP03_02", "positive")],
        "samm/01": [("006_1_2", "negative")],
    }
    assert len(leave_one_subject_out(found)) == 3
    with pytest.raises(UsageError, match="smic-hs is not there"):
        composite({"samm": [], "casme-ii": []})


class Data:
    """A value for each subject, and who was read."""

    def __init__(self) -> None:
        self.read: list[Subject] = []

    def __call__(self, subject: Subject) -> int:
        self.read.append(subject)
        return {A: 1, B: 2, C: 30}[subject]


def test_the_test_part_comes_after_the_choice() -> None:
    data = Data()
    fold = Fold(Split("s19", (A, B), (C,)), data)
    selected = fold.select(lambda training: max(training.values()))
    assert selected.choice == 2
    assert data.read == [A, B], "nothing else was read"
    assert dict(selected.test) == {C: 30}
    assert data.read == [A, B, C]


def test_a_planted_leak_is_refused() -> None:
    """By the test subject's name, by a selection within the selection, and by a second one."""
    data = Data()
    split = Split("s19", (A, B), (C,))
    with pytest.raises(LeakError, match="cas-me-2/s19 is not among the subjects"):
        Fold(split, data).select(lambda training: training[C])
    fold = Fold(split, data)
    with pytest.raises(LeakError, match="has selected"):
        fold.select(lambda training: fold.select(len).test[C])
    spent = Fold(split, data)
    first = spent.select(len)
    assert C not in data.read
    with pytest.raises(LeakError, match="has selected"):
        spent.select(lambda training: first.test[C])
    with pytest.raises(LeakError):
        first.test[A]  # training subjects are no test
    assert C not in data.read
