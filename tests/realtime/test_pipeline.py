"""From sources to events, end to end.

Streams equal files, runs equal each other, nothing leaves the machine.
"""

import dataclasses
import itertools
import json
import re
import shutil
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest

from microspot.engines import running_neutral
from microspot.engines.loading import load_engines
from microspot.engines.runtime.engine import FunctionEngine
from microspot.realtime import source_run
from microspot.realtime.config import Settings
from microspot.realtime.gaps import joined
from microspot.realtime.pipeline import Pipeline, SourceEnd
from microspot.realtime.records import Event, Frame, Gap
from microspot.realtime.session import Session
from microspot.realtime.sinks.base import Sink
from microspot.realtime.sources.open import open_source, open_sources
from microspot.realtime.spotting import personal_threshold
from microspot.realtime.watch import to_json, watch
from tests import fakes
from tests.clips import write_clip
from tests.forked import run_python
from tests.realtime.test_feed import Faces, Times
from tests.rtsp_server import RtspServer

SECONDS = 9
ATTEMPTS = 3  # a machine that is busy drops frames of a stream, and says so


@pytest.fixture(scope="module")
def engines():
    with load_engines() as loaded:
        yield loaded


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """The start of `sample:synthetic:7`, without B-frames, as cameras send it."""
    with open_source("sample:synthetic:7") as source:
        images = [r.image for r in itertools.islice(source, SECONDS * 30) if isinstance(r, Frame)]
    return write_clip(tmp_path_factory.mktemp("clip") / "face.mp4", images)


def finals(uri, engines, **options):
    """Final events and every other record of a run."""
    events = []
    others = []
    with Pipeline([open_source(uri)], engines, Settings(), **options) as pipeline:
        for record in pipeline.run():
            if not isinstance(record, Event):
                others.append(record)
            elif record.status == "final":
                events.append(record)
    return events, others


def test_a_stream_gives_the_events_of_its_file(clip, engines):
    expected, _ = finals(str(clip), engines)
    assert expected
    for _ in range(ATTEMPTS):
        with RtspServer(clip) as server:
            found, others = finals(server.url, engines, seconds=SECONDS - 0.5)
        gaps = [record for record in others if isinstance(record, Gap)]
        if not gaps:
            break
    # The run stops before the stream ends, which a live source would take for a loss.
    stop_ns = (SECONDS - 1.5) * 1e9
    expected = [event for event in expected if event.offset_ns < stop_ns]
    found = [event for event in found if event.offset_ns < stop_ns]
    tick = 1e9 / 30
    assert not gaps
    assert len(found) == len(expected)
    for one, other in zip(expected, found, strict=True):
        assert abs(one.onset_ns - other.onset_ns) <= tick + 1
        assert abs(one.offset_ns - other.offset_ns) <= tick + 1
        assert one.label == other.label


def test_a_server_that_stops_and_returns_costs_a_gap(clip, engines):
    gaps = []
    states = []
    after = 0
    with (
        RtspServer(clip) as server,
        Pipeline([open_source(server.url)], engines, seconds=12) as pipeline,
    ):
        timer = threading.Timer(3.0, lambda: (server.stop(), server.start()))
        timer.start()
        for record in pipeline.run():
            if isinstance(record, Gap):
                gaps.append(record)
            elif getattr(record, "state", None):
                states.append(record.state)
            if gaps and isinstance(record, Event):
                after += 1
            if states.count("live") == 2 and after:
                break
        timer.join()
    assert next(g.reason for g in gaps) == "connection lost"
    assert states[:3] == ["connecting", "live", "lost"]
    assert states.count("live") >= 2
    assert after  # events go on once the server is back


def test_two_runs_give_equal_bytes():
    """In two processes, each with a seed of its own for Python's hashes."""
    command = ["-m", "microspot.realtime", "watch", "sample:synthetic:7"]
    command += ["--json", "--provisional", "--seconds", "8"]
    alone = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=True, timeout=120
    )
    forked = run_python(*command)
    assert alone.stdout == forked.stdout
    assert '"status": "final"' in alone.stdout


