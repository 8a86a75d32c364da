"""The streams as a reader meets them, what they cost, and what is refused."""

from __future__ import annotations

import json
import math
import sys
import time
from typing import Any

import numpy as np
import pytest

from microspot.engines.errors import UsageError
from microspot.realtime.records import FrameRecord, FrameTime, TickScores
from microspot.realtime.sinks.base import FrameBatch, Sink, announce
from microspot.realtime.sinks.lsl import sink as module
from microspot.realtime.sinks.lsl.clock import LslClock
from microspot.realtime.sinks.lsl.sink import LslSink
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


def frame(index: int, source: str = "cam", host_s: float = 100.0) -> FrameTime:
    at_ns = index * 10**9 // 30
    return FrameTime(source, index, at_ns, round(host_s * 1e9) + at_ns)


def scores(index: int, source: str = "cam", face: int = 0) -> TickScores:
    found = np.array([np.nan, 0.1, 0.2, 0.3, 0.4], np.float32)
    at_ns = index * 10**9 // 30
    return TickScores(source, face, at_ns, scores=found, refined=math.nan, quality=0.8)


def give(sink: Sink, *records: FrameRecord) -> None:
    """Records of frames, as a run gives them."""
    sink.take_frames(FrameBatch(records))


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
        sink.take(START)
        give(sink, frame(0), frame(0, "second"), scores(0, "second", 1))
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
        give(sink, frame(30, host_s=taken_s), scores(25))
        for record in life:
            sink.take(record)
        samples = [inlet.pull_sample(60) for inlet in inlets]
        samples += [inlets[2].pull_sample(60) for _ in life[1:]]
    offset_s = LslClock(pylsl).offset_s
    late = [at_s - offset_s - taken_s for _, at_s in samples]
    assert late == pytest.approx([1.0, 25 / 30, 0.5, 0.5, 0.5], abs=1e-3)
    assert samples[0][0] == [30.0]
    assert [json.loads(text) for (text,), _ in samples[2:]] == life
    nan = math.nan
    expected = [nan, 0.1, 0.2, 0.3, 0.4, nan, 0.8]
    assert samples[1][0] == pytest.approx(expected, nan_ok=True)


def test_a_stream_says_of_what_it_is_and_is_found_again_after_a_new_start() -> None:
    pylsl = lsl.required("pylsl")
    name = lsl.unique("again")
    told = []
    for _ in range(2):
        with open_sink(f"lsl:{name}") as sink:
            sink.take(START)
            give(sink, frame(0), frame(0, "second"), scores(0, "second", 1))
            (info,) = pylsl.resolve_byprop("name", f"{name}-scores-2-face2", timeout=60)
            inlet = pylsl.StreamInlet(info)
            described = inlet.info(60).desc()
            values = {key: described.child_value(key) for key in ("manufacturer", "source", "face")}
            streams = pylsl.resolve_bypred(f"starts-with(name, '{name}')", 6, 60)
            told.append((values, {info.name(): info.source_id() for info in streams}))
            del inlet
    assert told[0] == told[1]
    values, identities = told[0]
    assert values == {"manufacturer": "microspot", "source": "second", "face": "1"}
    assert len(set(identities.values())) == len(identities) == 6


def test_a_reader_gets_the_last_sample_and_goes_on_with_the_next_run() -> None:
    pylsl = lsl.required("pylsl")
    name = lsl.unique("next")
    sink = open_sink(f"lsl:{name}")
    sink.take(START)
    (info,) = pylsl.resolve_byprop("name", f"{name}-frames", timeout=60)
    inlet = pylsl.StreamInlet(info)
    inlet.open_stream(60)
    give(sink, frame(1))
    sink.close()
    assert inlet.pull_sample(60)[0] == [1.0]
    with open_sink(f"lsl:{name}") as again:
        again.take(START)
        until = time.monotonic() + 60
        found: list[float] | None = None
        while found is None and time.monotonic() < until:  # what is sent before it is back is lost
            give(again, frame(2))
            found, _ = inlet.pull_sample(0.1)
    assert found == [2.0]


def test_streams_are_there_while_readers_get_the_last_samples(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lsl.required("pylsl")
    sink = open_sink(f"lsl:{lsl.unique('ending')}")
    assert isinstance(sink, LslSink)
    paused = []

    def pause(seconds: float) -> None:
        streams = [sink._events, *sink._frames.values(), *sink._scores.values()]
        paused.append((seconds, len([each for each in streams if each is not None])))

    monkeypatch.setattr(module.time, "sleep", pause)
    sink.close()
    assert paused == []  # no run has begun: nobody waits for anything
    sink.take(START)
    sink.close()
    sink.close()
    assert paused == [(module.DELIVER_S, 5)]


def test_a_source_without_a_face_sends_no_scores_of_another() -> None:
    pylsl = lsl.required("pylsl")
    name = lsl.unique("idle")
    with open_sink(f"lsl:{name}") as sink:
        sink.take(START)
        inlets = []
        for kind in ("scores", "scores-2"):
            (info,) = pylsl.resolve_byprop("name", f"{name}-{kind}", timeout=60)
            inlets.append(pylsl.StreamInlet(info))
            inlets[-1].open_stream(60)
        give(sink, frame(0))
        for index in range(30 * 4):
            give(sink, frame(index, "second"))
        values, at_s = inlets[1].pull_sample(60)
        assert all(map(math.isnan, values))
        assert at_s - LslClock(pylsl).offset_s == pytest.approx(100.0, abs=1e-3)
        assert inlets[0].pull_sample(1.0) == (None, None)


def test_a_frame_costs_little() -> None:
    lsl.required("pylsl")
    name = lsl.unique("cost")
    with open_sink(f"lsl:{name}") as sink:
        sink.take(START)
        began_s = time.process_time()  # of liblsl's threads too
        for index in range(600):
            give(sink, frame(index), scores(index))
        spent_ms = 1000 * (time.process_time() - began_s) / 600
    assert spent_ms < CPU_MS


def test_other_sinks_get_no_record_of_every_frame() -> None:
    taken: list[dict[str, Any]] = []
    with open_sink(taken.append) as sink:
        sink.take(START)
        give(sink, frame(0), scores(0))
        sink.take(event("a"))
    assert [record["type"] for record in taken] == ["start", "event"]
