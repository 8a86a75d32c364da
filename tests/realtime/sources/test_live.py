"""Live sources against fake cameras, over the network and injected.

Losses, reconnects, and no process, thread or file left behind.
"""

from __future__ import annotations

import http.server
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import cv2
import numpy as np
import pytest

from microspot.engines.clips import SECOND_NS
from microspot.realtime.errors import SourceError
from microspot.realtime.records import (
    DropCause,
    Frame,
    Gap,
    SourceRecord,
    SourceState,
    SourceWarning,
)
from microspot.realtime.sources.address import parse, password_advice
from microspot.realtime.sources.arrival_clock import ArrivalClock
from microspot.realtime.sources.capture import outbox, packets
from microspot.realtime.sources.capture import worker as capture_worker
from microspot.realtime.sources.capture.client import CaptureError
from microspot.realtime.sources.live import LiveSource
from microspot.realtime.sources.open import SourceOptions, open_source
from microspot.realtime.sources.timeouts import ReconnectBackoff, SilenceTimeout
from tests import fake_cameras
from tests.children import children_of
from tests.fake_cameras import HZ, FakeCamera, broken, dead, dropping, dying, hanging, steady
from tests.rtsp_server import RtspServer, number_image, read_number, write_clip

Record = SourceRecord
QUICK: dict[str, Any] = {"open_s": 20.0, "stall_s": 3.0, "retry_s": 0.1, "retry_max_s": 0.3}
IMPATIENT = {**QUICK, "stall_s": 0.6}


def injected(camera: Callable[..., FakeCamera], **options: Any) -> SourceOptions:
    return SourceOptions(
        camera=f"{fake_cameras.__name__}:{camera.__name__}", **{**QUICK, **options}
    )


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    threads = set(threading.enumerate())
    processes = children_of(os.getpid())
    files = len(os.listdir("/proc/self/fd"))
    yield
    assert set(threading.enumerate()) == threads
    assert children_of(os.getpid()) == processes
    assert len(os.listdir("/proc/self/fd")) <= files


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("rtsp") / "clip.mp4", 45)


def states(records: list[Record]) -> list[str]:
    """States and kinds of warnings, in order."""
    told = [r for r in records if isinstance(r, SourceState | SourceWarning)]
    return [r.state if isinstance(r, SourceState) else r.kind for r in told]


def frames(records: list[Record]) -> list[Frame]:
    return [r for r in records if isinstance(r, Frame)]


def until(source: Iterator[Record], stop: Callable[[Record], bool]) -> list[Record]:
    """The records up to and with the first that `stop` accepts."""
    records = []
    for record in source:
        records.append(record)
        if stop(record):
            break
    return records


def assert_covered(records: list[Record], reason: str = "connection lost") -> None:
    """Two gaps for each outage, none empty, from the last frame before it to the first after it."""
    gaps = [r for r in records if isinstance(r, Gap)]
    frames_at = [r.captured_ns for r in records if isinstance(r, Frame)]
    assert gaps
    assert len(gaps) % 2 == 0
    for told, rest in zip(gaps[::2], gaps[1::2], strict=True):
        assert (told.face, told.reason, rest.reason) == (None, reason, reason)
        assert told.start_ns < told.stop_ns == rest.start_ns < rest.stop_ns
        before = max(at for at in frames_at if at < told.stop_ns)
        after = min(at for at in frames_at if at > told.stop_ns)
        assert (told.start_ns, rest.stop_ns) == (before, after)


def is_state(name: str) -> Callable[[Record], bool]:
    return lambda record: states([record]) == [name]


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


def test_camera_that_does_not_exist_is_an_error() -> None:
    with (
        open_source("97") as source,
        pytest.raises(SourceError, match="camera 97 cannot be opened"),
    ):
        list(source)


def test_camera_gives_its_frames_in_time() -> None:
    with open_source("0", fps=HZ, size=(64, 48), options=injected(steady)) as source:
        records = until(iter(source), lambda r: isinstance(r, Frame) and r.index == 60)
    assert [read_number(f.image) for f in frames(records)] == list(range(61))
    seconds = frames(records)[-1].captured_ns / 1e9
    assert 0.55 < seconds < 1.5
    assert states(records) == ["connecting", "live", "picture size"]
    assert "asked for 64x48, the camera gives 40x30" in next(
        r.detail for r in records if is_state("picture size")(r)
    )  # type: ignore[union-attr]


