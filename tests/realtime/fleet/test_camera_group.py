"""A group of cameras: who comes and goes disturbs nobody, and nothing is lost or found twice."""

import json
import sqlite3
import threading
import time
from contextlib import closing
from functools import partial

import pytest

from microspot.realtime.config import Settings
from microspot.realtime.errors import DataError
from microspot.realtime.fleet.camera_group import CameraGroup
from microspot.realtime.fleet.cluster import CameraWanted
from microspot.realtime.fleet.run import open_outs
from microspot.realtime.pipeline import Pipeline
from microspot.realtime.sinks.open import open_sink
from microspot.realtime.sources.open import open_source
from microspot.realtime.watch import follow
from tests.realtime.fleet import numbered
from tests.rtsp_server import RtspServer, write_clip

FRAMES = 70
PATIENCE_S = 30.0


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("numbered") / "clip.mp4"
    return write_clip(path, FRAMES, time_base=numbered.FRAME)


@pytest.fixture
def group(tmp_path):
    outs = partial(open_outs, (str(tmp_path / "events.db"),), None)
    made = CameraGroup("here", numbered.load, outs, Settings(), numbered.aligner)
    yield made
    made.close()


def stored(path):
    with sqlite3.connect(path) as connection:
        rows = [json.loads(record) for (record,) in connection.execute("SELECT record FROM events")]
    connection.close()
    return rows


def until(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def finals(sources):
    """The final events of a pipeline over the sources, as `watch` hands them to sinks."""
    kept = []
    with (
        numbered.load() as engines,
        Pipeline(sources, engines, aligner=numbered.aligner) as pipeline,
    ):
        follow(pipeline, [open_sink(kept.append)])
    return [record for record in kept if record["type"] == "event"]


def by_id(events):
    return sorted(events, key=lambda event: event["id"])


def test_files_give_the_events_of_watch_and_of_a_pipeline_of_eight(group, clip, tmp_path):
    names = [f"clip {number}" for number in range(8)]
    group.change([CameraWanted(name, str(clip)) for name in names], 1)
    until(lambda: len(group.report().ended) == 8)
    found = stored(tmp_path / "events.db")

    def opened(name):
        source = open_source(str(clip))
        source.name = name
        return source

    alone = [event for name in names for event in finals([opened(name)])]
    assert by_id(found) == by_id(alone) == by_id(finals(list(map(opened, names))))
    bursts = len(range(numbered.BURST.start, FRAMES, numbered.EVERY))
    assert len(found) == 8 * bursts
    for name in names:
        spans = sorted(numbered.numbers_of(e) for e in found if e["source"] == name)
        assert [first // numbered.EVERY for first, _ in spans] == list(range(bursts))


def test_who_comes_and_goes_disturbs_nobody_and_what_is_open_ends(group, clip, tmp_path):
    with RtspServer(clip, loop=True) as server:
        stays, goes, comes = (CameraWanted(name, server.url) for name in ("stays", "goes", "comes"))
        group.change([stays, goes], 1)
        until(lambda: frames(group).get("stays") and frames(group).get("goes"))
        group.change([stays, comes], 2)
        assert group.report().number == 2
        until(lambda: frames(group).get("comes"))
        assert set(group.report().held) == {"stays", "comes"}
        changed = CameraWanted("comes", str(clip))
        group.change([stays, changed], 3)
        until(lambda: group.report().ended == {"comes": ""})
        assert server.plays == 3
        figures = {of.source: of for of in group.report().figures.sources}
        assert figures["stays"].reconnects == 0
        group.close()
    report = group.report()
    assert report.closed
    assert (report.held, report.cameras, report.failure) == ((), (), "")
    with closing(sqlite3.connect(tmp_path / "events.db")) as connection:
        rows = connection.execute("SELECT source, started_utc, ended_utc FROM sources").fetchall()
    ended = {source: (began, end) for source, began, end in rows}
    assert set(ended) == {"stays", "goes", "comes"}
    assert all(end for _, end in ended.values())
    assert ended["stays"][0] < ended["stays"][1]


def test_an_address_that_says_nothing_here_fails_alone(group, clip, monkeypatch):
    monkeypatch.delenv("NOT_SET", raising=False)
    group.change([CameraWanted("lost", "env:NOT_SET"), CameraWanted("file", str(clip))], 1)
    until(lambda: len(group.report().ended) == 2)
    report = group.report()
    assert "set NOT_SET" in report.ended["lost"]
    assert report.ended["file"] == ""
    assert report.failure == ""


def test_a_sink_that_fails_is_told_and_ends_the_group(clip):
    def full(record):
        if record["type"] == "event":
            raise DataError("the disk is full")

    made = CameraGroup(
        "here", numbered.load, lambda: [open_sink(full)], Settings(), numbered.aligner
    )
    made.change([CameraWanted("one", str(clip))], 1)
    until(lambda: made.report().failure)
    assert made.report().failure == "the disk is full"
    made.close()


def test_a_sink_that_blocks_is_told_once_patience_is_over(clip):
    goes_on = threading.Event()
    written = threading.Event()

    def blocks(record):
        if record["type"] == "event":
            written.set()
            goes_on.wait(PATIENCE_S)

    sinks = [open_sink(blocks)]
    made = CameraGroup("here", numbered.load, lambda: sinks, Settings(), numbered.aligner, 2.0)
    try:
        until(lambda: made.report().silent_s is not None)
        time.sleep(2.1)  # longer than its patience, in which it goes round
        assert made.report().failure == ""
        made.change([CameraWanted(f"clip {number}", str(clip)) for number in range(8)], 1)
        assert written.wait(PATIENCE_S)
        until(lambda: made.report().failure)
        assert made.report().failure == "it has stood still for 2 s"
    finally:
        goes_on.set()
        made.close()


def test_a_sink_that_cannot_be_opened_is_an_error_at_once(tmp_path):
    outs = partial(open_outs, (str(tmp_path / "none" / "events.db"),), None)
    with pytest.raises(DataError, match="directory does not exist"):
        CameraGroup("here", numbered.load, outs, Settings(), numbered.aligner)


def frames(group):
    return {of.source: of.frames for of in group.report().figures.sources}
