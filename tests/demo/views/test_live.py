"""The page's camera as one more source: same frames, same events; a hostile page hurts itself."""

import itertools
import struct
import threading
import time

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

from microspot.demo.limits import Limits
from microspot.demo.views.wire import decode
from microspot.engines.loading import load_engines
from microspot.realtime.errors import EngineError
from microspot.realtime.pipeline import Pipeline
from microspot.realtime.records import Event, Frame
from microspot.realtime.sources.open import open_source
from microspot.realtime.sources.push import PushSource
from tests.clips import write_still
from tests.demo.serving import (
    connect_page,
    drop_connection,
    frame,
    jpeg,
    messages,
    send_json,
    serving,
    until,
    worded,
)
from tests.fakes import engine_set

SECONDS = 4
STEP_US = 33_333


@pytest.fixture(scope="module")
def port():
    with serving(runs=2, refusals=20) as port:
        yield port


@pytest.fixture(scope="module")
def pictures():
    """JPEGs of the start of `sample:synthetic:7`, which holds an event."""
    with open_source("sample:synthetic:7") as source:
        frames = (r.image for r in source if isinstance(r, Frame))
        return [jpeg(image) for image in itertools.islice(frames, SECONDS * 30)]


class Listed(PushSource):
    """Frames that are all there already."""

    def __init__(self, frames):
        super().__init__(frames[0].source)
        self.frames = frames

    def __iter__(self):
        return iter(self.frames)


def whole(pictures):
    """Final events of the same frames through the pipeline at once."""
    frames = [
        Frame("browser", i, i * STEP_US * 1000, decode(memoryview(p), Limits()))
        for i, p in enumerate(pictures)
    ]
    with load_engines() as engines, Pipeline([Listed(frames)], engines) as pipeline:
        return [r for r in pipeline.run() if isinstance(r, Event) and r.status == "final"]


def test_the_page_sees_the_events_of_its_frames(pictures):
    seen = {}
    answered = []
    with serving(load_engines) as port, connect_page(port, "live") as page:
        until(page, "start")
        feed = messages(page)
        for seq, picture in enumerate(pictures):
            page.send(frame(seq, 1_000_000 + seq * STEP_US, picture))
            while seq - len(answered) >= 2:  # two in flight, as the page does it
                message = next(feed)
                answered += [message["seq"]] if message["type"] == "frame" else []
                seen |= {message["id"]: message} if message["type"] == "event" else {}
        send_json(page, type="threshold", value=0.9)  # ends the run, and with it the open segment
        _, before = until(page, "end")
        seen |= {message["id"]: message for message in before if message["type"] == "event"}
    found = [e for e in seen.values() if e["status"] == "final"]
    expected = [e.to_json() for e in whole(pictures)]
    assert expected
    live = {"id": None, "emitted_s": None}  # they depend on when the source began
    assert [event | live for event in found] == [worded(event) | live for event in expected]
    assert answered == sorted(answered)


def test_every_frame_is_answered_in_order_with_what_to_draw(port):
    with connect_page(port, "live") as page:
        start, _ = until(page, "start")
        assert {"grid_hz", "windows_ms", "t_crn", "labels", "low_hz"} <= start.keys()
        page.send(frame(10, 5_000_000))
        page.send(frame(11, 5_000_000 + STEP_US))
        assert until(page, "frame")[0] == {
            "type": "frame",
            "index": 0,
            "ns": 0,
            "faces": [],
            "seq": 10,
        }
        assert until(page, "frame")[0]["ns"] == STEP_US * 1000


def test_frames_out_of_order_are_refused_and_the_rest_goes_on(port):
    with connect_page(port, "live") as page:
        until(page, "start")
        page.send(frame(5, 1_000_000))
        until(page, "frame")
        for seq, at in ((5, 2_000_000), (6, 1_000_000), (6, 900_000)):
            page.send(frame(seq, at))
            assert until(page, "refused")[0]["reason"] == "out of order"
        page.send(frame(6, 1_100_000))
        assert until(page, "frame", seq=6)


HOSTILE = [
    ("not json", "no JSON object"),
    ('{"type": "open", "uri": "/etc/passwd"}', "not known"),
    ('{"type": "threshold", "value": 7}', "expected 0 to 1"),
    ('{"type": "threshold"}', "expected a number"),
    (f'{{"type": "threshold", "value": {"9" * 400}}}', "expected 0 to 1"),
    ("x" * 5000, "at most"),
    (b"short", "expected a head"),
    (frame(1, 1, b"garbage of some length"), "no JPEG"),
    (
        frame(
            1,
            1,
            jpeg()[:2] + b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", 60_000, 60_000) + bytes(20),
        ),
        "at most",
    ),
]