def test_failed_reads_are_counted_and_are_no_frames() -> None:
    with open_source("0", options=injected(dropping)) as source:
        records = until(iter(source), lambda r: isinstance(r, Frame) and r.index == 30)
    assert [read_number(f.image) for f in frames(records)] == list(range(31))
    assert states(records) == ["connecting", "live"]
    assert 14 <= source.drops["unread"] <= 16


@pytest.mark.parametrize(
    ("camera", "why"), [(dying, "stopped giving frames"), (hanging, "no frame for 0.6 s")]
)
def test_camera_that_fails_later_is_lost_and_reopened(
    camera: Callable[..., FakeCamera], why: str
) -> None:
    with open_source("0", options=injected(camera, stall_s=0.6)) as source:
        records = until(iter(source), lambda r: isinstance(r, Frame) and r.index == 25)
    assert states(records) == ["connecting", "live", "lost", "connecting", "live"]
    lost = next(r for r in records if is_state("lost")(r))
    assert isinstance(lost, SourceState)
    assert why in lost.detail
    assert [read_number(f.image) for f in frames(records)] == [*range(20), *range(6)]


@pytest.mark.parametrize(
    ("camera", "why"), [(dead, "stopped giving frames"), (broken, "no such device in this test")]
)
def test_camera_that_fails_at_first_is_an_error(
    camera: Callable[..., FakeCamera], why: str
) -> None:
    with (
        open_source("0", options=injected(camera)) as source,
        pytest.raises(SourceError, match=why),
    ):
        list(source)


def test_overload_drops_one_whole_segment_and_says_so() -> None:
    options = injected(steady, queue_s=0.08)
    with open_source("0", options=options) as source:
        stream = iter(source)
        until(stream, lambda r: isinstance(r, Frame) and r.index == 5)
        time.sleep(1.5)  # 150 frames; the queue and the pipe hold about 25
        *early, gap = until(stream, lambda r: isinstance(r, Gap))
        late = frames(list(itertools.islice(stream, 30)))
    before = [f.index for f in frames(early)]
    after = [f.index for f in late]
    assert before == list(range(6, 6 + len(before)))
    assert after == list(range(after[0], after[0] + 30))
    lost = after[0] - before[-1] - 1
    assert lost > 50
    assert source.drops == {"overload": lost}
    assert gap == Gap("0", None, frames(early)[-1].captured_ns, late[0].captured_ns, "overload")
    assert "lost" not in states(early)


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


def test_close_from_another_thread_ends_the_iteration() -> None:
    source = open_source("0", options=injected(hanging, stall_s=60))
    timer = threading.Timer(1.5, source.close)
    began = time.monotonic()
    timer.start()
    records = list(source)
    timer.join()
    assert time.monotonic() - began < 8
    assert states(records)[0] == "connecting"
    assert list(source) == []


def test_abandoned_iteration_ends_the_worker() -> None:
    source = open_source("0", options=injected(steady))
    stream = iter(source)
    until(stream, lambda r: isinstance(r, Frame))
    assert children_of(os.getpid())
    del stream
    source.close()


def test_killed_worker_is_replaced() -> None:
    before = children_of(os.getpid())
    with open_source("0", options=injected(steady)) as source:
        stream = iter(source)
        until(stream, lambda r: isinstance(r, Frame))
        (worker,) = children_of(os.getpid()) - before
        os.kill(int(worker), signal.SIGKILL)
        records = until(stream, is_state("live"))
    assert states(records) == ["lost", "connecting", "live"]


