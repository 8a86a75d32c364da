"""Live streams, from a fake camera over the network.

Losses, reconnects, and no process, thread or file left behind.
"""

from __future__ import annotations

import http.server
import itertools
import socket
import threading
import time
from fractions import Fraction
from pathlib import Path

import av
import av.error
import cv2
import numpy as np
import pytest

from microspot.engines.clips import SECOND_NS
from microspot.realtime.errors import SourceError
from microspot.realtime.records import (
    Frame,
    Gap,
    SourceState,
)
from microspot.realtime.sources.address import parse, password_advice
from microspot.realtime.sources.arrival_clock import ArrivalClock
from microspot.realtime.sources.capture import worker as capture_worker
from microspot.realtime.sources.capture.client import CaptureError
from microspot.realtime.sources.live import LiveSource
from microspot.realtime.sources.open import SourceOptions, open_source
from microspot.realtime.sources.timeouts import SilenceTimeout
from tests.realtime.sources.live_helpers import (
    QUICK,
    Record,
    assert_covered,
    frames,
    is_state,
    states,
    until,
)
from tests.rtsp_server import RtspServer, number_image, read_number

pytestmark = pytest.mark.usefixtures("nothing_left_behind")
IMPATIENT = {**QUICK, "stall_s": 0.6}


def test_rtsp_gives_every_frame_then_loses_and_finds_the_camera_again(clip: Path) -> None:
    with (
        RtspServer(clip) as server,
        open_source(server.url, options=SourceOptions(**QUICK)) as source,
    ):
        assert (source.live, source.epoch) == (True, 0)
        stream = iter(source)
        first = until(stream, lambda r: isinstance(r, Gap))
        epoch = source.epoch
        again = until(stream, lambda r: isinstance(r, Frame) and read_number(r.image) == 9)
    assert states(first) == ["connecting", "live", "lost"]
    got = frames(first)
    assert [read_number(f.image) for f in got] == [f.index for f in got] == list(range(45))
    assert [f.captured_ns for f in got] == [i * 10**9 // 30 for i in range(45)]
    gap = first[-1]
    assert isinstance(gap, Gap)
    assert (gap.face, gap.start_ns, gap.reason) == (None, got[-1].captured_ns, "connection lost")
    assert states(again) == ["connecting", "live"]
    assert [read_number(f.image) for f in frames(again)] == list(range(10))
    assert [f.index for f in frames(again)] == list(range(45, 55))
    assert frames(again)[0].captured_ns > gap.stop_ns
    assert 0 < epoch < source.epoch
    assert source.drops == {}


def test_killed_server_is_retried_until_it_is_back(clip: Path) -> None:
    with (
        RtspServer(clip, loop=True) as server,
        open_source(server.url, options=SourceOptions(**QUICK)) as source,
    ):
        stream = iter(source)
        records = until(stream, lambda r: isinstance(r, Frame) and r.index == 9)
        server.stop()
        records += until(stream, is_state("lost"))
        records += until(
            itertools.islice(stream, 4), lambda r: False
        )  # the gap, and attempts that fail
        server.start()
        records += until(stream, lambda r: isinstance(r, Frame))
    names = states(records)
    assert names[:3] == ["connecting", "live", "lost"]
    assert names[3:-1] == ["connecting"] * (len(names) - 4)
    assert names[-1] == "live"
    times = [f.captured_ns for f in frames(records)]
    assert all(a < b for a, b in itertools.pairwise(times))
    assert_covered(records)


def test_stalled_server_is_noticed_in_time(clip: Path) -> None:
    with (
        RtspServer(clip, loop=True) as server,
        open_source(server.url, options=SourceOptions(**IMPATIENT)) as source,
    ):
        stream = iter(source)
        until(stream, lambda r: isinstance(r, Frame) and r.index == 9)
        server.stall()
        began = time.monotonic()
        records = until(stream, is_state("lost"))
        assert 0.4 < time.monotonic() - began < 3
        assert "0.6 s" in records[-1].detail or "timed out" in records[-1].detail.lower()  # type: ignore[union-attr]
        server.resume()
        assert states(until(stream, is_state("live")))[-1] == "live"


def test_ffmpeg_s_word_for_its_own_time_out_is_not_passed_on() -> None:
    assert (
        capture_worker._explanation(av.error.ExitError(1414092869, "Immediate exit requested"))
        == "the stream timed out"
    )
    assert (
        capture_worker._explanation(OSError("the stream carries no video"))
        == "the stream carries no video"
    )
    assert capture_worker._explanation(ValueError()) == "ValueError"


def test_dead_server_is_an_error_without_credentials() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    shown = rf"rtsp://\*\*\*@127.0.0.1:{port}/x: .*refused"
    with (
        open_source(
            f"rtsp://me:secret@127.0.0.1:{port}/x", options=SourceOptions(**QUICK)
        ) as source,
        pytest.raises(SourceError, match=shown) as caught,
    ):
        list(source)
    assert "secret" not in str(caught.value)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_mute_server_is_an_error_within_the_time_out(scheme: str) -> None:
    options = SourceOptions(**{**QUICK, "open_s": 0.7})
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"{scheme}://127.0.0.1:{mute.getsockname()[1]}/x"
        began = time.monotonic()
        with open_source(url, options=options) as source, pytest.raises(SourceError):
            list(source)
        assert time.monotonic() - began < 6


def test_motion_jpeg_over_http_is_timed_by_arrival() -> None:
    class Camera(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace;boundary=frame")
            self.end_headers()
            began = time.monotonic()
            for number in range(80):
                time.sleep(max(0.0, began + number / 50 - time.monotonic()))
                coded = cv2.imencode(".jpg", number_image(number))[1].tobytes()
                head = (
                    f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(coded)}\r\n\r\n"
                )
                self.wfile.write(head.encode() + coded + b"\r\n")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Camera) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with open_source(
            f"http://127.0.0.1:{server.server_port}/", options=SourceOptions(**QUICK)
        ) as source:
            records = until(iter(source), is_state("lost"))
        thread.join()
    got = frames(records)
    assert [read_number(f.image) for f in got] == list(range(80))
    assert np.median(np.diff([f.captured_ns for f in got[40:]])) == pytest.approx(20e6, rel=0.2)


