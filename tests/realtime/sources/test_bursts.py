"""Sources that deliver faster than real time.

Live ones lose nothing, and a recording behind a URL is read as a file is.
"""

from __future__ import annotations

import contextlib
import http.server
import itertools
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from microspot.engines.clips import SECOND_NS
from microspot.realtime.records import Frame, Gap, SourceState, SourceWarning
from microspot.realtime.sources.capture.packets import LivePackets
from microspot.realtime.sources.open import SourceOptions, open_source
from tests.rtsp_server import number_image, read_number, write_clip

HZ = 30
SEGMENT_S = 2
# of five segments, or a few more: a transport stream tells the end of a frame by the next
LAST = 295
PATIENT: dict[str, Any] = {"open_s": 30.0, "stall_s": 20.0, "retry_s": 0.1}


class FileServer:
    """Serves the files of a folder over HTTP.

    `log` holds the paths asked for. short: bytes held back of each.
    """

    def __init__(self, folder: Path, short: int = 0) -> None:
        self.log: list[str] = []
        log = self.log

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                log.append(self.path)
                data = (folder / self.path[1:]).read_bytes()
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                with contextlib.suppress(ConnectionError):
                    self.wfile.write(data[: len(data) - short])

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> FileServer:
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


def write_segments(folder: Path, segments: int) -> Path:
    """An HLS recording of numbered frames; returns its playlist."""
    playlist = folder / "all.m3u8"
    options = {"hls_time": str(SEGMENT_S), "hls_list_size": "0"}
    with av.open(str(playlist), "w", format="hls", options=options) as out:
        stream: Any = out.add_stream("libx264", rate=HZ)
        stream.width = 160
        stream.height = 120
        stream.pix_fmt = "yuv420p"
        stream.options = {"tune": "zerolatency", "preset": "ultrafast", "g": str(SEGMENT_S * HZ)}
        stream.codec_context.time_base = Fraction(1, HZ)
        for number in range(segments * SEGMENT_S * HZ):
            frame = av.VideoFrame.from_ndarray(number_image(number), format="bgr24")
            frame.pts = number
            frame.time_base = Fraction(1, HZ)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return playlist


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """clip.mp4, clip.ts: 90 numbered frames; all.m3u8: 5 segments; live.m3u8: more may come."""
    folder = tmp_path_factory.mktemp("http")
    write_clip(folder / "clip.mp4", 90, container={"movflags": "faststart"})
    write_clip(folder / "clip.ts", 90)
    lines = write_segments(folder, 5).read_text().splitlines()
    assert "#EXT-X-ENDLIST" in lines
    (folder / "live.m3u8").write_text(
        "\n".join(line for line in lines if "ENDLIST" not in line) + "\n"
    )
    return folder


def numbers(records: list[Any]) -> list[int]:
    return [read_number(record.image) for record in records if isinstance(record, Frame)]


def slowly(records: Iterator[Any], pause_s: float) -> Iterator[Any]:
    """The records, taken by someone who is busy for a while after the first frame."""
    for record in records:
        yield record
        if isinstance(record, Frame) and pause_s:
            time.sleep(pause_s)
            pause_s = 0


@pytest.mark.parametrize(("name", "count"), [("clip.mp4", 90), ("clip.ts", 90), ("all.m3u8", 300)])
def test_a_recording_behind_a_url_gives_every_frame_once_at_its_own_time(
    folder: Path, name: str, count: int
) -> None:
    options = SourceOptions(**PATIENT, queue_s=0.2, late_s=0.2)
    with (
        FileServer(folder) as server,
        open_source(f"{server.url}/{name}", options=options) as source,
    ):
        assert source.live
        records = list(slowly(iter(source), 1.0))
        assert (source.live, source.pace, source.epoch) == (False, False, 0)
    frames = [record for record in records if isinstance(record, Frame)]
    assert numbers(records) == [frame.index for frame in frames] == list(range(count))
    assert [frame.captured_ns for frame in frames] == pytest.approx(
        [i * SECOND_NS / HZ for i in range(count)], abs=20_000
    )
    assert [r.state for r in records if isinstance(r, SourceState)] == ["connecting", "playing"]
    assert not [record for record in records if isinstance(record, Gap)]
    assert source.drops == {}
    assert server.log.count("/all0.ts") <= 2  # opened once to look and once to read
    assert (
        server.log.count(f"/{name}") <= 3
    )  # a transport stream's duration is looked up at its end


