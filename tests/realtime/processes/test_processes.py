"""Several processes give the records of one pipeline, and lose nothing when one ends early."""

import contextlib
import itertools
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from microspot.engines.loading import load_engines
from microspot.realtime.config import Settings
from microspot.realtime.errors import EngineError, MicrospotError, UsageError
from microspot.realtime.pipeline import Pipeline, SourceEnd
from microspot.realtime.processes import child as child_module
from microspot.realtime.processes import group as group_module
from microspot.realtime.processes import plan
from microspot.realtime.processes.child import DrawingSender
from microspot.realtime.processes.group import ProcessGroup
from microspot.realtime.processes.plan import process_count
from microspot.realtime.records import Event, Frame, FrameTime, TickScores
from microspot.realtime.sinks.base import OF_FRAMES
from microspot.realtime.sources.open import open_among_others, open_source
from microspot.realtime.watch import to_json
from tests.children import children_of
from tests.clips import write_clip

HZ = 30
SECONDS = 6
LOAD = partial(load_engines, None, "onnx")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Two videos with MEs, by name."""
    folder = tmp_path_factory.mktemp("clips")

    def clip(seed):
        with open_source(f"sample:synthetic:{seed}") as source:
            images = [
                r.image for r in itertools.islice(source, SECONDS * HZ) if isinstance(r, Frame)
            ]
        return write_clip(folder / f"face{seed}.mp4", images)

    return {f"face {seed}": str(clip(seed)) for seed in (7, 8)}


class Endless:
    """The pictures of a clip again and again, as a camera sends them."""

    live = True
    pace = True
    epoch = 0
    started_utc = None
    rate_hz = None

    def __init__(self, clip):
        self.name = clip
        self.drops = {}
        self._clip = clip
        self._closed = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __iter__(self):
        for index in itertools.count():
            if index % (SECONDS * HZ) == 0:
                frames = iter(open_source(self._clip))
            if self._closed:
                return
            yield Frame(self.name, index, index * 10**9 // HZ, next(frames).image)
            time.sleep(0.2 / HZ)

    def close(self):
        self._closed = True


class OddError(MicrospotError):
    """An error that cannot be pickled."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


def fail(kind, *arguments):
    raise kind(*arguments)


def opened(clips):
    return {name: partial(open_among_others, path) for name, path in clips.items()}


def endless(clips):
    return {name: partial(Endless, path) for name, path in clips.items()}


def by_source(records):
    found = {}
    for record in records:
        found.setdefault(record.source, []).append(record)
    return found


