"""Processes: the records of one pipeline, whatever the number of processes, and nothing lost when one ends early."""

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

import pytest

from engines.runtime.select import load_engines
from realtime import processes
from realtime.config import Settings
from realtime.errors import EngineError, MicrospotError, UsageError
from realtime.pipeline import Pipeline, SourceEnd
from realtime.processes import Processes, how_many
from realtime.records import Event, Frame
from realtime.sources import open_among_others, open_source
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
    """The pictures of a clip again and again, as a camera sends them."""

    live, pace, epoch, started_utc, rate_hz = True, True, 0, None, None

    def __init__(self, clip):
        self.name, self.drops, self._clip, self._closed = clip, {}, clip, False

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


def children_of(pid):
    """Its processes that run Python, by what Linux knows."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_every_source_gives_the_records_it_gives_in_one_process(clips):
    opens, settings, seconds = opened(clips | {"nowhere": "nowhere.mp4"}), Settings(threshold=0.5), SECONDS - 1
    sources = [open_() for open_ in opens.values()]
    for name, source in zip(opens, sources, strict=True):
        source.name = name
    with LOAD() as engines, Pipeline(sources, engines, settings, seconds=seconds) as pipeline:
        start, expected = pipeline.describe(), by_source(pipeline.run())
    with Processes(opens, LOAD, settings, 2, seconds=seconds) as group:
        assert group.describe() == start
        found = by_source(group.run())
    assert any(isinstance(record, Event) for records in found.values() for record in records)
    for name in clips:
        assert found[name] == expected[name]
    (lost,) = found["nowhere"]
    assert str(lost.error) == str(expected["nowhere"][0].error)


def test_a_run_that_is_stopped_ends_every_source(clips):
    with Processes(endless(clips), LOAD, count=2) as group:
        drawn = {}

        def draw(frame, views):
            drawn.setdefault(frame.source, []).append((time.monotonic(), frame.image.size, len(views)))
            if len(drawn) == 2 and all(len(glances) > 3 and glances[-1][2] for glances in drawn.values()):
                group.stop()

        group.draw = draw
        ends = [record for record in group.run() if isinstance(record, SourceEnd)]
    assert {end.source for end in ends} == set(clips)
    assert all(end.face_seen and end.frames > 0 and end.error is None for end in ends)
    for glances in drawn.values():
        assert {size for _, size, _ in glances} == {0}, "pictures stay where they are"
        assert glances[-1][0] - glances[0][0] > 0.5 * processes.GLANCE_S * (len(glances) - 1)


def test_a_process_that_dies_takes_no_other_camera_with_it(clips):
    first, second = clips
    opens = endless({first: clips[first]}) | opened({second: clips[second]})
    ends, events = {}, 0
    with Processes(opens, LOAD, count=2) as group:
        for record in group.run():
            if isinstance(record, SourceEnd):
                ends[record.source] = record
            elif isinstance(record, Event) and record.source == first:
                events += record.status == "final"
                if record.status == "final":
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(group._children[0].process.pid, signal.SIGKILL)
    assert ends[second].error is None
    assert ends[second].frames == SECONDS * HZ
    assert str(ends[first].error) == f"{first}: its process ended early (exit code -9); what was found before is kept"
    assert ends[first].events == events > 0
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(
    ("load", "error", "said"),
    [
        (partial(load_engines, "nowhere"), EngineError, "no weights in nowhere"),
        (partial(load_engines, 3.5), RuntimeError, "TypeError"),
        (partial(fail, ImportError, "libX.so: cannot open shared object file"), EngineError, "apt install"),
        (partial(fail, EOFError, "truncated"), RuntimeError, "EOFError: truncated"),
        (partial(fail, OddError, "this", "that"), MicrospotError, "this and that"),
        (partial(os._exit, 3), EngineError, "ended early .exit code 3. while it started"),
    ],
)
def test_what_cannot_be_loaded_is_said_before_anything_runs(clips, load, error, said):
    with pytest.raises(error, match=said), Processes(opened(clips), load, count=2):
        pass
    assert not multiprocessing.active_children()


def test_how_many_processes(monkeypatch):
    settings = Settings(process_cameras=5)
    monkeypatch.setattr(processes, "available_cores", lambda: 4)
    assert [how_many(cameras, settings) for cameras in (1, 5, 6, 10, 11, 40)] == [1, 1, 2, 2, 3, 4]
    assert how_many(40, settings, divided=False) == 1
    assert how_many(40, settings, pictures=True) == 1
    assert how_many(2, settings, 8, divided=False) == 2
    with pytest.raises(UsageError, match="--processes 2: a window"):
        how_many(2, settings, 2, pictures=True)
    with pytest.raises(UsageError, match="0 sources"):
        Processes({}, LOAD)


def command(clips, *options):
    sources = [*clips.values(), "--pace", "--json", "--processes", "2", *options]
    run = [sys.executable, "-m", "realtime", "watch", *sources]
    return subprocess.Popen(
        run, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )  # fmt: skip


def test_ctrl_c_ends_all_cameras_and_loses_nothing(clips):
    running = command(clips)
    start = json.loads(running.stdout.readline())
    time.sleep(3)  # the clips take twice as long
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does: to every process
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    ends = [line for line in map(json.loads, out.splitlines()) if line["type"] == "end"]
    assert {line["source"] for line in ends} == {entry["source"] for entry in start["sources"]}
    assert all(line["frames"] < SECONDS * HZ for line in ends)
    assert any(line["frames"] > 0 for line in ends)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="children are looked up in /proc")
def test_no_process_outlives_the_command(clips):
    running = command(clips, "--seconds", "5")
    running.stdout.readline()
    children = children_of(running.pid)
    assert len(children) >= 2
    running.kill()
    running.communicate(timeout=60)
    deadline = time.monotonic() + 20
    while alive := [child for child in children if Path(f"/proc/{child}").exists()]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.1)
