"""What is withheld: small cells, those of one person, and what would follow from a total."""

from __future__ import annotations

import pytest

from microspot.engines.evaluation.cells import LEAST, Least, enough, withheld_classes


def people(count: int, of: int = 5) -> list[str]:
    return [f"p{place % of}" for place in range(count)]


def test_a_cell_rests_on_thirty_events_of_four_people() -> None:
    assert Least(30, 4) == LEAST
    assert enough(people(30), LEAST)
    assert not enough(people(29), LEAST)
    assert enough(people(90, of=4), LEAST)
    assert not enough(people(90, of=3), LEAST)


@pytest.mark.parametrize(
    ("sizes", "hidden", "why"),
    [
        ({"a": 40, "b": 50}, "", "all are large"),
        ({"a": 40, "b": 50, "c": 29}, "ca", "c is the total less a and b"),
        ({"a": 40, "b": 29, "c": 28, "d": 60}, "bc", "57 together: neither follows"),
        ({"a": 40, "b": 5, "c": 6, "d": 60}, "bca", "11 together are too few"),
        ({"a": 5}, "a", "alone"),
        ({}, "", "no class"),
    ],
)
def test_a_small_class_does_not_follow_from_the_others(
    sizes: dict[str, int], hidden: str, why: str
) -> None:
    found = withheld_classes({name: people(size) for name, size in sizes.items()}, LEAST)
    assert found == set(hidden), why


def test_a_class_of_few_people_is_withheld() -> None:
    classes = {"a": people(90, of=3), "b": people(40), "c": people(60)}
    assert withheld_classes(classes, LEAST) == {"a", "b"}


def test_what_is_withheld_is_not_of_few_people_together() -> None:
    few = {"a": people(20, of=3), "b": people(20, of=3), "c": people(60), "d": people(70)}
    assert withheld_classes(few, LEAST) == {"a", "b", "c"}