def runs(pid):
    """Whether a process has not ended; a zombie has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def as_written(records):
    """Records as JSON lines: to the digits that a batch of another size does not change."""
    return [to_json(record) for record in records]


def test_every_source_gives_the_records_it_gives_in_one_process(clips):
    openers = opened(clips | {"nowhere": "nowhere.mp4"})
    settings = Settings(threshold=0.5)
    seconds = SECONDS - 1
    sources = [opener() for opener in openers.values()]
    for name, source in zip(openers, sources, strict=True):
        source.name = name
    with LOAD() as engines, Pipeline(sources, engines, settings, seconds=seconds) as pipeline:
        start = pipeline.describe()
        expected = by_source(pipeline.run())
    with ProcessGroup(openers, LOAD, settings, 2, seconds=seconds) as group:
        assert group.describe() == start
        found = by_source(group.run())
    assert any(isinstance(record, Event) for records in found.values() for record in records)
    for name in clips:
        assert as_written(found[name]) == as_written(expected[name])
    (lost,) = found["nowhere"]
    assert str(lost.error) == str(expected["nowhere"][0].error)


def test_times_and_scores_of_every_frame_leave_their_process(clips):
    with ProcessGroup(opened(clips), LOAD, count=2, seconds=1) as group:
        group.wants_frames = OF_FRAMES
        found = by_source(group.run())
    assert set(found) == set(clips)
    for records in found.values():
        times = [record for record in records if isinstance(record, FrameTime)]
        assert [record.index for record in times] == list(range(records[-1].frames))
        assert sum(isinstance(record, TickScores) for record in records) > HZ / 2


def test_processes_that_run_already_are_told_when_records_of_frames_are_wanted(clips):
    with ProcessGroup(endless(clips), LOAD, count=2) as group:
        seen = set()
        quiet = [0]  # rounds since the last record of a frame
        until = time.monotonic() + 120

        def between_rounds():
            quiet[0] += 1
            group.wants_frames = OF_FRAMES if seen != set(clips) else ()
            if quiet[0] > 20 and seen:
                group.stop()
            assert time.monotonic() < until

        group.between_rounds = between_rounds
        for record in group.run():
            if isinstance(record, FrameTime | TickScores):
                seen.add(record.source)
                quiet[0] = 0
    assert seen == set(clips)


def test_a_run_that_is_stopped_ends_every_source(clips):
    with ProcessGroup(endless(clips), LOAD, count=2) as group:
        drawn = {}

        def draw(frame, views):
            drawn.setdefault(frame.source, []).append((frame.image.size, len(views)))
            if len(drawn) == 2 and all(drawings[-1][1] for drawings in drawn.values()):
                group.stop()

        group.draw = draw
        ends = [record for record in group.run() if isinstance(record, SourceEnd)]
    assert {end.source for end in ends} == set(clips)
    assert all(end.face_seen and end.frames > 0 and end.error is None for end in ends)
    sizes = {size for drawings in drawn.values() for size, _ in drawings}
    assert sizes == {0}, "images stay in their process"


def test_every_source_is_drawn_ten_times_a_second_at_most(monkeypatch):
    sent = []
    now = [0.0]
    monkeypatch.setattr(child_module.time, "monotonic", lambda: now[0])
    draw = DrawingSender(SimpleNamespace(send=sent.append))
    for frame in range(30):
        now[0] = frame / 25
        for name in ("one", "two"):
            draw(Frame(name, frame, frame, np.zeros((2, 2, 3), np.uint8)), [])
    assert [drawing.frame.source for drawing in sent] == ["one", "two"] * (len(sent) // 2)
    assert len(sent) == 2 * 10  # every third frame of 30


def test_a_process_that_does_not_stop_is_abandoned_and_its_events_withdrawn(clips, monkeypatch):
    for name in ("STOP_S", "GRACE_S"):
        monkeypatch.setattr(group_module, name, 0.5)
    records = []
    with ProcessGroup(endless(clips), LOAD, count=2) as group:
        for record in group.run():
            records.append(record)
            if isinstance(record, Event) and record.status == "provisional" and not group._stopping:
                stuck = next(
                    child for child in group._children if record.source in child.final_events
                )
                os.kill(stuck.process.pid, signal.SIGSTOP)
                group.stop()
    ends = [record for record in records if isinstance(record, SourceEnd)]
    assert {end.source for end in ends} == set(clips)
    assert [str(end.error) for end in ends if end.source in stuck.final_events] == [
        f"{name}: its process was interrupted; what was found before is kept"
        for name in stuck.final_events
    ]
    last = {record.id: record.status for record in records if isinstance(record, Event)}
    assert "withdrawn" in last.values()
    assert "provisional" not in last.values()
    assert not multiprocessing.active_children()


def test_a_process_that_dies_takes_no_other_camera_with_it(clips):
    first, second = clips
    openers = endless({first: clips[first]}) | opened({second: clips[second]})
    ends = {}
    events = 0
    with ProcessGroup(openers, LOAD, count=2) as group:
        for record in group.run():
            if isinstance(record, SourceEnd):
                ends[record.source] = record
            if isinstance(record, Event) and record.source == first and record.status == "final":
                events += 1
                with contextlib.suppress(ProcessLookupError):
                    os.kill(group._children[0].process.pid, signal.SIGKILL)
    assert ends[second].error is None
    assert ends[second].frames == SECONDS * HZ
    why = "its process ended early (exit code -9); what was found before is kept"
    assert str(ends[first].error) == f"{first}: {why}"
    assert ends[first].events == events > 0
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(
    ("load", "error", "said"),
    [
        (partial(load_engines, "nowhere"), EngineError, "no weights in nowhere"),
        (partial(load_engines, 3.5), RuntimeError, "TypeError"),
        (
            partial(fail, ImportError, "libX.so: cannot open shared object file"),
            EngineError,
            "apt install",
        ),
        (partial(fail, EOFError, "truncated"), RuntimeError, "EOFError: truncated"),
        (partial(fail, OddError, "this", "that"), MicrospotError, "this and that"),
        (partial(os._exit, 3), EngineError, "ended early .exit code 3. while it started"),
    ],
)
def test_what_cannot_be_loaded_is_said_before_anything_runs(clips, load, error, said):
    with pytest.raises(error, match=said), ProcessGroup(opened(clips), load, count=2):
        pass
    assert not multiprocessing.active_children()


def test_process_count(monkeypatch):
    settings = Settings(process_cameras=5)
    monkeypatch.setattr(plan, "available_cores", lambda: 4)
    counts = [process_count(cameras, settings, "onnx") for cameras in (1, 5, 6, 10, 11, 40)]
    assert counts == [1, 1, 2, 2, 3, 4]
    assert process_count(40, settings, "onnx", paced=False) == 1
    assert process_count(40, settings, "onnx", pictures=True) == 1
    assert process_count(40, settings, "rtx") == 1
    assert process_count(40, settings, "rtx", 3) == 3
    assert process_count(2, settings, "onnx", 8, paced=False) == 2
    with pytest.raises(UsageError, match="--processes 2: a window"):
        process_count(2, settings, "onnx", 2, pictures=True)
    with pytest.raises(UsageError, match="0 sources"):
        ProcessGroup({}, LOAD)


def start_watch(*sources):
    """`microspot watch` of sources in two processes, which write JSON lines to its stdout."""
    options = ["--pace", "--json", "--provisional", "--processes", "2"]
    command = [sys.executable, "-m", "microspot.realtime", "watch", *sources, *options]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_all_cameras_and_loses_nothing(number):
    running = start_watch("sample:synthetic:7", "sample:synthetic:7")
    start = json.loads(running.stdout.readline())
    first = {json.loads(running.stdout.readline())["source"] for _ in range(6)}
    assert first <= {entry["source"] for entry in start["sources"]}
    os.killpg(running.pid, number)  # as a terminal and a supervisor do: to every process
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    ends = [line for line in map(json.loads, out.splitlines()) if line["type"] == "end"]
    assert {line["source"] for line in ends} == {entry["source"] for entry in start["sources"]}
    assert not any("error" in line for line in ends)
    assert all(line["frames"] < 900 for line in ends)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="children are looked up in /proc")
def test_no_process_outlives_the_command():
    running = start_watch("sample:synthetic:7", "sample:synthetic:8")
    running.stdout.readline()
    children = children_of(running.pid)
    assert len(children) == 3  # one keeps track of what they share
    running.kill()
    running.communicate(timeout=60)
    deadline = time.monotonic() + 10  # a third of what they would go on
    while alive := [child for child in children if runs(child)]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.1)