def test_wait_keeps_trying(clip: Path) -> None:
    server = RtspServer(clip)
    with server:
        pass
    with open_source(server.url, wait=True, options=SourceOptions(**QUICK)) as source:
        stream = iter(source)
        assert states(list(itertools.islice(stream, 2))) == ["connecting", "connecting"]
        with server:
            assert isinstance(until(stream, lambda r: isinstance(r, Frame))[-1], Frame)


def test_overload_of_a_stream_drops_what_waits_up_to_a_key_frame(clip: Path) -> None:
    options = SourceOptions(**QUICK, queue_s=0.1, late_s=0.5, settle_s=0.2)
    with RtspServer(clip, loop=True) as server, open_source(server.url, options=options) as source:
        stream = iter(source)
        until(stream, lambda r: isinstance(r, Frame) and r.index == 5)
        time.sleep(2.5)  # the pipe, the queue and half a second hold less
        *early, gap = until(stream, lambda r: isinstance(r, Gap))
        late = frames(list(itertools.islice(stream, 20)))
        assert server.plays == 1
    last = frames(early)[-1]
    first = late[0]
    assert [read_number(f.image) for f in frames(early) + late] == [
        f.index % 45 for f in frames(early) + late
    ]
    assert [f.index for f in frames(early)] == list(range(6, last.index + 1))
    assert first.index % 15 == 0  # a key frame
    assert source.drops == {"overload": first.index - last.index - 1}
    assert gap == Gap(source.name, None, last.captured_ns, first.captured_ns, "overload")


def waiting(records: list[Record]) -> list[str]:
    return [r.detail for r in records if isinstance(r, SourceState) and "key frame" in r.detail]


def test_packets_before_the_first_key_frame_are_life_and_no_damage(clip: Path) -> None:
    options = SourceOptions(**{**QUICK, "open_s": 20.0, "stall_s": 1.5})
    with (
        RtspServer(clip, loop=True, keyless_s=2.2) as server,
        open_source(server.url, options=options) as source,
    ):
        records = until(iter(source), lambda r: isinstance(r, Frame) and r.index == 5)
        assert server.plays == 1
    assert waiting(records) == ["packets come, but no key frame yet"]
    assert states(records) == ["connecting", "connecting", "live"]
    assert [read_number(f.image) % 15 for f in frames(records)] == list(range(6))
    assert source.drops == {}


