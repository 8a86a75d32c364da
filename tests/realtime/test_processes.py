"""Processes: the records of one pipeline, whatever the number of processes, and nothing lost when one ends early."""

import itertools
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

from engines.runtime.select import load_engines
from realtime import processes
from realtime.config import Settings
from realtime.errors import EngineError, UsageError
from realtime.pipeline import Pipeline, SourceEnd
from realtime.processes import Processes, how_many
from realtime.records import Event, Frame
from realtime.sources import open_named, open_source
from tests.clips import write_clip

HZ, SECONDS = 30, 6
LOAD = partial(load_engines, None, "onnx")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Two videos with MEs, by name."""
    folder = tmp_path_factory.mktemp("clips")

    def clip(seed):
        with open_source(f"sample:synthetic:{seed}") as source:
            images = [r.image for r in itertools.islice(source, SECONDS * HZ) if isinstance(r, Frame)]
        return write_clip(folder / f"face{seed}.mp4", images)

    return {f"face {seed}": str(clip(seed)) for seed in (7, 8)}


class Endless:
    """One picture again and again, as a camera sends it; tells the process it is read in."""

    live, pace, epoch, started_utc, rate_hz = True, True, 0, None, None

    def __init__(self, name, clip):
        self.name, self.drops, self._clip, self._closed = name, {}, clip, False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __iter__(self):
        with open_source(self._clip) as source:
            image = next(r for r in source if isinstance(r, Frame)).image
        while not self._closed:
            index = next(self._count)
            yield Frame(self.name, index, index * 10**9 // HZ, image)
            time.sleep(1 / HZ)

    _count = itertools.count()

    def close(self):
        self._closed = True


def opened(clips):
    return {name: partial(open_named, path, name) for name, path in clips.items()}


def by_source(records):
    found = {}
    for record in records:
        found.setdefault(record.source, []).append(record)
    return found


def test_every_source_gives_the_records_it_gives_in_one_process(clips):
    opens = opened(clips | {"nowhere": "nowhere.mp4"})
    with LOAD() as engines, Pipeline([o() for o in opens.values()], engines) as pipeline:
        start, expected = pipeline.describe(), by_source(pipeline.run())
    with Processes(opens, LOAD, count=2) as group:
        assert group.describe() == start
        found = by_source(group.run())
    assert any(isinstance(record, Event) for records in found.values() for record in records)
    for name in clips:
        assert found[name] == expected[name]
    (lost,) = found["nowhere"]
    assert str(lost.error) == str(expected["nowhere"][0].error)


def test_a_run_that_is_stopped_ends_every_source(clips):
    opens = {name: partial(Endless, name, path) for name, path in clips.items()}
    with Processes(opens, LOAD, count=2) as group:
        drawn = set()

        def draw(frame, views):
            drawn.add((frame.source, frame.image.size, len(views)))
            if {source for source, _, faces in drawn if faces} == set(clips):
                group.stop()

        group.draw = draw
        records = list(group.run())
    ends = [record for record in records if isinstance(record, SourceEnd)]
    assert {end.source for end in ends} == set(clips)
    assert all(end.face_seen and end.frames > 0 and end.error is None for end in ends)
    assert {size for _, size, _ in drawn} == {0}, "pictures stay where they are"


def test_a_process_that_dies_takes_no_other_camera_with_it(clips):
    first, second = clips
    opens = {first: partial(Endless, first, clips[first])} | {second: opened(clips)[second]}
    with Processes(opens, LOAD, count=2) as group:
        assert group.describe()
        victim = next(child for child in multiprocessing.active_children() if child.name == first)
        os.kill(victim.pid, signal.SIGKILL)
        ends = {record.source: record for record in group.run() if isinstance(record, SourceEnd)}
    assert ends[second].error is None
    assert ends[second].frames == SECONDS * HZ
    assert isinstance(ends[first].error, EngineError)
    assert f"{first} died (exit code -9)" in str(ends[first].error)
    assert not multiprocessing.active_children()


def test_what_cannot_be_loaded_is_said_before_anything_runs(clips):
    with (
        pytest.raises(EngineError, match="no weights in nowhere"),
        Processes(opened(clips), partial(load_engines, "nowhere"), count=2),
    ):
        pass
    assert not multiprocessing.active_children()


def test_a_bug_in_a_process_is_no_silence(clips):
    with pytest.raises(RuntimeError, match="TypeError"), Processes(opened(clips), partial(load_engines, 3.5), count=1):
        pass


def test_how_many_processes(monkeypatch):
    settings = Settings(process_cameras=5)
    monkeypatch.setattr(processes, "available_cores", lambda: 4)
    assert [how_many(cameras, settings) for cameras in (1, 5, 6, 10, 11, 40)] == [1, 1, 2, 2, 3, 4]
    assert how_many(40, settings, paced=False) == 1
    assert how_many(40, settings, pictures=True) == 1
    assert how_many(2, settings, 8, paced=False) == 2
    with pytest.raises(UsageError, match="--processes 2: a window"):
        how_many(2, settings, 2, pictures=True)
    with pytest.raises(UsageError, match="0 sources"):
        Processes({}, LOAD)


def test_the_command_divides_cameras_and_ends_them_on_an_interruption(clips):
    command = [sys.executable, "-m", "realtime", "watch", *clips.values(), "--pace", "--processes", "2", "--json"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    start = json.loads(running.stdout.readline())
    time.sleep(1)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    ends = [line for line in map(json.loads, out.splitlines()) if line["type"] == "end"]
    assert {line["source"] for line in ends} == {entry["source"] for entry in start["sources"]}
    assert all(0 < line["frames"] < SECONDS * HZ for line in ends)
