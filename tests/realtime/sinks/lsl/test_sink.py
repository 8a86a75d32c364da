"""The streams as a reader meets them, what they cost, and what is refused."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import pytest

from microspot.engines.errors import UsageError
from microspot.realtime.sinks.base import Sink, announce
from microspot.realtime.sinks.lsl.clock import LslClock
from microspot.realtime.sinks.open import kind_of, open_sink
from tests import lsl
from tests.realtime.sinks.test_sinks import event

CPU_MS = 0.2  # of a sink, a frame
START: dict[str, Any] = {
    "type": "start",
    "sources": [{"source": "cam"}, {"source": "second"}],
    "grid_hz": 30,
    "windows": [7, 9, 11, 13, 15],
}


def frame(index: int, source: str = "cam", host_s: float = 100.0) -> dict[str, Any]:
    at_s = round(index / 30, 6)
    times = {"at_s": at_s, "host_s": host_s + at_s}
    return {"type": "frame", "source": source, "frame": index, **times}


def scores(index: int, source: str = "cam", face: int = 0) -> dict[str, Any]:
    found = {"scores": [None, 0.1, 0.2, 0.3, 0.4], "refined": None, "quality": 0.8}
    return {"type": "scores", "source": source, "face": face, "at_s": index / 30, **found}


def test_a_name_that_readers_cannot_quote_is_refused() -> None:
    for name in ("", "it's", "a/b", "x" * 65, " spot"):
        with pytest.raises(UsageError, match="expected lsl:NAME"):
            open_sink(f"lsl:{name}")


def test_without_pylsl_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pylsl", None)
    with pytest.raises(UsageError, match=r"--out lsl:NAME needs pylsl: pip install '\.\[lsl\]'"):
        open_sink("lsl:spot")


def test_pictures_say_that_events_are_sent_to_the_network() -> None:
    lsl.required("pylsl")
    assert kind_of("lsl:spot.csv") == "lsl"
    other = Sink()
    with open_sink("lsl:spot") as sink:
        announce([sink, other])
    assert other.notes == ("sending events and scores to the network by LSL, as spot",)


def test_every_source_and_face_has_streams_of_its_own() -> None:
    pylsl = lsl.required("pylsl")
    name = lsl.unique("several")
    with open_sink(f"lsl:{name}") as sink:
        for record in (START, frame(0), frame(0, "second"), scores(0, "second", 1)):
            sink.take(record)
        expected = {
            f"{name}-events": "Markers",
            f"{name}-frames": "FrameTimes",
            f"{name}-frames-2": "FrameTimes",
            f"{name}-scores": "MicroExpressionScores",
            f"{name}-scores-2": "MicroExpressionScores",
            f"{name}-scores-2-face2": "MicroExpressionScores",
        }
        query = f"starts-with(name, '{name}')"
        found = pylsl.resolve_bypred(query, len(expected), 60)
    assert {info.name(): info.type() for info in found} == expected


def test_samples_come_with_their_own_times_even_those_sent_late() -> None:
    pylsl = lsl.required("pylsl")
    name = lsl.unique("late")
    taken_s = time.monotonic() - 60  # a minute ago
    life = [event("a", status, onset_s=0.5) for status in ("provisional", "withdrawn", "final")]
    with open_sink(f"lsl:{name}") as sink:
        sink.take(START)
        inlets = []
        for kind in ("frames", "scores", "events"):
            (info,) = pylsl.resolve_byprop("name", f"{name}-{kind}", timeout=60)
            inlets.append(pylsl.StreamInlet(info))
            inlets[-1].open_stream(60)
        for record in (frame(30, host_s=taken_s), scores(25), *life):
            sink.take(record)
        samples = [inlet.pull_sample(60) for inlet in inlets]
        samples += [inlets[2].pull_sample(60) for _ in life[1:]]
    offset_s = LslClock(pylsl).offset_s
    late = [at_s - offset_s - taken_s for _, at_s in samples]
    assert late == pytest.approx([1.0, 25 / 30, 0.5, 0.5, 0.5], abs=1e-3)
    assert samples[0][0] == [30.0]
    assert [json.loads(text) for (text,), _ in samples[2:]] == life
    assert samples[1][0][1:5] == pytest.approx([0.1, 0.2, 0.3, 0.4])


def test_a_frame_costs_little() -> None:
    lsl.required("pylsl")
    name = lsl.unique("cost")
    with open_sink(f"lsl:{name}") as sink:
        sink.take(START)
        began_s = time.process_time()  # of liblsl's threads too
        for index in range(600):
            sink.take(frame(index))
            sink.take(scores(index))
        spent_ms = 1000 * (time.process_time() - began_s) / 600
    assert spent_ms < CPU_MS


def test_other_sinks_get_no_record_of_every_frame() -> None:
    taken: list[dict[str, Any]] = []
    with open_sink(taken.append) as sink:
        for record in (START, frame(0), scores(0), event("a")):
            sink.take(record)
    assert [record["type"] for record in taken] == ["start", "event"]