def test_what_cannot_be_decoded_is_damage_only_after_the_first_picture(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = av.VideoFrame.from_ndarray(number_image(1), format="bgr24")
    frame.pts = 0
    frame.time_base = Fraction(1, 30)
    outcomes = [([], 0, "damaged"), ([frame], 0, ""), ([], 0, "damaged"), ([], 0, "")]
    monkeypatch.setattr(capture_worker, "_decoded", lambda packets, codec: outcomes)
    config = {
        "rtsp_transport": "tcp",
        "open_s": 20,
        "max_pixels": 10**6,
        "package": "microspot.realtime.sources.capture",
        "late_ns": 10**9,
        "settle_ns": 10**8,
        "packet_bytes": 10**6,
    }
    with RtspServer(clip) as server:
        grabs = list(capture_worker.stream(config | {"target": server.url}, lambda _: None))
    assert [(grab.image is not None, grab.cause) for grab in grabs] == [
        (False, ""),
        (True, ""),
        (False, "damaged"),
        (False, ""),
    ]


def test_no_key_frame_at_all_is_told_in_the_end(clip: Path) -> None:
    options = SourceOptions(**QUICK, picture_s=2.0)
    with (
        RtspServer(clip, loop=True, keyless_s=60) as server,
        open_source(server.url, options=options) as source,
        pytest.raises(SourceError, match="packets come, but no key frame within 2 s"),
    ):
        list(source)


@pytest.mark.parametrize(
    ("asked", "served"), [("auto", ["TCP", "UDP"]), ("udp", ["UDP"]), ("tcp", ["TCP"])]
)
def test_a_server_that_refuses_tcp_is_read_over_udp_unless_tcp_was_asked_for(
    clip: Path, asked: str, served: list[str]
) -> None:
    options = SourceOptions(**QUICK, rtsp_transport=asked)
    with (
        RtspServer(clip, loop=True, refuse_tcp=True) as server,
        open_source(server.url, options=options) as source,
    ):
        if asked == "tcp":
            with pytest.raises(SourceError, match=r"refuses RTSP over TCP.*--rtsp-transport"):
                list(source)
        else:
            records = until(iter(source), lambda r: isinstance(r, Frame) and r.index == 50)
            assert [read_number(f.image) for f in frames(records)] == [i % 45 for i in range(51)]
        assert ["TCP" if "TCP" in t else "UDP" for t in server.transports] == served


def test_tcp_is_taken_where_both_are_served(clip: Path) -> None:
    with (
        RtspServer(clip, loop=True) as server,
        open_source(server.url, options=SourceOptions(**QUICK)) as source,
    ):
        until(iter(source), lambda r: isinstance(r, Frame))
        assert ["TCP" in transport for transport in server.transports] == [True]


@pytest.mark.parametrize(
    ("password", "failure", "advised"),
    [
        ("pa/ss", "no address", True),
        ("p%2Fss", "no address", False),
        ("p%2Fss", "401 Unauthorized", True),
        ("pass", "401 Unauthorized", False),
        ("p@ss", "401 Unauthorized", True),
        ("a#b", "no address", True),
    ],
)
def test_reserved_characters_of_a_password_are_hinted_at(
    password: str, failure: str, advised: bool
) -> None:
    advice = password_advice(f"rtsp://me:{password}@10.0.0.9:554/live", failure)
    assert ("%2F" in advice) == advised
    assert password_advice("rtsp://10.0.0.9/a@b", "401 Unauthorized") == ""


def test_the_hint_reaches_the_one_line_error_without_the_password() -> None:
    with (
        open_source("rtsp://me:sec/ret@127.0.0.1:1/x", options=SourceOptions(**QUICK)) as source,
        pytest.raises(SourceError, match="percent-encoded") as caught,
    ):
        list(source)
    assert "sec" not in str(caught.value).replace("second", "")
    assert "ret@" not in str(caught.value)


def test_a_reconnect_tells_the_camera_s_own_time(clip: Path) -> None:
    """The camera sends all since its last key frame at once: half a second on average."""
    with (
        RtspServer(clip, born=time.monotonic(), cached=True) as server,
        open_source(server.url, options=SourceOptions(**QUICK, settle_s=0.5)) as source,
    ):
        stream = iter(source)
        records = list[Record]()
        for turn in range(3):
            records += until(
                stream,
                lambda r, turn=turn: isinstance(r, Frame) and r.captured_ns > turn * 3 * SECOND_NS,
            )
            server.drop()
            records += until(stream, is_state("live"))
        records += until(stream, lambda r: isinstance(r, Frame))
    assert_covered(records)
    first, *rest = frames(records)
    for frame in rest:
        moved = (read_number(frame.image) - read_number(first.image)) * SECOND_NS / 30
        turns = round((frame.captured_ns - moved) / (45 * SECOND_NS / 30))
        assert frame.captured_ns == pytest.approx(
            moved + turns * 45 * SECOND_NS / 30, abs=SECOND_NS / 30
        )


def test_a_live_stream_that_has_become_a_recording_is_over():
    """The playlist got its end: what is in it was seen, on another clock than a recording's."""
    source = LiveSource(parse("http://h/live.m3u8"), SourceOptions())
    source._zero_ns = 8_000 * SECOND_NS
    with pytest.raises(CaptureError, match="the broadcast is over"):
        source._opened({"playlist": True, "recording_s": 30.0}, SilenceTimeout(SourceOptions()))
    assert source._broadcast_over
    assert source.live


def test_a_recording_behind_a_url_without_times_is_refused():
    source = LiveSource(parse("http://h/raw.h264"), SourceOptions())
    source._opened({"playlist": False, "recording_s": 0.0}, SilenceTimeout(SourceOptions()))
    header = {"pts_ns": None, "at_ns": 1, "missing": {}, "index": 0}
    with pytest.raises(SourceError, match="carries no times"):
        list(source._timed(header, np.zeros((8, 8, 3), np.uint8), ArrivalClock(0)))
