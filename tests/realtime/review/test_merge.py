"""Two coders' decisions brought together by a third, once both are done."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from microspot.realtime.commands.review_steps import opinions_to_merge
from microspot.realtime.errors import DataError, UsageError
from microspot.realtime.review.decisions import Decision, Point
from microspot.realtime.review.frames import Frames
from microspot.realtime.review.merge import agree, take_over
from microspot.realtime.review.results import EventKey
from microspot.realtime.review.session import Review
from microspot.realtime.review.store import FILE, Store
from tests.realtime.review.made import add_video, event, read

EVENT = event(0, 20, "clip.mp4")  # apex 24, offset 29
YES = Decision("accepted")
KEYS = [EventKey("clip.mp4", f"e{number:03}") for number in range(3)]


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (YES, YES, True),
        (YES, Decision("rejected"), False),
        (Decision("rejected", Point(3, 0.1)), Decision("rejected", label="surprise"), True),
        (YES, Decision("accepted", Point(21, 0.7)), True),
        (YES, Decision("accepted", Point(22, 0.73)), False),
        (YES, Decision("accepted", label="negative", note="brow"), True),
        (YES, Decision("accepted", label=""), False),
        (YES, Decision("accepted", action_units=("AU4",)), False),
    ],
)
def test_whether_two_decisions_are_the_same(first: Decision, second: Decision, same: bool) -> None:
    assert agree(EVENT, first, second, 1) is same
    assert agree(EVENT, second, first, 1) is same


def test_what_coders_agree_on_is_taken_over_and_the_rest_is_shown(tmp_path: Path) -> None:
    results = tmp_path / "out"
    add_video(results, "clip.mp4")
    videos, addresses = read(results)
    path = results / FILE
    with Store(path, "Anna") as anna, Store(path, "Ben") as ben:
        for key in KEYS:
            anna.change(key, "verdict", "accepted")
        anna.change(KEYS[0], "apex", [25, 0.833])
        anna.change(KEYS[1], "action_units", ["AU4"])
        for key in KEYS[:2]:
            ben.change(key, "verdict", "accepted")
        with Store(path, "Cleo") as cleo:
            with pytest.raises(UsageError, match="Ben has 1 of 3 events left"):
                opinions_to_merge(videos, path, cleo, ("Anna", "Ben"), 1)
            ben.change(KEYS[2], "verdict", "rejected")
            ben.change(KEYS[2], "note", "speech")
            opinions = opinions_to_merge(videos, path, cleo, ("Anna", "Ben"), 1)
            assert cleo.decisions() == {KEYS[0]: Decision("accepted", apex=Point(25, 0.833))}
            before = len(cleo.changes())
            opinions_to_merge(videos, path, cleo, ("Anna", "Ben"), 1)
            assert len(cleo.changes()) == before
            for _ in range(before):  # what the third took back stays so
                cleo.undo()
            opinions_to_merge(videos, path, cleo, ("Anna", "Ben"), 1)
            assert set(cleo.decisions().values()) == {Decision()}
            with Frames(videos, addresses) as frames:
                entries = Review(videos, cleo, frames, opinions=opinions).state()["events"]
        with pytest.raises(UsageError, match="a third person decides"):
            opinions_to_merge(videos, path, anna, ("Anna", "Ben"), 1)
    assert entries[1]["coders"] == [
        "Anna: accepted, frames 24 28 33, negative, AU4",
        "Ben: accepted, frames 24 28 33, negative",
    ]
    assert entries[2]["coders"][1] == "Ben: rejected, speech"


def test_an_event_is_taken_over_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {KEYS[0]: Decision("accepted", label="negative")}
    with Store(tmp_path / FILE, "Cleo") as cleo:
        insert = cleo._insert

        def fail_at_verdict(key: EventKey, field: str, value: str | None) -> None:
            if field == "verdict":
                raise sqlite3.OperationalError("disk is full")
            insert(key, field, value)

        with monkeypatch.context() as full:
            full.setattr(cleo, "_insert", fail_at_verdict)
            with pytest.raises(DataError, match="disk is full"):
                take_over(cleo, {KEYS[0]: EVENT}, said, said, 1)
        assert cleo.changes() == []
        assert take_over(cleo, {KEYS[0]: EVENT}, said, said, 1) == 1
        assert cleo.decisions() == said
