"""The rule from action units to a class and a label."""

from __future__ import annotations

from itertools import chain

import pytest

from microspot.engines.data.generator.movements.emotions import EMOTIONS
from microspot.engines.units.labels import CLASSES, CORES, label_of


@pytest.mark.parametrize(
    ("units", "found", "reason"),
    [
        (["AU12"], ("I", "happiness", "positive"), "a unit alone"),
        (["AU12", "AU6"], ("I", "happiness", "positive"), "in any order"),
        (["AU1", "AU2"], ("II", "surprise", "surprise"), "of several"),
        (["AU1"], ("V", "sadness", "negative"), "not the class of AU1+AU2"),
        (["AU1", "AU2", "AU4"], ("VI", "fear", "negative"), "not the class of a part"),
        (["AU4", "AU7"], ("III", "anger", "negative"), "listed"),
        (["AU4", "AU7", "AU9"], ("IV", "disgust", "negative"), "one more unit, another class"),
        (["AU15", "AU17"], ("V", "sadness", "negative"), "listed"),
        (["AU14"], ("VII", "", ""), "listed nowhere, and no core"),
        (["AU9", "AU25"], ("VII", "disgust", "negative"), "one core alone"),
        (["AU6", "AU12", "AU25"], ("VII", "happiness", "positive"), "one core alone"),
        (["AU1", "AU2", "AU4", "AU5"], ("VII", "fear", "negative"), "fear's core holds surprise's"),
        (["AU6", "AU12", "AU9"], ("VII", "", ""), "two cores: the rule is silent"),
        ([], ("", "", ""), "nothing moved"),
    ],
)
def test_label_of(units: list[str], found: tuple[str, str, str], reason: str) -> None:
    assert label_of(units) == found, reason


def test_no_combination_is_in_two_classes() -> None:
    listed = [frozenset(units) for one in CLASSES for units in one.combinations]
    assert len(listed) == len(set(listed)) == 36
    assert [one.name for one in CLASSES] == ["I", "II", "III", "IV", "V", "VI"]
    assert set(CORES) == {one.emotion for one in CLASSES}
    assert all(units == tuple(sorted(units)) for units in chain(*CORES.values()))


def test_the_rule_and_the_generators_table_seldom_differ_where_both_speak() -> None:
    """The table follows spontaneous MEs, in which brows alone are often surprise."""
    differing = set()
    for emotion in EMOTIONS:
        for combination in emotion.combinations:
            by_rule = label_of(combination.units).label
            if emotion.label3 and by_rule and by_rule != emotion.label3:
                differing.add(combination.units)
    assert differing == {("AU1",)}
