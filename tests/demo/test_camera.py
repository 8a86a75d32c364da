"""A source of the server: one run for all who look, who come and go as they like."""

import json
import socket as sockets
import struct

import pytest

import demo.camera
from demo.wire import LENGTH
from tests.clips import write_still
from tests.demo.serving import messages, say, serving, until, visit, wait_for


@pytest.fixture
def runs(monkeypatch):
    """Counts the runs that were started."""
    started = []

    class Counted(demo.camera.Run):
        def start(self):
            started.append(self)
            super().start()

    monkeypatch.setattr(demo.camera, "Run", Counted)
    return started


@pytest.fixture(scope="module")
def wall(tmp_path_factory):
    return str(write_still(tmp_path_factory.mktemp("wall") / "wall.mp4", 90, 120))


def head(picture):
    (length,) = LENGTH.unpack_from(picture)
    return json.loads(picture[LENGTH.size : LENGTH.size + length])


def pictures(page):
    """The heads of the pictures, each said to be seen."""
    for message in messages(page):
        if isinstance(message, bytes):
            say(page, type="seen")
            yield head(message)


def test_two_pages_share_a_run_and_one_that_vanishes_is_not_missed(wall, runs):
    with serving(sources=[wall]) as port, visit(port, "camera?source=0") as one:
        until(one, "start")
        with visit(port, "camera?source=0") as two:
            assert until(two, "start")  # it came late and is told
            assert next(pictures(two))["width"] == 320
            two.socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
            two.socket.shutdown(sockets.SHUT_RDWR)
        seen = pictures(one)
        indices = [next(seen)["index"] for _ in range(5)]
        assert indices == sorted(set(indices))
        assert len(runs) == 1


def test_a_recording_begins_again_at_its_end(wall, runs):
    with serving(sources=[wall]) as port, visit(port, "camera?source=0") as page:
        until(page, "start")
        until(page, "end")
        assert until(page, "start")
        assert len(runs) == 2


def test_the_run_ends_when_nobody_looks(wall, runs):
    with serving(sources=[wall], linger_s=0.05) as port:
        with visit(port, "camera?source=0") as page:
            until(page, "start")
        wait_for(lambda: not runs[0]._thread.is_alive())
        with visit(port, "camera?source=0") as page:
            assert until(page, "start")


def test_a_slow_page_has_two_pictures_on_the_way_and_loses_no_record(wall):
    with serving(sources=[wall]) as port, visit(port, "camera?source=0") as page:
        until(page, "start")
        _, before = until(page, "end")  # without a word from the page
        assert sum(isinstance(message, bytes) for message in before) == 2


@pytest.mark.parametrize("query", ["", "?source=", "?source=1", "?source=/etc/passwd", "?source=-1"])
def test_a_page_chooses_only_among_the_sources_named_at_start(wall, query):
    with serving(sources=[wall]) as port, visit(port, f"camera{query}") as page:
        assert "not named" in until(page, "error")[0]["message"]


def test_a_source_that_cannot_be_opened_is_told_without_its_path(tmp_path):
    with serving(sources=[str(tmp_path / "gone.mp4")]) as port, visit(port, "camera?source=0") as page:
        message = until(page, "error")[0]["message"]
        assert "gone.mp4: no such file" in message
        assert str(tmp_path) not in message


def test_no_place_no_run(wall):
    with serving(sources=[wall], runs=1) as port, visit(port, "live") as live, visit(port, "camera?source=0") as page:
        until(live, "start")
        assert until(page, "queue")[0]["position"] == 1
        live.close()
        assert until(page, "start")