def test_a_pause_in_a_recording_is_as_long_as_it_says(folder: Path) -> None:
    units = [*range(20), *range(170, 190)]
    write_clip(folder / "pause.mp4", 40, pts=units, container={"movflags": "faststart"})
    with (
        FileServer(folder) as server,
        open_source(f"{server.url}/pause.mp4", options=SourceOptions(**PATIENT)) as source,
    ):
        frames = [record for record in source if isinstance(record, Frame)]
    assert [frame.captured_ns for frame in frames] == pytest.approx(
        [unit * SECOND_NS / HZ for unit in units], abs=20_000
    )


def test_a_recording_whose_connection_breaks_says_so_and_is_not_played_again(folder: Path) -> None:
    with FileServer(folder, short=9000) as server:
        with open_source(f"{server.url}/clip.mp4", options=SourceOptions(**PATIENT)) as source:
            records = list(source)
        assert numbers(records) == list(range(len(numbers(records))))
        assert 10 < len(numbers(records)) < 90
        assert server.log.count("/clip.mp4") <= 2
    last = records[-1]
    assert isinstance(last, SourceWarning)
    assert last.kind == "damaged"
    assert "early" in last.detail


def test_a_recording_plays_in_real_time_where_that_is_asked_for(folder: Path) -> None:
    with FileServer(folder) as server:
        with open_source(
            f"{server.url}/clip.mp4", pace=True, options=SourceOptions(**PATIENT)
        ) as source:
            began = time.monotonic()
            assert len(numbers(list(source))) == 90
            assert source.pace
        assert time.monotonic() - began > 2.9


def test_segments_of_a_live_stream_lose_nothing_though_they_come_at_once(folder: Path) -> None:
    """Three segments, 6 s, are ready; the reader is busy for a while, but has them in the end."""
    options = SourceOptions(**PATIENT, queue_s=0.2, queue_bytes=1 << 20)
    with (
        FileServer(folder) as server,
        open_source(f"{server.url}/live.m3u8", options=options) as source,
    ):
        records = []
        for record in slowly(iter(source), 2.0):
            records.append(record)
            if numbers([record]) == [LAST]:
                break
        assert source.live
    frames = [record for record in records if isinstance(record, Frame)]
    assert numbers(records) == list(range(120, LAST + 1))
    assert [b.captured_ns - a.captured_ns for a, b in itertools.pairwise(frames)] == pytest.approx(
        [SECOND_NS / HZ] * (LAST - 120), abs=20_000
    )
    assert source.drops == {}


def test_segments_given_again_after_a_loss_are_not_played_again(folder: Path) -> None:
    lines = (folder / "live.m3u8").read_text().splitlines()
    playlist = folder / "stops.m3u8"
    playlist.write_text("\n".join(lines[: lines.index("all3.ts") - 1]) + "\n")
    options = SourceOptions(**PATIENT, playlist_stall_s=1.0)
    with (
        FileServer(folder) as server,
        open_source(f"{server.url}/stops.m3u8", options=options) as source,
    ):
        records = []
        for record in source:
            records.append(record)
            if isinstance(record, SourceState) and record.state == "lost":
                playlist.write_text("\n".join(lines) + "\n")
            if isinstance(record, Frame) and read_number(record.image) == LAST:
                break
    frames = [record for record in records if isinstance(record, Frame)]
    assert numbers(records) == list(range(LAST + 1))
    assert [frame.captured_ns for frame in frames] == pytest.approx(
        [i * SECOND_NS / HZ for i in range(LAST + 1)], abs=20_000
    )
    told, rest = [record for record in records if isinstance(record, Gap)]
    assert told.start_ns < told.stop_ns == rest.start_ns < rest.stop_ns
    assert rest.stop_ns - told.start_ns == pytest.approx(SECOND_NS / HZ, abs=20_000)
    assert source.drops["repeated"] > 0


class Packet:
    """Frame `number` of a camera with a key frame every second."""

    size = 1000
    time_base = Fraction(1, HZ)

    def __init__(self, number: int) -> None:
        self.pts = number
        self.is_keyframe = number % HZ == 0


