"""What a frame costs the sinks, by counts: records of frames go to them many at once."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from microspot.engines.alignment.head import HeadPose
from microspot.realtime import source_run
from microspot.realtime.config import Settings
from microspot.realtime.errors import DataError
from microspot.realtime.meter import Figures
from microspot.realtime.pipeline import Pipeline
from microspot.realtime.records import (
    Event,
    FaceMeasures,
    FrameRecord,
    FrameTime,
    Gap,
    TickScores,
)
from microspot.realtime.sinks import base, working_sinks
from microspot.realtime.sinks.base import OF_FRAMES, FrameBatch, JsonRecord, Sink, json_line
from microspot.realtime.sinks.callback import CallbackSink
from microspot.realtime.sinks.lsl.waiting_outlet import WaitingOutlet
from microspot.realtime.sinks.network.broadcast import Listener
from microspot.realtime.sinks.network.push import PushSink
from microspot.realtime.sinks.open import open_sink
from microspot.realtime.watch import follow
from tests import fakes, lsl
from tests.realtime.test_feed import STEP, Faces, Times

HZ = 30
BATCH_MS = 250
EVENT = Event("1", "cam", 0, "final", 0, 1, 0, 1, 0.5, 2)


def frame(index: int) -> list[FrameRecord]:
    """The records of one frame of one face."""
    at_ns = index * 10**9 // HZ
    values = np.full(5, 0.25, np.float32)
    return [
        FrameTime("cam", index, at_ns, at_ns),
        FaceMeasures("cam", 0, index, at_ns, 0.75, 120.0),
        TickScores("cam", 0, at_ns, values, refined=math.nan, quality=0.75),
    ]


class Played:
    """A run of rounds, each of which takes 1 / HZ s of a clock of its own."""

    draw: Any = None
    wants_frames: Collection[str] = ()

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, rounds: Sequence[Sequence[Any]], batch_ms: int
    ) -> None:
        self.settings = Settings(frame_batch_ms=batch_ms)
        self.between_rounds: Callable[[], None] = lambda: None
        self._rounds = rounds
        self._now_s = 0.0
        monkeypatch.setattr(working_sinks, "time", SimpleNamespace(monotonic=lambda: self._now_s))

    def describe(self) -> dict[str, Any]:
        windows = [7, 9, 11, 13, 15]
        return {"type": "start", "sources": [{"source": "cam"}], "grid_hz": HZ, "windows": windows}

    def run(self) -> Iterator[Any]:
        for records in self._rounds:
            self.between_rounds()
            for record in records:
                if not isinstance(record, FrameRecord) or record.kind in self.wants_frames:
                    yield record
            self._now_s += 1 / HZ

    def figures(self) -> Figures:
        return Figures()

    def retune(self, settings: Settings) -> None:
        raise AssertionError("nobody has other settings")

    def stop(self) -> None:
        """Be interrupted: every round is played all the same."""

    def finish(self) -> Iterator[Any]:
        raise AssertionError("nothing interrupted this run")


class Kept(Sink):
    """Keeps what it is given: records, and how many came at once."""

    def __init__(self, kinds: Collection[str] = OF_FRAMES) -> None:
        self.wants_frames = kinds
        self.records: list[dict[str, Any]] = []
        self.batches: list[int] = []

    def write(self, record: dict[str, Any]) -> None:
        self.records.append(record)

    def take_frames(self, batch: FrameBatch) -> None:
        super().take_frames(batch)
        self.batches.append(len(batch.of(self.wants_frames)))


def test_records_of_frames_wait_for_each_other_as_long_as_the_setting_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for batch_ms, most in ((0, 1), (BATCH_MS, math.ceil(BATCH_MS / 1e3 * HZ))):
        kept = Kept()
        rounds = [frame(index) for index in range(3 * HZ)]
        follow(Played(monkeypatch, rounds, batch_ms), [kept])
        assert kept.records[1:] == [each.to_json() for records in rounds for each in records]
        assert max(kept.batches) == 3 * most
        assert len(kept.batches) == math.ceil(3 * HZ / most)


@pytest.mark.parametrize("other", [EVENT, Gap("cam", 0, 0, 1, "no face")], ids=["event", "gap"])
def test_other_records_never_wait_and_what_came_before_them_goes_first(
    monkeypatch: pytest.MonkeyPatch, other: Event | Gap
) -> None:
    kept = Kept(("scores",))
    told: list[int] = []
    rounds: list[list[Any]] = [frame(0), [*frame(1), other], frame(2), frame(3)]
    played = Played(monkeypatch, rounds, 2000)
    inner = played.run

    def run() -> Iterator[Any]:
        for record in inner():
            yield record
            if record is other:
                told.append(len(kept.records))

    monkeypatch.setattr(played, "run", run)
    follow(played, [kept])
    types = [record["type"] for record in kept.records]
    kind = "event" if other is EVENT else "gap"
    assert types == ["start", "scores", "scores", kind, "scores", "scores"]
    assert told == [4], "at once"


def test_what_waits_when_a_run_breaks_off_is_given_to_the_sinks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = Kept(("frame",))
    played = Played(monkeypatch, [frame(0), frame(1)], 2000)
    inner = played.run

    def run() -> Iterator[Any]:
        yield from inner()
        raise RuntimeError("a defect")

    monkeypatch.setattr(played, "run", run)
    with pytest.raises(RuntimeError, match="defect"):
        follow(played, [kept])
    assert [record.get("frame") for record in kept.records] == [None, 0, 1]


def test_a_sink_that_fails_at_a_batch_takes_nothing_from_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Full(Sink):
        wants_frames = ("scores",)

        def take_frames(self, batch: FrameBatch) -> None:
            raise DataError("cannot write: the disk is full")

    kept = Kept(("scores",))
    with pytest.raises(DataError, match="full"):
        follow(Played(monkeypatch, [frame(0), [EVENT]], BATCH_MS), [Full(), kept])
    assert [record["type"] for record in kept.records] == ["start", "scores", "event"]


def test_a_score_is_serialised_once_and_a_batch_wakes_each_client_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lsl.required("pylsl")
    counts: Counter[str] = Counter()

    def counted(kind: type, name: str) -> None:
        act = getattr(kind, name)

        def acting(self: Any, *given: Any) -> Any:
            counts[f"{kind.__name__}.{name}"] += 1
            return act(self, *given)

        monkeypatch.setattr(kind, name, acting)

    class Outlet:
        """An outlet of pylsl that counts what it is asked for."""

        def __init__(self, _: object) -> None: ...

        def push_chunk(self, samples: list[list[float]], times_s: list[float]) -> None:
            assert len(samples) == len(times_s)
            counts["push_chunk"] += 1
            counts["samples"] += len(samples)

        def push_sample(self, sample: list[str], at_s: float) -> None:
            counts["push_sample"] += 1

    sinks = [open_sink(uri) for uri in ("ws:127.0.0.1:0", "sse:127.0.0.1:0", "lsl:counted")]
    monkeypatch.setattr(sinks[2]._pylsl, "StreamOutlet", Outlet)  # type: ignore[attr-defined]
    for sink in sinks[:2]:
        assert isinstance(sink, PushSink)
        assert sink.broadcast.join(lambda: None, wants_scores=True) is not None
    for kind, name in (
        (TickScores, "json_line"),
        (TickScores, "to_json"),
        (FrameTime, "to_json"),
        (FaceMeasures, "to_json"),
        (Listener, "put"),
        (WaitingOutlet, "flush"),
    ):
        counted(kind, name)
    monkeypatch.setattr("microspot.realtime.sinks.lsl.sink.DELIVER_S", 0.0)
    monkeypatch.setattr("microspot.realtime.sinks.network.push.GIVE_UP_S", 0.0)
    seconds = 4
    rounds = [frame(index) for index in range(seconds * HZ)]
    follow(Played(monkeypatch, rounds, BATCH_MS), sinks)
    ticks = seconds * HZ
    batches = math.ceil(ticks / math.ceil(BATCH_MS / 1e3 * HZ))
    assert counts == {
        "TickScores.json_line": ticks,  # for both that send it
        "Listener.put": 2 + 2 * batches,  # the `start` record, then once a batch, of each client
        "push_chunk": 2 * batches,  # of each stream that has samples
        "samples": 2 * ticks,
        "WaitingOutlet.flush": 2 * batches,
    }


def test_who_wants_scores_alone_costs_no_pose_of_a_head(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def posed(mesh: object) -> HeadPose:
        asked.append(mesh)
        return HeadPose(0.0, 0.0, 0.0)

    class Meshed(Faces):
        """Faces whose mesh is known."""

        def __call__(self, image: Any, captured_ns: int) -> Any:
            found = super().__call__(image, captured_ns)
            for face in found.faces:
                object.__setattr__(face, "mesh", np.zeros((478, 3)))
            return found

    monkeypatch.setattr(source_run, "head_pose", posed)
    engines = fakes.engine_set(side=8)
    counts = []
    for kinds in (("scores", "frame"), ("face",)):
        source = Times([k * STEP for k in range(40)])
        with Pipeline([source], engines, aligner=lambda *_: Meshed(lambda ns: {0})) as pipeline:
            pipeline.wants_frames = kinds
            found = Counter(type(each).__name__ for each in pipeline.run())
        counts.append((found["FrameTime"], found["TickScores"], found["FaceMeasures"], len(asked)))
    assert counts == [(40, 40, 0, 0), (0, 0, 40, 40)]


def test_scores_written_for_speed_are_those_of_the_record() -> None:
    rng = np.random.default_rng(5)
    for index in range(300):
        values = rng.uniform(0, 1, 5).astype(np.float32)
        values[rng.random(5) < 0.3] = np.nan
        if index % 3 == 0:
            values = rng.choice(np.array([0, 1, 1e-9, 0.00005, 0.99995], np.float32), 5)
        shares = {"blink": float(rng.random()), "macro": 1e-7}
        tick = TickScores(
            ("0", 'a "name"\\', "größe \ud800", "nan", "50%s%")[index % 5],
            index % 3,
            int(rng.integers(0, 10**14)),
            values,
            refined=math.nan if index % 2 else float(rng.random()),
            quality=float(rng.random()),
            confounders=None if index % 7 == 0 else shares,
        )
        line = tick.json_line()
        assert json.loads(line) == tick.to_json()
        assert list(json.loads(line)) == list(tick.to_json())


def test_sinks_that_want_no_frames_get_none() -> None:
    taken: list[dict[str, Any]] = []
    with CallbackSink(taken.append, False) as sink:
        sink.take_frames(FrameBatch(frame(0)))
    assert taken == []


def test_the_line_of_a_record_is_made_once_for_all_sinks(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[JsonRecord] = []

    class Counting(json.JSONEncoder):
        def encode(self, o: Any) -> str:
            made.append(o)
            return super().encode(o)

    monkeypatch.setattr(base, "ENCODER", Counting())
    lines: list[str] = []
    sinks = [CallbackSink(lambda record: lines.append(json_line(record)), True) for _ in range(3)]
    working = working_sinks.WorkingSinks(sinks, lambda: None, 0.25)
    working.write(EVENT.to_json())
    assert made == [EVENT.to_json()]
    assert lines == [json.dumps(EVENT.to_json())] * 3
    assert json_line({"type": "start"}) == '{"type": "start"}'
