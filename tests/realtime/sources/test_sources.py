"""Recorded sources: exact times, every frame, and files that are not what they seem."""

from __future__ import annotations

import http.server
import struct
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from microspot.realtime.errors import SourceError, UsageError
from microspot.realtime.records import Frame, SourceState, SourceWarning, WarningKind
from microspot.realtime.sources.address import parse, redact
from microspot.realtime.sources.images.image_headers import image_size
from microspot.realtime.sources.open import SourceOptions, open_source, open_sources
from microspot.realtime.sources.synthetic_clip import SyntheticClip
from tests.rtsp_server import number_image, read_number, write_clip

FAST_START = {"movflags": "faststart"}


def read(uri: object, **options: object) -> tuple[list[Frame], list[SourceState | SourceWarning]]:
    with open_source(str(uri), **options) as source:  # type: ignore[arg-type]
        records = list(source)
    return [r for r in records if isinstance(r, Frame)], [
        r for r in records if isinstance(r, SourceState | SourceWarning)
    ]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_times_of_a_variable_rate_file_are_its_own(tmp_path: Path, name: str) -> None:
    steps = [0, 3000, 3001, 5999, 1500, 9000] + [2970 + 7 * i for i in range(40)]
    pts = np.cumsum(steps).tolist()
    path = write_clip(tmp_path / name, len(pts), pts=pts, time_base=Fraction(1, 90_000))
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        stamps = [frame.pts for frame in file.decode(stream)]
        expected = [int(Fraction(p - stamps[0]) * stream.time_base * 10**9) for p in stamps]
    frames, reports = read(path)
    assert [f.captured_ns for f in frames] == expected
    assert name == "a.mkv" or expected == [
        p * 10**9 // 90_000 for p in pts
    ]  # mkv keeps milliseconds only
    assert (
        [f.index for f in frames] == [read_number(f.image) for f in frames] == list(range(len(pts)))
    )
    assert reports == []


def test_declared_rate_is_shown_and_not_used(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "slow.mp4", 30, pts=range(0, 240, 8), time_base=Fraction(1, 240))
    with open_source(str(path)) as source:
        assert (source.live, source.epoch, source.started_utc) == (False, 0, None)
        assert source.rate_hz == pytest.approx(30, abs=0.5)
        assert [r.captured_ns for r in source if isinstance(r, Frame)] == [
            i * 10**9 // 30 for i in range(30)
        ]


def test_truncated_file_gives_what_it_has_and_says_so(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mp4", 90, container=FAST_START).read_bytes()
    for share, name in ((0.7, "cut.mp4"), (0.95, "late.mp4")):
        (tmp_path / name).write_bytes(whole[: int(len(whole) * share)])
        frames, reports = read(tmp_path / name)
        assert 20 < len(frames) < 90
        assert [read_number(f.image) for f in frames] == list(range(len(frames)))
        assert [s.kind for s in reports] == ["damaged"]
        assert "early" in reports[0].detail or "could not be decoded" in reports[0].detail


def test_damaged_frames_are_skipped_counted_and_keep_their_number(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "bad.mp4", 60, container=FAST_START)
    with av.open(str(path)) as file:
        places = [(p.pos, p.size) for p in file.demux(video=0) if p.size]
    data = bytearray(path.read_bytes())
    at, size = places[30]  # a key frame: nothing before it is touched, and the next comes at 45
    data[at + 5 : at + size] = bytes(size - 5)
    path.write_bytes(data)
    with open_source(str(path)) as source:
        records = list(source)
    frames = [r for r in records if isinstance(r, Frame)]
    lost = 60 - len(frames)
    assert 0 < lost <= 15
    assert source.drops == {"damaged": lost}
    assert all(
        read_number(f.image) == f.index and f.captured_ns == f.index * 10**9 // 30 for f in frames
    )
    assert records[-1] == SourceWarning(
        "bad.mp4", WarningKind.DAMAGED, f"{lost} frames could not be decoded and were skipped"
    )


def test_quarter_turn_in_the_metadata_is_undone(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "turned.mp4", 5)
    data = path.read_bytes()
    at = data.index(b"tkhd") + 4 + 40
    path.write_bytes(
        data[:at] + struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30) + data[at + 36 :]
    )
    frames, _ = read(path)
    assert frames[0].image.shape == (160, 120, 3)
    assert [read_number(np.rot90(f.image)) for f in frames] == list(range(5))


