"""Events that the spotter missed: added, matched between coders, merged and exported."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from microspot.realtime.commands.review_steps import opinions_to_merge
from microspot.realtime.errors import UsageError
from microspot.realtime.review.added import NOT_ADDED, side_by_side
from microspot.realtime.review.agreement import agreement
from microspot.realtime.review.decisions import UNTOUCHED, Decision, Point
from microspot.realtime.review.export import export
from microspot.realtime.review.frames import Frames
from microspot.realtime.review.merge import agree
from microspot.realtime.review.results import EventKey, NotThereError
from microspot.realtime.review.session import Review
from microspot.realtime.review.store import FILE, Store
from microspot.realtime.sinks.record_schema import ADAPTER
from tests.realtime.review.made import HZ, add_video, read

SPOTTED = [EventKey("clip.mp4", f"e{number:03}") for number in range(3)]  # frames 20, 24, 28
DONE = {key: Decision("rejected") for key in SPOTTED}


def key(number: int) -> EventKey:
    return EventKey("clip.mp4", f"added-{number:016x}")


def point(frame: int) -> Point:
    return Point(frame, round(frame / HZ, 6))


def added(onset: int, offset: int, verdict: str = "accepted") -> Decision:
    """An event that was added at its onset."""
    return Decision(verdict, offset=point(offset), added=point(onset))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    add_video(folder, "clip.mp4")
    return folder


def coded(store: Store, onset: int, offset: int, event: EventKey) -> None:
    """Add an event, and accept it."""
    store.change(event, "added", list(point(onset)))
    store.change(event, "offset", list(point(offset)))
    store.change(event, "verdict", "accepted")


def test_an_event_is_added_with_the_keys_of_any_other(results: Path) -> None:
    videos, addresses = read(results)
    with Store(results / FILE, "Anna") as store, Frames(videos, addresses) as frames:
        review = Review(videos, store, frames)
        made = review.change(key(1), "added", 22)
        assert (made["added"], made["verdict"], made["said"]) == (True, "undecided", [])
        assert made["points"]["onset"] == {"frame": 22, "spotted": None, "at_s": 0.733333}
        assert made["points"]["offset"]["frame"] is None
        order = [entry["event"] for entry in review.state()["events"]]
        assert order == ["e000", key(1).event, "e001", "e002"]
        with pytest.raises(UsageError, match="needs an offset before it is accepted"):
            review.change(key(1), "verdict", "accepted")
        review.change(key(1), "apex", 25)
        with pytest.raises(UsageError, match="move that one first"):
            review.change(key(1), "offset", 24)
        review.change(key(1), "offset", 30)
        assert review.change(key(1), "verdict", "accepted")["verdict"] == "accepted"
        assert store.decision(key(1)) == Decision(
            "accepted", apex=point(25), offset=point(30), added=point(22)
        )
        for _ in range(3):
            review.undo()
        assert review.undo() == {"video": "clip.mp4", "event": key(1).event}
        assert len(review.state()["events"]) == 3
        for field, value in (("note", "brow"), ("onset", 20), ("added", None)):
            with pytest.raises(NotThereError):
                review.change(key(1), field, value)
        with pytest.raises(UsageError, match="no id of an event that is added"):
            review.change(SPOTTED[0], "added", 22)
        assert store.changes()[-1].field == "added"
        assert store.decisions()[key(1)] == UNTOUCHED


def test_added_events_are_the_same_by_their_overlap(results: Path) -> None:
    videos, _ = read(results)
    anna = DONE | {key(1): added(40, 49), key(2): added(60, 69), key(3): added(80, 85, "rejected")}
    ben = DONE | {key(4): added(44, 52), key(5): added(66, 75)}  # IoU 6/13, 4/16
    events, said = side_by_side(videos, anna, ben)
    assert list(events) == [*SPOTTED, key(1), key(4), key(2), key(5)]
    assert [said[1][key(1)], said[1][key(2)], said[0][key(4)]] == [NOT_ADDED] * 3
    ben[key(4)] = added(43, 52)  # 7 of 13 frames
    events, said = side_by_side(videos, anna, ben)
    assert list(events) == [*SPOTTED, key(1), key(2), key(5)]
    assert said[1][key(1)].onset == point(43)
    assert events[key(1)]["onset_frame"] == 40
    found = agreement(events, ("Anna", "Ben"), said, tolerance=3)
    assert (found.events, found.judged, found.accepted, found.rejected) == (6, 6, 1, 3)
    assert (found.only_first, found.only_second) == (1, 1)
    assert found.agreed == 4 / 6
    assert found.iou == pytest.approx(7 / 13)
    assert found.near == {"onset": 1.0, "apex": None, "offset": 1.0}
    anna[key(1)] = replace(anna[key(1)], apex=point(45))
    events, said = side_by_side(videos, anna, ben)
    assert agreement(events, ("Anna", "Ben"), said).near["apex"] is None, "Ben set none"
    assert not agree(events[key(1)], said[0][key(1)], said[1][key(1)], 3)


def test_who_has_not_seen_a_video_has_not_missed_its_events(results: Path) -> None:
    videos, _ = read(results)
    ben = {each: Decision("rejected") for each in SPOTTED[:2]}
    events, said = side_by_side(videos, DONE | {key(1): added(40, 49)}, ben)
    found = agreement(events, ("Anna", "Ben"), said)
    assert (found.judged, found.only_first) == (2, 0)


def test_an_added_event_is_exported_as_one(results: Path, tmp_path: Path) -> None:
    videos, addresses = read(results)
    decisions = {
        SPOTTED[0]: Decision("accepted"),
        key(1): added(40, 49),
        key(2): added(60, 69, "rejected"),
    }
    files = [str(tmp_path / name) for name in ("events.jsonl", "events.csv", "events.db")]
    assert export(videos, decisions, "Anna", files, addresses) == 2
    lines = [json.loads(line) for line in Path(files[0]).read_text().splitlines()]
    for line in lines:
        ADAPTER.validate_python(line)
    assert [line["type"] for line in lines] == ["start", "event", "event", "end"]
    assert lines[-1]["events"] == 2
    assert "added" not in lines[1]["reviewed"]
    assert lines[2]["id"] == key(1).event
    frames = [lines[2][f"{name}_frame"] for name in ("onset", "apex", "offset")]
    assert frames == [40, None, 49]
    assert lines[2]["reviewed"] == {
        "coder": "Anna",
        "action_units": None,
        "note": "",
        "added": True,
    }


def test_a_third_decides_on_what_one_alone_added(results: Path) -> None:
    videos, addresses = read(results)
    path = results / FILE
    with Store(path, "Anna") as anna, Store(path, "Ben") as ben, Store(path, "Cleo") as cleo:
        for store in (anna, ben):
            for each in SPOTTED:
                store.change(each, "verdict", "rejected")
        coded(anna, 40, 49, key(1))
        coded(ben, 41, 49, key(4))  # the same
        coded(ben, 70, 79, key(5))
        ben.change(key(6), "added", list(point(80)))
        with pytest.raises(UsageError, match="Ben has 1 of 6 events left"):
            opinions_to_merge(videos, path, cleo, ("Anna", "Ben"), 1)
        ben.undo()
        opinions = opinions_to_merge(videos, path, cleo, ("Anna", "Ben"), 1)
        taken = {k: d for k, d in cleo.decisions().items() if k not in SPOTTED}
        assert taken == {
            key(1): Decision("accepted", point(40), offset=point(49), added=point(40)),
            key(5): Decision("undecided", point(70), offset=point(79), added=point(70)),
        }
        with Frames(videos, addresses) as frames:
            review = Review(videos, cleo, frames, opinions=opinions)
            last = review.state()["events"][-1]
            assert last["coders"] == [
                "Anna: rejected, not added",
                "Ben: accepted, frames 70 - 79",
            ]
            review.change(key(5), "verdict", "accepted")
        before = len(cleo.changes())
        opinions_to_merge(videos, path, cleo, ("Anna", "Ben"), 1)
        assert len(cleo.changes()) == before
