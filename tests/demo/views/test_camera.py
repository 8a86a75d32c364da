"""A source of the server: one run for all who look, who come and go as they like."""

import asyncio
import json
import os
import threading
from types import SimpleNamespace

import pytest

from microspot.demo.limits import Limits
from microspot.demo.views import camera as camera_module
from microspot.demo.views.wire import HEADER_LENGTH, pack_picture
from microspot.realtime.sources.push import PushSource
from tests.clips import write_still
from tests.demo.serving import (
    at_work,
    connect_page,
    drop_connection,
    messages,
    send_json,
    serving,
    until,
    wait_for,
)


@pytest.fixture
def runs(monkeypatch):
    """Counts the runs that were started."""
    started = []

    class Counted(camera_module.PipelineRun):
        async def run(self):
            started.append(self)
            await super().run()

    monkeypatch.setattr(camera_module, "PipelineRun", Counted)
    return started


@pytest.fixture(scope="module")
def wall(tmp_path_factory):
    return str(write_still(tmp_path_factory.mktemp("wall") / "wall.mp4", 90, 120))


def head(picture):
    (length,) = HEADER_LENGTH.unpack_from(picture)
    return json.loads(picture[HEADER_LENGTH.size : HEADER_LENGTH.size + length])


def pictures(page):
    """The heads of the pictures, each said to be seen."""
    for message in messages(page):
        if isinstance(message, bytes):
            send_json(page, type="seen")
            yield head(message)


def test_two_pages_share_a_run_and_one_that_vanishes_is_not_missed(wall, runs):
    with serving(sources=[wall]) as port, connect_page(port, "camera?source=0") as one:
        until(one, "start")
        with connect_page(port, "camera?source=0") as two:
            assert until(two, "start")  # it came late and is told
            assert next(pictures(two))["width"] == 320
            drop_connection(two)
        seen = pictures(one)
        indices = [next(seen)["index"] for _ in range(5)]
        assert indices == sorted(set(indices))
        assert len(runs) == 1


def test_a_picture_without_a_face_says_how_many_were_scored_and_how_fast(wall):
    with serving(sources=[wall]) as port, connect_page(port, "camera?source=0") as page:
        seen = pictures(page)
        first = next(seen)
        last = next(seen)
        assert 1 <= first["scored"] < last["scored"]
        assert next(picture["hz"] for picture in seen if picture["hz"]) == pytest.approx(30)
        assert last["faces"] == []


def test_a_recording_begins_again_at_its_end(wall, runs):
    with serving(sources=[wall]) as port, connect_page(port, "camera?source=0") as page:
        until(page, "start")
        until(page, "end")
        assert until(page, "start")
        assert len(runs) == 2


def test_the_run_ends_when_nobody_looks(wall, runs):
    with serving(sources=[wall], linger_s=0.05) as port:
        with connect_page(port, "camera?source=0") as page:
            until(page, "start")
        wait_for(lambda: not at_work())
        with connect_page(port, "camera?source=0") as page:
            assert until(page, "start")
        assert len(runs) == 2


class Reluctant(PushSource):
    """A camera that takes its time to close."""

    free = threading.Event()

    def close(self):
        self.free.wait()
        super().close()


def test_who_comes_while_a_run_ends_waits_for_the_next_and_holds_up_nobody(wall, runs, monkeypatch):
    monkeypatch.setattr(camera_module, "open_source", lambda uri, pace: Reluctant(uri))
    try:
        with serving(sources=[wall], linger_s=0.01) as port:
            with connect_page(port, "camera?source=0") as first:
                until(first, "start")
            wait_for(lambda: [name for name in at_work() if "ending" in name])
            with (
                connect_page(port, "camera?source=0") as second,
                connect_page(port, "live") as other,
            ):
                assert until(other, "start")
                assert len(runs) == 1  # a camera opens once
                Reluctant.free.set()
                assert until(second, "start")
                assert len(runs) == 2
    finally:
        Reluctant.free.set()


def test_a_slow_page_has_two_pictures_on_the_way_and_loses_no_record(wall):
    with serving(sources=[wall]) as port, connect_page(port, "camera?source=0") as page:
        until(page, "start")
        _, before = until(page, "end")  # without a word from the page
        assert sum(isinstance(message, bytes) for message in before) == 2