def play(
    arrivals: list[float], speed: float, late_s: float = 5.0, limit: int = 10**9
) -> tuple[list[int], float]:
    """Numbers of the packets that get through when packet i arrives at arrivals[i] s and decoding
    one takes 1 / (speed HZ) s, and the longest that one has waited beyond its time (s)."""
    packets = LivePackets(iter(()), int(late_s * SECOND_NS), limit, 0)
    packets.close()
    taken = []
    free_s = 0.0
    worst_s = 0.0

    def work(until_s: float) -> None:
        nonlocal free_s, worst_s
        while packets._queue and max(free_s, packets._queue[0].at_ns / SECOND_NS) < until_s:
            arrived = packets._queue.popleft()
            packets._bytes -= arrived.packet.size
            begins_s = max(free_s, arrived.at_ns / SECOND_NS)
            if begins_s <= arrivals[-1]:  # later, nothing comes that would be more recent
                worst_s = max(worst_s, begins_s - max(arrived.at_ns, arrived.due_ns) / SECOND_NS)
            free_s = begins_s + 1 / (speed * HZ)
            taken.append(arrived.packet.pts)

    for number, at_s in enumerate(arrivals):
        work(at_s)
        packets._add(Packet(number), int(at_s * SECOND_NS))
    work(1e9)
    return taken, worst_s


STEADY = [i / HZ for i in range(60 * HZ)]
SEGMENTS = [max(0, i // (10 * HZ) - 2) * 10.0 for i in range(120 * HZ)]  # 10 s at once, 30 at first
STALLED = [max(at, 14.0) if at > 10 else at for at in STEADY]


@pytest.mark.parametrize(
    "arrivals", [STEADY, SEGMENTS, STALLED], ids=["steady", "segments", "stalled"]
)
@pytest.mark.parametrize("speed", [1.2, 3.0])
def test_who_is_faster_than_the_camera_loses_nothing(arrivals: list[float], speed: float) -> None:
    assert play(arrivals, speed)[0] == list(range(len(arrivals)))


@pytest.mark.parametrize(
    ("arrivals", "worst"), [(STEADY, 5.1), (SEGMENTS, 15.1)], ids=["steady", "segments"]
)
def test_who_is_slower_loses_whole_segments_and_is_never_late_for_long(
    arrivals: list[float], worst: float
) -> None:
    taken, worst_s = play(arrivals, 0.5)
    holes = [(a, b) for a, b in itertools.pairwise(taken) if b != a + 1]
    assert 1 <= len(holes) <= len(arrivals) / HZ / 8  # segments, not a frame here and there
    assert all(after % HZ == 0 for _, after in holes)  # nothing can be decoded but from a key frame
    assert worst_s < worst  # packets of segments come, and are judged, every 10 s
    assert 0.3 < len(taken) / len(arrivals) < 0.7


def test_packets_are_bounded_by_bytes_too() -> None:
    packets = LivePackets(iter(()), 10**12, 100 * Packet.size, 0)
    packets.close()
    for number in range(250):
        packets._add(Packet(number), number)
    waiting = list(packets)
    assert [arrived.packet.pts for arrived in waiting] == list(
        range(240, 250)
    )  # two times a hundred were too many
    assert waiting[0].lost == 240
    assert sum(arrived.lost for arrived in waiting) == 240


def test_an_error_comes_after_the_packets_before_it() -> None:
    def source() -> Iterator[Packet]:
        yield from map(Packet, range(3))
        raise OSError("the line is dead")

    packets = LivePackets(source(), SECOND_NS, 10**9, 0)
    with contextlib.closing(packets):
        got = iter(packets)
        assert [next(got).packet.pts for _ in range(3)] == [0, 1, 2]
        with pytest.raises(OSError, match="dead"):
            next(got)


def test_the_least_delay_of_the_beginning_tells_when_the_first_packet_would_have_come() -> None:
    packets = LivePackets(iter(()), SECOND_NS, 10**9, SECOND_NS // 2)
    packets.close()
    for number, at_s in enumerate(
        [8.0, 8.001, 8.002, 8.02, 8.055, 8.09]
    ):  # three held back while it was probed
        packets._add(Packet(number), int(at_s * SECOND_NS))
    assert packets.undelayed_ns(0, 8 * SECOND_NS) == pytest.approx(
        (8.02 - 3 / HZ) * SECOND_NS, abs=0.01 * SECOND_NS
    )
