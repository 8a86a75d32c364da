"""Live cameras, in the capture worker: losses, reconnects, overload, and nothing left behind."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from microspot.engines.clips import SECOND_NS
from microspot.realtime.errors import SourceError
from microspot.realtime.records import (
    DropCause,
    Frame,
    Gap,
    SourceState,
)
from microspot.realtime.sources.capture import outbox, packets
from microspot.realtime.sources.capture import worker as capture_worker
from microspot.realtime.sources.live import LiveSource
from microspot.realtime.sources.open import open_source
from tests import fake_cameras
from tests.children import TOLD, children_of
from tests.fake_cameras import HZ, FakeCamera, broken, dead, dropping, dying, hanging, steady
from tests.realtime.sources.live_helpers import (
    QUICK,
    frames,
    injected,
    is_state,
    states,
    until,
)
from tests.rtsp_server import read_number

pytestmark = pytest.mark.usefixtures("nothing_left_behind")
IMPATIENT = {**QUICK, "stall_s": 0.6}


def test_camera_that_does_not_exist_is_an_error() -> None:
    with (
        open_source("97") as source,
        pytest.raises(SourceError, match="camera 97 cannot be opened"),
    ):
        list(source)


def test_camera_gives_its_frames_in_time() -> None:
    began_ns = time.monotonic_ns()
    with open_source("0", fps=HZ, size=(64, 48), options=injected(steady)) as source:
        records = until(iter(source), lambda r: isinstance(r, Frame) and r.index == 60)
    taken_ns = [frame.host_ns or 0 for frame in frames(records)]
    assert began_ns < taken_ns[0] < taken_ns[-1] < time.monotonic_ns()
    zeros = {at - frame.captured_ns for at, frame in zip(taken_ns, frames(records), strict=True)}
    assert len(zeros) == 1
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


@pytest.mark.skipif(not TOLD, reason="the system does not tell the children of a process")
def test_abandoned_iteration_ends_the_worker() -> None:
    source = open_source("0", options=injected(steady))
    stream = iter(source)
    until(stream, lambda r: isinstance(r, Frame))
    assert children_of(os.getpid())
    del stream
    source.close()


@pytest.mark.skipif(not TOLD, reason="the system does not tell the children of a process")
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


def test_the_worker_s_own_constants_equal_those_of_the_package() -> None:
    """It must stay light, and so loads neither `records` nor `clips`."""
    assert packets.SECOND_NS == SECOND_NS
    assert outbox.OVERLOAD == DropCause.OVERLOAD
    causes = (capture_worker.OVERLOAD, capture_worker.UNREAD, capture_worker.DAMAGED)
    assert causes == (DropCause.OVERLOAD, DropCause.UNREAD, DropCause.DAMAGED)


def test_live_source_has_a_start_and_a_type() -> None:
    with open_source("0") as source:
        assert isinstance(source, LiveSource)
        assert source.started_utc
        assert source.started_utc.endswith("+00:00")
