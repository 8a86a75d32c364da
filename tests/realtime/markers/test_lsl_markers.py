"""Markers of LSL from senders that come late, come again, send oddities or too much."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest

from microspot.realtime.markers import lsl as module
from microspot.realtime.markers.lsl import LslMarkers
from microspot.realtime.markers.placement import Stimulus
from tests import lsl


def outlet(name: str, identity: str, form: str = "string") -> Any:
    pylsl = lsl.required("pylsl")
    return pylsl.StreamOutlet(pylsl.StreamInfo(name, "Markers", 1, 0, form, identity))


def wait_for(condition: Any) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def first(given: LslMarkers) -> Stimulus:
    """The next marker, which is waited for."""
    found: list[Stimulus] = []
    wait_for(lambda: found.extend(given.take()) or found)
    assert len(found) == 1
    return found[0]


def pushed(sender: Any, sample: Any, *stamp: float) -> None:
    """Send a sample once a reader is there."""
    assert sender.wait_for_consumers(60)
    sender.push_sample([sample], *stamp)


def test_a_run_waits_for_a_stream_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONNECT_S", 60.0)
    name = lsl.unique("there")
    sender = outlet(name, name)
    with LslMarkers(f"lsl:{name}") as given:
        assert given._connected.is_set()
        sender.push_sample(["flash"])
        assert first(given).value == "flash"
    assert given.remark == ""


def test_a_sender_that_comes_late_ends_and_comes_again_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its second stream is another one to LSL: a program that gives no identity has a new one."""
    monkeypatch.setattr(module, "CONNECT_S", 0.1)
    name = lsl.unique("late")
    with LslMarkers(f"lsl:{name}") as given:
        assert not given._connected.is_set()
        for identity in ("first", "second"):
            sender = outlet(name, identity)
            pushed(sender, identity)
            assert first(given).value == identity
            del sender
    assert given.remark == ""


def test_only_the_stream_of_that_name_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONNECT_S", 2.0)  # for the other one to be found
    name = lsl.unique("mine")
    other = outlet(f"{name}-2", "other")
    with LslMarkers(f"lsl:{name}") as given:
        assert not other.have_consumers()
        other.push_sample(["other"])
        mine = outlet(name, "mine")
        pushed(mine, "mine")
        assert first(given).value == "mine"


def test_times_and_texts_that_are_none_are_taken_as_they_can_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A sample without a time is of now; text that is no UTF-8 is shown as far as it is."""
    monkeypatch.setattr(module, "CONNECT_S", 60.0)
    name = lsl.unique("odd")
    sender = outlet(name, name)
    with LslMarkers(f"lsl:{name}") as given:
        began_ns = time.monotonic_ns()
        pushed(sender, "timeless", math.nan)
        found = first(given)
        assert found.value == "timeless"
        assert began_ns <= found.host_ns <= time.monotonic_ns()
        pushed(sender, b"caf\xe9")
        assert first(given).value == "caf\ufffd"


def test_markers_that_nobody_takes_are_counted_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    lsl.required("pylsl")
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    monkeypatch.setattr(module, "CONNECT_S", 0.0)
    name = lsl.unique("many")
    with LslMarkers(f"lsl:{name}") as given:
        given._connected.set()
        for number in range(5):
            given._keep([b"%d" % number], 1.0)
        assert [each.value for each in given.take()] == ["0", "1"]
    assert given.remark == f"3 markers of {name} came too fast and are left out"