REFUSED = {
    "missing": (None, "no such file"),
    "zero bytes": (b"", "not a video"),
    "text": (b"hello\n" * 500, "not a video"),
    "concat script": (b"ffconcat version 1.0\nfile other.mp4\n", "not a video"),
    "header only": (b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom", "not a video"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_video_is_refused_by_name(tmp_path: Path, case: str) -> None:
    content, why = REFUSED[case]
    path = tmp_path / "thing.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=why) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert caught.value.exit_code == 3


@pytest.fixture
def hits() -> Iterator[tuple[str, list[str]]]:
    """A web server and the list of what was asked of it."""
    asked: list[str] = []

    class Note(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Note) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("name", ["list.mp4", "list.m3u8", "list.mpd"])
def test_playlist_opens_nothing_else(
    tmp_path: Path, name: str, hits: tuple[str, list[str]]
) -> None:
    url, asked = hits
    clip = write_clip(tmp_path / "clip.ts", 5)
    entries = f"#EXTINF:2,\n{url}/x.ts\n#EXTINF:2,\n{clip}\n#EXTINF:2,\n{clip.name}\n"
    (tmp_path / name).write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n{entries}#EXT-X-ENDLIST\n")
    with pytest.raises(SourceError, match=r"not a video"):
        read(tmp_path / name)
    assert asked == []


def test_sound_without_picture_has_no_frame(tmp_path: Path) -> None:
    path = tmp_path / "voice.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=16_000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        sound.sample_rate = 16_000
        out.mux(stream.encode(sound))
        out.mux(stream.encode(None))
    with pytest.raises(SourceError, match="no frame"):
        read(path)


@pytest.mark.parametrize(
    ("limits", "why"),
    [({"max_pixels": 160 * 120 - 1}, "160x120"), ({"max_seconds": 0.5}, "1 s long")],
)
def test_sizes_and_lengths_are_bounded_before_decoding(
    tmp_path: Path, limits: dict[str, float], why: str
) -> None:
    path = write_clip(tmp_path / "big.mp4", 30)
    with pytest.raises(SourceError, match=why):
        open_source(str(path), options=SourceOptions(**limits))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="max_pixels"):
        SourceOptions(max_pixels=0)


@pytest.mark.parametrize(
    ("hz", "frames", "warned"), [(15, 45, True), (15, 12, True), (25, 60, False), (15, 3, False)]
)
def test_low_rate_is_warned_of_once(tmp_path: Path, hz: int, frames: int, warned: bool) -> None:
    path = write_clip(tmp_path / "rate.mp4", frames, time_base=Fraction(1, hz))
    _, reports = read(path)
    assert [s.kind for s in reports] == (["rate"] if warned else [])
    assert not warned or ("15 frames/s" in reports[0].detail and "below 20 Hz" in reports[0].detail)


def test_warning_comes_when_enough_is_seen(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "rate.mp4", 90, time_base=Fraction(1, 10))
    with open_source(str(path)) as source:
        records = list(source)
    place = next(i for i, r in enumerate(records) if isinstance(r, SourceWarning))
    assert isinstance(records[place - 1], Frame)
    assert records[place - 1].captured_ns == 2_000_000_000


def test_pace_plays_in_real_time_and_close_interrupts_it(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "paced.mp4", 20, time_base=Fraction(1, 40))
    began = time.monotonic()
    frames, _ = read(path, pace=True)
    assert 0.45 < time.monotonic() - began < 2
    assert len(frames) == 20
    slow = write_clip(tmp_path / "slow.mp4", 3, time_base=Fraction(1, 1), pts=[0, 60, 120])
    with open_source(str(slow), pace=True) as source:
        began = time.monotonic()
        timer = threading.Timer(0.2, source.close)
        timer.start()
        assert len([r for r in source if isinstance(r, Frame)]) <= 2
        timer.join()
    assert time.monotonic() - began < 5


def test_folder_is_read_in_natural_order_at_the_given_rate(tmp_path: Path) -> None:
    for number in (0, 1, 2, 9, 10, 11, 100):
        cv2.imwrite(
            str(tmp_path / f"img{number}.{'bmp' if number % 2 else 'png'}"), number_image(number)
        )
    (tmp_path / "notes.txt").write_text("no image")
    frames, _ = read(f"{tmp_path}/", fps=29.97)
    assert [read_number(f.image) for f in frames] == [0, 1, 2, 9, 10, 11, 100]
    assert [f.captured_ns for f in frames] == [i * 10**11 // 2997 for i in range(7)]
    assert frames[0].source == tmp_path.name
    assert read(tmp_path)[0][-1].captured_ns == 6 * 10**9 // 30


def test_folder_keeps_the_place_of_images_it_cannot_use(tmp_path: Path) -> None:
    for number in range(4):
        cv2.imwrite(str(tmp_path / f"{number}.png"), number_image(number))
    (tmp_path / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    header = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + struct.pack(">II", 60_000, 60_000)
    (tmp_path / "2.png").write_bytes(header + (tmp_path / "3.png").read_bytes()[24:])
    with open_source(str(tmp_path), fps=10) as source:
        records = list(source)
    assert [(r.index, r.captured_ns) for r in records if isinstance(r, Frame)] == [
        (0, 0),
        (3, 300_000_000),
    ]
    assert source.drops == {"damaged": 2}
    assert isinstance(records[-1], SourceWarning)
    assert records[-1].kind == "damaged"


def test_folder_without_images_or_rate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no frame"):
        open_source(str(tmp_path))
    (tmp_path / "0.png").write_bytes(b"")
    with pytest.raises(SourceError, match="no frame"):
        read(tmp_path)
    with pytest.raises(UsageError, match="--fps"):
        open_source(str(tmp_path), fps=0)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp"])
def test_size_is_read_from_the_header(suffix: str) -> None:
    coded = cv2.imencode(suffix, np.zeros((37, 51, 3), np.uint8))[1].tobytes()
    assert image_size(coded) == (51, 37)
    assert all(image_size(coded[:n]) in ((0, 0), (51, 37)) for n in range(40))


JPEG = cv2.imencode(".jpg", np.zeros((37, 51, 3), np.uint8))[1].tobytes()
LARGE = b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", 60_000, 60_000) + bytes(20)
MARKERS = [  # what stands after the first marker, and the size then
    (b"\xff\x01", (51, 37)),  # TEM has no length
    (b"\xff\xd0\xff\xd7", (51, 37)),  # nor have RST0 to RST7
    (b"\xff\xff\xff", (51, 37)),  # fill bytes
    (b"\xff\xe1\x00\x04\xff\xc0", (51, 37)),  # a segment, whose bytes are not markers
    (b"\xff\x01" + LARGE.ljust(0xFFC0, b"\0"), (60_000, 60_000)),  # hidden from who skips FFC0
    (b"\xff\xd9", (0, 0)),  # the end
    (b"\xff\x00" + LARGE.ljust(0xFFC0, b"\0"), (0, 0)),  # no marker: decoders look on from there
]


@pytest.mark.parametrize(("between", "size"), MARKERS)
def test_markers_of_a_jpeg_are_walked_as_decoders_do(between: bytes, size: tuple[int, int]) -> None:
    coded = JPEG[:2] + between + JPEG[2:]
    assert image_size(coded) == size
    if size == (51, 37):
        image = cv2.imdecode(np.frombuffer(coded, np.uint8), cv2.IMREAD_COLOR)
        assert image is not None
        assert image.shape == (37, 51, 3)


HIDDEN = [  # what is written, what is shown
    ("rtsp://user:secret@cam/live", "rtsp://***@cam/live"),
    ("rtsp://user:p@ss@cam/live", "rtsp://***@cam/live"),
    ("rtsp://user:pa/ss@cam/live", "rtsp://***@cam/live"),
    (
        "rtsp://cam/live?channel=1&password=secret&subtype=0",
        "rtsp://cam/live?channel=1&password=***&subtype=0",
    ),
    (
        "rtsp://cam/user=admin&password=secret&channel=1",
        "rtsp://cam/user=***&password=***&channel=1",
    ),
    ("RTSPS://u:secret@cam:322/x", "RTSPS://***@cam:322/x"),
    ("https://cam/x?token=secret", "https://cam/x?token=***"),
    ("rtsp://cam:554/live", "rtsp://cam:554/live"),
]


@pytest.mark.parametrize(("uri", "shown"), HIDDEN)
def test_secrets_are_not_in_the_name(uri: str, shown: str) -> None:
    address = parse(uri)
    assert (address.kind, address.target, address.name, redact(uri)) == (
        "stream",
        uri,
        shown,
        shown,
    )
    assert "secret" not in repr(address)
    assert (
        "secret" not in address.scrub(f"cannot open '{uri}': secret is wrong")
        or "secret" not in uri
    )
    assert open_source(uri).name == shown


def test_uri_from_the_environment_shows_only_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAM", "rtsp://me:secret@cam/live")
    address = parse("env:CAM")
    assert (address.kind, address.name) == ("stream", "env:CAM")
    assert address.scrub("rtsp://me:secret@cam/live: secret refused") == "env:CAM: *** refused"
    monkeypatch.setenv("CAM", "/etc/passwd")
    for name in ("env:CAM", "env:NOT_THERE"):
        with pytest.raises(UsageError, match=name):
            parse(name)


@pytest.mark.parametrize(
    "uri", ["", "ftp://x/y.mp4", "file:///x.mp4", "sample:other", "sample:synthetic:x"]
)
def test_unknown_addresses_are_usage_errors(uri: str) -> None:
    with pytest.raises(UsageError):
        open_source(uri)


@pytest.mark.parametrize(
    ("uri", "kind"),
    [("0", "camera"), ("/dev/video2", "camera"), ("a.mp4", "file"), (".", "folder")],
)
def test_kinds(uri: str, kind: str) -> None:
    assert parse(uri).kind == kind


def test_options_that_do_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--fps"):
        open_source("sample", fps=25)
    with pytest.raises(UsageError, match="--size"):
        open_source(str(tmp_path), size=(640, 480))


def test_sample_is_there() -> None:
    with open_source("sample") as source:
        frames = [r for r, _ in zip(source, range(30), strict=False) if isinstance(r, Frame)]
    assert [(f.source, f.index) for f in frames] == [("sample", i) for i in range(30)]
    assert frames[0].image.shape == (300, 400, 3)
    assert [f.captured_ns for f in frames] == [i * 40_000_000 for i in range(30)]


def test_synthetic_sample_knows_its_truth_and_repeats_itself() -> None:
    options = SourceOptions(synthetic_s=1.5)
    runs = [read(f"sample:synthetic:{seed}", options=options)[0] for seed in (3, 3, 4)]
    assert [len(frames) for frames in runs] == [45] * 3
    assert [f.captured_ns for f in runs[0]] == [round(i * 1e9 / 30) for i in range(45)]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(runs[0], runs[1], strict=True))
    assert not np.array_equal(runs[0][5].image, runs[2][5].image)
    with open_source("sample:synthetic", options=SourceOptions(synthetic_s=30)) as source:
        assert isinstance(source, SyntheticClip)
        assert {"micro"} <= {movement.kind for movement in source.truth}
        assert len(source.truth) > 5


def test_no_password_is_in_the_names_that_tell_streams_apart() -> None:
    uris = ["rtsp://a:pw1@h/x", "rtsp://b:pw2@h/x", "rtsp://b:pw2@h/x", "sample", "sample"]
    names = [source.name for source in open_sources(uris)]
    assert len(set(names)) == len(names)
    for secret in ("pw1", "pw2", "a:", "b:"):
        assert secret not in " ".join(names)
    assert names[-2:] == ["sample", "sample#2"]
