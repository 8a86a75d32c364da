"""What a coder may say of an event, and the event as it then is."""

from __future__ import annotations

import pytest

from microspot.realtime.errors import UsageError
from microspot.realtime.overlay.event_text import movement_words
from microspot.realtime.review.decisions import (
    Decision,
    Point,
    check_order,
    checked_text,
    decided,
    units_of,
)
from microspot.realtime.sinks.record_schema import ADAPTER
from tests.realtime.review.made import event

EVENT = event(1, 20, "clip.mp4")  # apex 24, offset 29
MOVED = {
    "action_units": [{"au": "AU12", "side": "L", "px": 1.2, "size": "c", "score": 0.9}],
    "region": None,
    "objective_class": "I",
    "label_by_units": "positive",
}


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("4 L12+14B", ["AU4", "AUL12", "AU14B"]),
        ("AU04, au4; r2", ["AU4", "AUR2"]),
        ("", []),
    ],
)
def test_units_are_read_as_coders_write_them(text: str, units: list[str]) -> None:
    assert units_of(text) == units
    assert checked_text("action_units", text) == units


@pytest.mark.parametrize("text", ["brow", "4 x", "123", "12F"])
def test_other_words_are_no_units(text: str) -> None:
    with pytest.raises(UsageError, match="such as 4 L12"):
        units_of(text)


@pytest.mark.parametrize(
    ("field", "value"),
    [("verdict", "perhaps"), ("verdict", None), ("label", 3), ("label", "x" * 41), ("note", None)],
)
def test_what_a_field_cannot_hold_is_refused(field: str, value: object) -> None:
    with pytest.raises(UsageError, match=field):
        checked_text(field, value)


def test_points_stay_in_order() -> None:
    check_order(EVENT, Decision(onset=Point(24, 0.8)))
    with pytest.raises(UsageError, match=r"onset \(frame 25\) would come after the apex"):
        check_order(EVENT, Decision(onset=Point(25, 0.8)))
    with pytest.raises(UsageError, match="apex"):
        check_order(EVENT, Decision(offset=Point(23, 0.8)))
    without = EVENT | {"apex_frame": None, "apex_s": None}
    with pytest.raises(UsageError, match="onset"):
        check_order(without, Decision(onset=Point(30, 1.0)))


def test_an_event_keeps_what_nobody_changed() -> None:
    kept = decided(EVENT | MOVED, Decision("accepted", note="brow"), "Anna")
    said = {"coder": "Anna", "action_units": None, "note": "brow"}
    assert kept == EVENT | MOVED | {"reviewed": said}
    ADAPTER.validate_python(kept)


def test_an_event_is_as_the_coder_left_it() -> None:
    decision = Decision("accepted", Point(18, 0.6), label="happiness", action_units=("AUL12",))
    left = decided(EVENT | MOVED, decision, "Anna")
    ADAPTER.validate_python(left)
    assert (left["onset_frame"], left["onset_s"], left["apex_frame"]) == (18, 0.6, 24)
    assert (left["label"], left["label_scores"]) == ("happiness", {"happiness": 1.0})
    assert left["intensity"] is None  # its values lie evenly from the spotted onset on
    assert not MOVED.keys() & left.keys()
    assert movement_words(left) == "AUL12"
    nameless = decided(EVENT, Decision(label=""), "Anna")
    assert (nameless["label"], nameless["label_scores"]) == (None, None)
