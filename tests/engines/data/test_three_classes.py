"""Emotions as three classes: MEGC2019's words, and what is in none of them stays as it is."""

from __future__ import annotations

import pytest

from microspot.engines.data.annotations import Interval
from microspot.engines.data.annotations.datasets import READERS
from microspot.engines.data.three_classes import CLASSES, WORDS, in_three_classes


@pytest.mark.parametrize(
    ("dataset", "emotion", "label"),
    [
        ("casme-ii", "happiness", "positive"),
        ("casme-ii", "repression", "negative"),
        ("casme-ii", "sadness", "sadness"),  # the composite leaves it out
        ("samm", "sadness", "negative"),
        ("samm-lv", "contempt", "negative"),
        ("samm", "other", "other"),
        ("smic-hs", "surprise", "surprise"),
        ("cas-me-3-a", "happy", "positive"),
        ("cas-me-2", "others", "others"),
        ("mmew", "anger", "anger"),  # no mapping is known of it
        ("cas-me-2", None, None),
    ],
)
def test_an_emotion_is_in_its_class(dataset: str, emotion: str | None, label: str | None) -> None:
    (row,) = in_three_classes(dataset, [Interval("1", "v", 1, None, 9, "micro", emotion)])
    assert row == Interval("1", "v", 1, None, 9, "micro", label)


def test_every_mapping_is_of_a_data_set_and_into_the_classes() -> None:
    assert WORDS.keys() <= READERS.keys()
    for words in WORDS.values():
        assert set(words.values()) == set(CLASSES)
        assert all(word == word.lower() for word in words), "as readers give them"