def test_an_overlay_is_sent_no_picture_and_none_is_made_for_it_alone(wall, monkeypatch):
    packed = []

    def counted(header, image, limits):
        packed.append(header["index"])
        return pack_picture(header, image, limits)

    monkeypatch.setattr(camera_module, "pack_picture", counted)
    with (
        serving(sources=[wall]) as port,
        connect_page(port, "camera?source=0&pictures=0") as overlay,
    ):
        until(overlay, "start")
        _, before = until(overlay, "end")
        assert all(isinstance(message, dict) for message in before)
        assert packed == []
        with connect_page(port, "camera?source=0") as page:
            assert next(pictures(page))["scored"] == packed[0] + 1  # all were counted
            drop_connection(page)
        _, before = until(overlay, "end")
        assert all(isinstance(message, dict) for message in before)


class Scripted:
    """A run of one event, and of a note once that is asked for."""

    def __init__(self, setup, source, send, draw, names):
        self.send = send
        self.noted = asyncio.Event()
        self.loop = asyncio.get_running_loop()
        scripted.append(self)

    async def run(self):
        self.send({"type": "start"})
        self.send({"type": "event", "status": "final"})
        await self.noted.wait()
        self.send({"type": "note"})
        await asyncio.Event().wait()


scripted = []


def test_an_overlay_that_comes_late_is_sent_no_event_of_before(wall, monkeypatch):
    monkeypatch.setattr(camera_module, "PipelineRun", Scripted)
    with serving(sources=[wall]) as port, connect_page(port, "camera?source=0") as first:
        until(first, "event")
        with (
            connect_page(port, "camera?source=0&pictures=0") as overlay,
            connect_page(port, "camera?source=0") as page,
        ):
            until(overlay, "start")
            until(page, "start")
            run = scripted.pop()
            run.loop.call_soon_threadsafe(run.noted.set)
            assert until(overlay, "note")[1] == []
            assert [message["type"] for message in until(page, "note")[1]] == ["event"]


def test_a_picture_held_for_a_slow_page_is_forgotten_when_a_new_run_starts():
    told = []

    class Page(camera_module.CameraSession):
        def send(self, message):
            told.append(message)
            super().send(message)

    async def story():
        page = Page(SimpleNamespace(query_params={}), Limits(in_flight=1), [])
        page.offer(b"drawn")
        page.offer(b"old")
        page.send({"type": "start"})
        await page.receive_text({"type": "seen"})
        page.offer(b"new")

    asyncio.run(story())
    assert told == [b"drawn", {"type": "start"}, b"new"]


@pytest.mark.parametrize(
    "query", ["", "?source=", "?source=1", "?source=/etc/passwd", "?source=-1"]
)
def test_a_page_chooses_only_among_the_sources_named_at_start(wall, query):
    with serving(sources=[wall]) as port, connect_page(port, f"camera{query}") as page:
        assert "not named" in until(page, "error")[0]["message"]


def test_a_source_that_cannot_be_opened_is_told_without_its_path(tmp_path):
    with (
        serving(sources=[str(tmp_path / "gone.mp4")]) as port,
        connect_page(port, "camera?source=0") as page,
    ):
        message = until(page, "error")[0]["message"]
        assert "gone.mp4: no such file" in message
        assert str(tmp_path) not in message


def test_no_place_no_run(wall):
    with (
        serving(sources=[wall], runs=1) as port,
        connect_page(port, "live") as live,
        connect_page(port, "camera?source=0") as page,
    ):
        until(live, "start")
        assert until(page, "queue")[0]["position"] == 1
        with connect_page(port, "camera?source=0") as late:
            assert until(late, "queue")[0]["position"] == 1  # it came later and is told
            live.close()
            assert until(page, "start")
            assert until(late, "start")


def test_channels_that_look_alike_are_told_apart_and_their_records_too():
    channels = list[camera_module.Channel]()
    for uri in ["rtsp://u:one@h/x", "rtsp://u:two@h/x", "sample", "sample"]:
        channels.append(
            camera_module.Channel(uri, Limits(), None, None, {channel.name for channel in channels})
        )
    names = [channel.name for channel in channels]
    assert names == ["rtsp://***@h/x", "rtsp://***@h/x#2", "sample", "sample#2"]
    opened = [channel.open() for channel in channels]
    assert [source.name for source in opened] == names
    for source in opened:
        source.close()


def test_no_page_is_told_a_folder_whose_name_is_odd(tmp_path):
    folder = tmp_path / os.fsdecode(b"secret\xb1\x1b")
    folder.mkdir()
    (folder / os.fsdecode(b"no\xb1.mp4")).write_bytes(b"no video")
    with (
        serving(sources=[str(folder / os.fsdecode(b"no\xb1.mp4"))]) as port,
        connect_page(port, "camera?source=0") as page,
    ):
        error, _ = until(page, "error")
    assert error["message"].startswith(r"no\xb1.mp4: not a video")