@pytest.mark.parametrize(("data", "words"), HOSTILE)
def test_a_hostile_message_ends_with_words_and_the_server_lives(port, data, words):
    with connect_page(port, "live") as page:
        until(page, "start")
        page.send(data)
        assert words in until(page, "error")[0]["message"]
        with pytest.raises(ConnectionClosed):
            list(messages(page))
    with connect_page(port, "live") as page:
        assert until(page, "start")


def test_an_oversized_message_is_not_even_read(port):
    with connect_page(port, "live") as page:
        until(page, "start")
        head = struct.pack(
            ">BBQ", 0x82, 0xFF, Limits().message_bytes + 1
        )  # binary, masked; the rest never comes
        page.socket.sendall(head + bytes(4))
        with pytest.raises(ConnectionClosed) as closed:
            list(messages(page))
        assert closed.value.rcvd.code == 1009


def test_a_flood_is_refused_and_then_ended(port):
    with connect_page(port, "live") as page:
        until(page, "start")
        for _ in range(1 + 20 + 1):  # one is taken, `refusals` are refused, the next ends it
            page.send(frame(0, 1))
        assert "too many messages" in until(page, "error")[0]["message"]


def test_a_third_page_waits_in_line_and_an_abrupt_end_makes_room(port):
    with connect_page(port, "live") as first, connect_page(port, "live") as second:
        until(first, "start")
        until(second, "start")
        with connect_page(port, "live") as third:
            assert until(third, "queue")[0]["position"] == 1
            drop_connection(second)
            assert until(third, "start")
            first.send(frame(1, 1))
            assert until(first, "frame", seq=1)  # undisturbed


def test_a_new_threshold_starts_a_new_run_that_says_so():
    with serving(threshold_every_s=3600) as port, connect_page(port, "live") as page:
        until(page, "start")
        page.send(frame(1, 1_000_000))
        until(page, "frame")
        send_json(page, type="threshold", value=0.25)
        start, before = until(page, "start")
        assert start["t_crn"] == 0.25
        assert any(m["type"] == "end" for m in before)
        page.send(frame(2, 1_050_000))
        assert until(page, "frame", seq=2)[0]["index"] == 1  # frames are counted on, time goes on
        send_json(page, type="threshold", value=0.3)
        assert until(page, "refused", seq=None)[0]["reason"] == "the threshold changes too often"


def test_a_threshold_before_the_first_frame_is_no_trouble(port):
    with connect_page(port, "live") as page:
        until(page, "start")
        send_json(page, type="threshold", value=0.25)
        start, before = until(page, "start")
        assert start["t_crn"] == 0.25
        assert {m["type"] for m in before} <= {"state", "end"}


def test_a_frame_sent_twice_makes_no_room_for_another():
    ready = threading.Event()
    checked = iter([engine_set()])
    taken = range(1, Limits().max_in_flight + 1)
    with (
        serving(lambda: next(checked, None) or (ready.wait() and engine_set())) as port,
        connect_page(port, "live") as page,
    ):
        try:
            for seq in (*taken, taken[-1], taken[-1] + 1):
                page.send(frame(seq, seq * STEP_US))
            refused = [until(page, "refused")[0]["seq"] for _ in range(2)]
        finally:
            ready.set()
        assert refused == [taken[-1], taken[-1] + 1]
        assert [until(page, "frame")[0]["seq"] for _ in taken] == [*taken]


def test_a_silent_page_gives_its_place_back():
    with serving(idle_s=0.3) as port, connect_page(port, "live") as page:
        assert "nothing came" in until(page, "error")[0]["message"]


def test_a_page_that_waits_in_line_may_be_silent(tmp_path):
    wall = str(write_still(tmp_path / "wall.mp4", 90, 120))
    idle_s = 0.3
    with (
        serving(sources=[wall], runs=1, idle_s=idle_s, linger_s=0.05) as port,
        connect_page(port, "camera?source=0") as holder,
    ):
        until(holder, "start")  # who looks at a camera may be silent: the place stays taken
        with connect_page(port, "live") as page:
            assert until(page, "queue")[0]["position"] == 1
            time.sleep(3 * idle_s)
            holder.close()
            assert until(page, "start")[1] == []


def test_engines_that_do_not_load_are_told_to_the_page():
    broken = iter([engine_set()])

    def load():
        try:
            return next(broken)
        except StopIteration:
            raise EngineError("the weights are gone: install them again") from None

    with serving(load) as port, connect_page(port, "live") as page:
        assert "weights are gone" in until(page, "error")[0]["message"]


def test_a_page_of_another_picture_size_starts_a_new_segment(port):
    with connect_page(port, "live") as page:
        until(page, "start")
        page.send(frame(1, 1_000_000))
        page.send(frame(2, 1_033_000, jpeg(np.zeros((64, 48, 3), np.uint8))))
        assert until(page, "gap")[0]["reason"] == "new size"
        assert until(page, "frame", seq=2)