def test_worker_leaves_when_its_parent_is_gone() -> None:
    config = {
        "kind": "camera",
        "target": "0",
        "fps": None,
        "size": None,
        "camera": f"{fake_cameras.__name__}:hanging",
        "unread_frames": 5,
        "queue_ns": 10**9,
        "queue_bytes": 1 << 20,
        "path": sys.path,
        "package": "microspot.realtime.sources.capture",
    }
    worker = subprocess.Popen(
        [sys.executable, "-P", capture_worker.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    assert worker.stdin
    with worker, worker.stdin as pipe:
        pipe.write(json.dumps(config).encode() + b"\n")
        pipe.flush()
        time.sleep(0.5)
        assert worker.poll() is None
        pipe.close()
        assert worker.wait(10) == 0


def test_low_rate_of_a_camera_is_warned_of() -> None:
    with open_source("0", options=injected(steady, low_hz=200.0, rate_window_s=0.2)) as source:
        records = until(iter(source), is_state("rate"))
    assert "frames/s measured" in records[-1].detail  # type: ignore[union-attr]


def test_pauses_grow_up_to_a_limit_and_start_anew_after_a_stable_connection() -> None:
    options = SourceOptions(
        retry_s=1, retry_growth=2, retry_max_s=30, retry_jitter=0.25, retry_lively_s=3
    )
    backoff = ReconnectBackoff(options)
    for lived_s, most in (
        (25, 1),
        (1, 3),
    ):  # stable, if shorter than the last pause; and a second, which is not
        for full in (1, 2, 4, 8, 16, 30, 30):
            assert 0.75 * full <= backoff.pause_s(None) <= full
        assert backoff.pause_s(lived_s) <= most
        backoff = ReconnectBackoff(options)


def test_pauses_add_about_a_quarter_to_an_outage() -> None:
    backoff = ReconnectBackoff(SourceOptions(retry_jitter=1e-9))
    waited = [0.0]
    while waited[-1] < 300:
        waited.append(waited[-1] + backoff.pause_s(None))
    added = [after / before for before, after in itertools.pairwise(waited) if before > 5]
    assert max(added) < 1.35
    assert len(waited) < 40


STEP = SECOND_NS // 30


def test_camera_time_is_kept_whatever_arrival_does() -> None:
    clock = ArrivalClock()
    rng = np.random.default_rng(1)
    delays = rng.integers(1_000_000, 60_000_000, 600)
    placed = [
        clock.place(5 * SECOND_NS + i * STEP, 77 * SECOND_NS + i * STEP + int(d))
        for i, d in enumerate(delays)
    ]
    assert np.abs(np.diff([host for host, _ in placed]) - STEP).max() <= 0.0051 * STEP
    assert not any(jumped for _, jumped in placed)


def test_drift_of_the_camera_clock_is_followed() -> None:
    clock = ArrivalClock()
    late = []
    for i in range(30 * 600):  # ten minutes; the camera's second is 200 ppm short: 120 ms in all
        at = i * STEP + 5_000_000 + (i * 7919 % 13) * 1_000_000
        host, _ = clock.place(i * STEP * 9998 // 10_000, at)
        late.append(at - host)
    assert max(late) - min(late) < 30_000_000


@pytest.mark.parametrize("jump", [-3 * SECOND_NS, 40 * SECOND_NS])
def test_jump_of_the_camera_clock_is_told(jump: int) -> None:
    clock = ArrivalClock()
    placed = [
        clock.place(9 * SECOND_NS + i * STEP + jump * (i >= 50), 80 * SECOND_NS + i * STEP)
        for i in range(100)
    ]
    assert [i for i, (_, jumped) in enumerate(placed) if jumped] == [50]
    assert min(np.diff([host for host, _ in placed])) > 0
    assert placed[-1][0] - placed[0][0] <= 99 * STEP + 2


def test_repeated_times_stay_repeated_and_reconnects_stay_behind_the_floor() -> None:
    clock = ArrivalClock()
    hosts = [
        clock.place(pts, at)[0]
        for pts, at in ((SECOND_NS, 10), (SECOND_NS, 20), (SECOND_NS + STEP, 30), (SECOND_NS, 40))
    ]
    assert hosts[1] <= hosts[0] < hosts[2]
    assert hosts[3] <= hosts[2]
    later = ArrivalClock(after_ns=1000)
    assert later.place(None, 950)[0] == 1001


def test_frames_older_than_the_floor_keep_their_time_unless_it_is_absurd() -> None:
    held = ArrivalClock(after_ns=100 * SECOND_NS)
    assert [held.place(i * SECOND_NS, 98 * SECOND_NS)[0] for i in range(5)] == [
        98 * SECOND_NS,
        99 * SECOND_NS,
        100 * SECOND_NS,
        101 * SECOND_NS,
        102 * SECOND_NS,
    ]
    assert ArrivalClock(after_ns=100 * SECOND_NS).place(0, 50 * SECOND_NS)[0] == 100 * SECOND_NS + 1


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


def test_the_worker_spells_its_constants_as_the_rest_does() -> None:
    """It must stay light, and so loads neither `records` nor `clips`."""
    assert packets.SECOND_NS == SECOND_NS
    assert outbox.OVERLOAD == DropCause.OVERLOAD
    causes = (capture_worker.OVERLOAD, capture_worker.UNREAD, capture_worker.DAMAGED)
    assert causes == (DropCause.OVERLOAD, DropCause.UNREAD, DropCause.DAMAGED)


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


def test_live_source_has_a_start_and_a_type() -> None:
    with open_source("0") as source:
        assert isinstance(source, LiveSource)
        assert source.started_utc
        assert source.started_utc.endswith("+00:00")


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
