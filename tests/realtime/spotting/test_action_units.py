"""Events say what moved where the weights do, and nothing of it where they do not."""

from __future__ import annotations

import json

import numpy as np
import pytest

from microspot.engines.alignment.displacement import BLOCKS
from microspot.engines.units.displacement import reference_px, size_of
from microspot.realtime.overlay.event_text import caption, differs, unit_words
from microspot.realtime.records import Event
from microspot.realtime.session import Session
from microspot.realtime.spotting.time_grid import tick_ns
from tests import fakes

ADDED = {"action_units", "region", "objective_class", "label_by_units"}


def events(moved: bool, emotions: bool = True) -> list[Event]:
    """All events of a fake stream."""
    feats = fakes.features(np.random.default_rng(0), 120, 0.6)
    session = Session(fakes.engine_set(moved, emotions), "x")
    found = []
    for t in range(feats.shape[1]):
        found += session.push(fakes.crop(feats[:, t], tick_ns(0, t, 30), t))
    return found + session.flush()


def test_a_final_event_says_what_moved() -> None:
    found = events(moved=True)
    finals = [event for event in found if event.status == "final"]
    assert len(finals) > 3
    assert all(event.action_units is None for event in found if event.status != "final")
    px = [round(reference_px(size, fakes.SIDE), 2) for size in (2, 1)]
    for event in finals:
        record = json.loads(json.dumps(event.to_json()))
        assert record["action_units"] == [
            {"au": au, "side": "L", "px": size, "size": size_of(size), "score": score}
            for au, size, score in zip(("AU4", "AU7"), px, (0.8, 0.6), strict=True)
        ]
        assert record["region"]["name"] == "brow"
        assert record["region"]["px"] == px[0]
        assert (record["objective_class"], record["label_by_units"]) == ("III", "negative")
        assert record["label"] == "positive"
        assert differs(record)
        words = unit_words(record)
        assert words.startswith(f"AU4 left, {px[0]:.1f} px ({size_of(px[0])}) 80%; AU7 left, ")
        assert words.endswith("; by rule negative")
        assert caption(record) == "positive 70%"


def test_a_final_event_keeps_where_the_crop_went_for_pictures() -> None:
    for event in events(moved=False):
        if event.status == "final":
            assert event.flow.shape == (BLOCKS, BLOCKS, 2)
            assert "flow" not in event.to_json()
        else:
            assert event.flow is None


def test_without_heads_nothing_is_said_of_it() -> None:
    for event in events(moved=False):
        record = event.to_json()
        assert not ADDED & set(record)
        assert unit_words(record) == ""
        assert event.rule_label is None


def test_units_in_place_of_labels_say_no_emotion() -> None:
    finals = [event for event in events(True, emotions=False) if event.status == "final"]
    assert finals
    for event in finals:
        record = event.to_json()
        assert (record["label"], record["label_scores"]) == (None, None)
        assert (record["objective_class"], record["label_by_units"]) == ("III", None)
        assert record["intensity"]
        assert caption(record) == "AU4+AU7 80%"
        words = json.dumps(record) + unit_words(record)
        assert not any(word in words for word in ("negative", "positive", "surprise"))


@pytest.mark.parametrize(
    ("label", "by_rule", "does"),
    [
        ("positive", "negative", True),
        ("negative", "negative", False),
        ("uncertain", "negative", True),
        ("happiness", None, False),
    ],
)
def test_labels_differ(label: str, by_rule: str | None, does: bool) -> None:
    scores = {"negative": 0.2, "positive": 0.7, "surprise": 0.1}
    record = {"label": label, "label_scores": scores, "label_by_units": by_rule}
    assert differs(record) == does
    five = {"happiness": 1.0, "disgust": 0.0}
    assert not differs(record | {"label_scores": five}), "the rule knows three labels"