def test_several_sources_run_as_one_and_equal_themselves_alone(clip, engines):
    alone, _ = finals(str(clip), engines)
    together: dict[str, list[Event]] = {}
    copies = open_sources([str(clip)] * 2)
    assert len({source.name for source in copies}) == 2
    with Pipeline(copies, engines) as pipeline:
        ends = 0
        for record in pipeline.run():
            if isinstance(record, SourceEnd):
                ends += 1
            if isinstance(record, Event) and record.status == "final":
                together.setdefault(record.source, []).append(record)
    assert ends == 2
    spans = sorted((e.onset_frame, e.offset_frame) for e in alone)
    for source in copies:
        assert sorted((e.onset_frame, e.offset_frame) for e in together[source.name]) == spans
    assert len({e.id for events in together.values() for e in events}) == 2 * len(alone)


def test_every_line_of_a_run_is_what_the_contract_says(clip, engines):
    lines: list[dict] = []

    class Keep(Sink):
        """A sink that keeps every record."""

        wants_provisional = True

        def write(self, record):
            lines.append(json.loads(json.dumps(record)))

    outcome = watch([open_source(str(clip))], engines, [Keep()], Settings())
    assert outcome.code == 0
    assert next(iter(lines[0])) == "type"
    assert lines[0]["type"] == "start"
    assert lines[0]["latency_ticks"]["final"] <= 30
    assert lines[-1]["type"] == "end"
    assert lines[-1]["frames"] == SECONDS * 30
    final = [line for line in lines if line["type"] == "event" and line["status"] == "final"]
    assert lines[-1]["events"] == len(final) > 0
    for line in final:
        assert line["onset_s"] <= line["apex_s"] <= line["offset_s"] <= line["emitted_s"]
        assert line["onset_frame"] <= line["apex_frame"] <= line["offset_frame"]
        assert len(line["intensity"]) == 11
        assert line["label"] in {*line["label_scores"], "uncertain"}


def test_nothing_connects_anywhere(clip, engines, monkeypatch):
    def refuse(self, address):
        raise AssertionError(f"the pipeline tried to connect to {address}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    events, _ = finals(str(clip), engines, seconds=3)
    assert isinstance(events, list)


def can_cut_the_network():
    return (
        shutil.which("unshare")
        and subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode == 0
    )


@pytest.mark.skipif(not can_cut_the_network(), reason="unshare -n is not allowed here")
def test_the_whole_pipeline_runs_with_the_network_cut_off(clip):
    command = ["unshare", "-n", sys.executable, "-m", "microspot.realtime"]
    command += ["watch", str(clip), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert '"type": "end"' in done.stdout


def test_a_threshold_of_a_faces_own_is_told_and_equal_in_every_run(clip, engines, monkeypatch):
    monkeypatch.setattr(running_neutral, "WARM_UP_S", 2.0)
    monkeypatch.setattr(personal_threshold, "WARM_UP_S", 2.0)
    monkeypatch.setattr(source_run, "TOLD_EVERY_S", 4.0)
    settings = Settings(alarms_per_min=3.0)
    runs = []
    for _ in range(2):
        with Pipeline([open_source(str(clip))], engines, settings) as pipeline:
            runs.append([json.dumps(to_json(record)) for record in pipeline.run()])
    assert runs[0] == runs[1]
    told = [json.loads(line) for line in runs[0] if '"type": "threshold"' in line]
    assert [round(record["seen_s"], 1) for record in told] == [2.0, 4.0, 8.0]
    assert all(record["alarms_per_min"] == 3.0 and not record["learning"] for record in told)
    assert len({record["threshold"] for record in told}) > 1


def test_files_are_never_dropped_from(clip, engines):
    seen: list[int] = []
    _, others = finals(str(clip), engines, draw=lambda frame, views: seen.append(frame.index))
    assert seen == list(range(SECONDS * 30))
    end = next(r for r in others if isinstance(r, SourceEnd))
    assert end.drops == {}


class Jumpy:
    """A source whose clock repeats, jumps ahead and is set back for good."""

    name = "jumpy"
    live = False
    pace = False
    epoch = 0
    started_utc = None
    rate_hz = None

    def __init__(self, path, times):
        self.times = times
        self.drops = {}
        with open_source(str(path)) as source:
            self.image = next(record for record in source if isinstance(record, Frame)).image

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def __iter__(self):
        return iter([Frame("jumpy", i, t, self.image) for i, t in enumerate(self.times)])

    def close(self):
        pass


def test_times_that_jump_repeat_or_go_back_never_reach_the_networks(clip, engines):
    step = 33_333_333
    times = [k * step for k in range(20)]
    times += [times[-1], times[-1] - step]  # repeated, one back
    times += [times[19] + 2_000_000_000 + k * step for k in range(10)]  # a jump ahead
    times += [k * step for k in range(15)]  # set back for good
    gaps = []
    drops = {}
    with Pipeline([Jumpy(clip, times)], engines) as pipeline:
        for record in pipeline.run():
            if isinstance(record, Gap):
                gaps.append(record)
            if isinstance(record, SourceEnd):
                drops = record.drops
    assert [gap.reason for gap in joined(gaps)] == ["frames missing", "clock set back"], gaps
    assert drops["time not rising"] == 2 + Settings().clock_reset_frames


class Leaving(Jumpy):
    """A face for 30 frames, then an empty picture for 30 more."""

    STEP = 33_333_333

    def __init__(self, path):
        super().__init__(path, [k * self.STEP for k in range(60)])

    def __iter__(self):
        images = [self.image] * 30 + [self.image * 0] * 30
        for index, (captured_ns, image) in enumerate(zip(self.times, images, strict=True)):
            yield Frame("jumpy", index, captured_ns, image)


def test_the_gap_of_a_face_that_never_returns_ends_with_the_source(clip, engines):
    """The face leaves at 1 s and never comes back: the source's last frame ends the gap."""
    with Pipeline([Leaving(clip)], engines) as pipeline:
        records = list(pipeline.run())
    (gap,) = joined(record for record in records if isinstance(record, Gap))
    assert (gap.reason, gap.stop_ns) == ("no face", 59 * Leaving.STEP)
    assert 0.9e9 < gap.start_ns <= 1e9
    assert isinstance(records[-1], SourceEnd)


@pytest.mark.parametrize(("least", "used"), [(60, True), (400, False)])
def test_a_small_face_has_a_note_and_its_frames_are_counted(clip, engines, least, used):
    """The face of the clip is about 100 px wide."""
    notes = set()
    settings = Settings(min_face_px=least, small_face_px=150)
    with Pipeline([open_source(str(clip))], engines, settings, seconds=1) as pipeline:
        pipeline.draw = lambda _, views: notes.update(view.note for view in views)
        *_, end = pipeline.run()
    assert {re.sub(r"\d+", "N", note) for note in notes} == {
        "face small: N px" if used else "face small: N px, not used"
    }
    assert end.rejected == ({} if used else {"too small": 30})
    assert end.face_seen is used


def counting_engines(calls, **changes):
    """Fake engines that add the batch of every call of the encoder to `calls`."""
    engines = fakes.engine_set(**changes)

    def encode(pixels):
        calls.append(len(pixels))
        return fakes.encode(pixels)

    tensors = engines.spotter.tensors()["encoder"]
    return dataclasses.replace(engines, encoder=FunctionEngine(encode, *tensors))


@pytest.mark.parametrize(("hz", "hop"), [(30, 1), (30, 4), (20, 1), (60, 2)])
def test_a_session_encodes_every_crop_once(hz, hop):
    """Whatever ticks the crop decides, and whatever is scored when."""
    calls = []
    session = Session(counting_engines(calls), "x", settings=Settings(hop=hop))
    features = fakes.features(np.random.default_rng(0), 90, 1.5)
    for index, feature in enumerate(features.T):
        session.push(fakes.crop(feature, index * 1_000_000_000 // hz, index))
        assert calls == [1] * (index + 1)
    session.flush()
    assert len(calls) == 90


@pytest.mark.parametrize("cameras", [1, 3])
@pytest.mark.parametrize(("hz", "used"), [(30, 40), (60, 21)])
def test_the_pipeline_encodes_every_used_frame_once_for_all_cameras(cameras, hz, used):
    """At 60 Hz every second frame is left out; of the used ones all cameras share one call."""
    calls = []
    sources = []
    for number in range(cameras):
        source = Times([index * 1_000_000_000 // hz for index in range(40)])
        source.name = f"camera {number}"
        sources.append(source)
    engines = counting_engines(calls, side=8)  # as the crops of `Faces`
    faces = Faces(lambda captured_ns: {0})
    with Pipeline(sources, engines, aligner=lambda *_: faces) as pipeline:
        ends = [record for record in pipeline.run() if isinstance(record, SourceEnd)]
    assert [(end.frames, end.face_seen) for end in ends] == [(40, True)] * cameras
    assert calls == [cameras] * used
