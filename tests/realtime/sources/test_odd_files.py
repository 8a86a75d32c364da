"""Videos as people have them: covers, several tracks, every way up, odd titles, camera messages."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from microspot.engines.data.footage import _decoded
from microspot.realtime.errors import SourceError
from microspot.realtime.records import Frame, SourceState, SourceWarning
from microspot.realtime.sources.open import open_source
from tests.bitstreams import SHORT, boxed, header, remux
from tests.clips import write_clip
from tests.rtsp_server import number_image, read_number

FRAMES = 12
BACKWARDS = slice(None, None, -1)
ONE = 1 << 16
# (a, b, c, d) of a display matrix: the pixel (x, y) is shown at (a x + c y, b x + d y)
ORIENTATIONS = [
    (1, 0, 0, 1),
    (0, 1, -1, 0),
    (-1, 0, 0, -1),
    (0, -1, 1, 0),
]  # quarter turns to the right
ORIENTATIONS += [
    (-1, 0, 0, 1),
    (1, 0, 0, -1),
    (0, 1, 1, 0),
    (0, -1, -1, 0),
]  # and the mirror images


def read(path: Path, **options: Any) -> tuple[list[Frame], list[SourceState | SourceWarning]]:
    with open_source(str(path), **options) as source:
        records = list(source)
    return [r for r in records if isinstance(r, Frame)], [
        r for r in records if isinstance(r, SourceState | SourceWarning)
    ]


def numbers(path: Path) -> list[int]:
    """What the frames of a source show; each at its own time and place."""
    frames, reports = read(path)
    assert not reports
    assert [f.index for f in frames] == list(range(len(frames)))
    return [read_number(f.image) for f in frames]


Track = dict[str, Any]


def video(
    disposition: int = 1, first: int = 0, frames: int = FRAMES, codec: str = "libx264"
) -> Track:
    """A track of pictures that show `first`, `first` + 1 ... A still is one of a single frame."""
    return {"codec": codec, "first": first, "frames": frames, "disposition": disposition}


def write_tracks(path: Path, *tracks: Track) -> Path:
    """A file of several video tracks, their packets in turn."""
    with av.open(str(path), "w") as out:
        streams = []
        for track in tracks:
            stream: Any = out.add_stream(track["codec"], rate=30)
            still = track["codec"] == "mjpeg"
            stream.width = 160
            stream.height = 120
            stream.pix_fmt = "yuvj420p" if still else "yuv420p"
            stream.options = {} if still else {"tune": "zerolatency", "preset": "ultrafast"}
            stream.disposition = track["disposition"]
            streams.append(stream)
        for number in range(max(track["frames"] for track in tracks)):
            for track, stream in zip(tracks, streams, strict=True):
                if number < track["frames"]:
                    frame = av.VideoFrame.from_ndarray(
                        number_image(track["first"] + number), format="bgr24"
                    )
                    frame.pts = number
                    frame.time_base = Fraction(1, 30)
                    out.mux(stream.encode(frame))
        for stream in streams:
            out.mux(stream.encode(None))
    return path


def turned(path: Path, out: Path, matrix: tuple[int, int, int, int]) -> Path:
    """The MP4 with a display matrix."""
    data = path.read_bytes()
    at = data.index(b"tkhd") + 44
    a, b, c, d = (ONE * value for value in matrix)
    out.write_bytes(
        data[:at] + struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30) + data[at + 36 :]
    )
    return out


def stored(image: np.ndarray[Any, Any], matrix: tuple[int, int, int, int]) -> np.ndarray[Any, Any]:
    """The picture that a display matrix shows as `image`, fetched pixel by pixel."""
    a, b, c, d = matrix
    high, wide = image.shape[:2] if a else image.shape[1::-1]
    y, x = np.mgrid[:high, :wide]
    across = a * x + c * y
    down = b * x + d * y
    return np.ascontiguousarray(image[down - down.min(), across - across.min()])


def marked(number: int) -> np.ndarray[Any, Any]:
    """A numbered picture with no symmetry: one corner grey."""
    image = number_image(number)
    image[:30, :20] = 128
    return image


def write_pictures(
    path: Path, pictures: list[np.ndarray[Any, Any]], hz: int = 30, **options: Any
) -> Path:
    with av.open(str(path), "w", **options) as out:
        stream: Any = out.add_stream("libx264", rate=hz)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "4", "tune": "zerolatency", "preset": "ultrafast"}
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts = index
            frame.time_base = Fraction(1, hz)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def resized(tmp_path: Path) -> Path:
    """A transport stream whose pictures become larger half way."""
    parts = []
    for size, first in ((1, 0), (2, 6)):
        images = [
            np.kron(number_image(first + n), np.ones((size, size, 1), np.uint8)) for n in range(6)
        ]
        parts.append(write_pictures(tmp_path / f"{size}.mp4", images))
    path = tmp_path / "resized.ts"
    with av.open(str(path), "w") as out:
        copy: Any = None
        for part, offset in zip(parts, (0, 6), strict=True):
            with av.open(str(part)) as source:
                stream = source.streams.video[0]
                to_annex_b = av.bitstream.BitStreamFilterContext("h264_mp4toannexb", stream)
                copy = copy or out.add_stream_from_template(stream)
                for packet in (
                    p for raw in source.demux(stream) if raw.size for p in to_annex_b.filter(raw)
                ):
                    shift = int(offset / 30 / packet.time_base)
                    packet.pts = packet.pts + shift
                    packet.dts = packet.dts + shift
                    packet.stream = copy
                    out.mux(packet)
    return path


COVER = av.stream.Disposition.attached_pic.value
SEVERAL = {
    "cover first": ("a.mp4", [video(COVER, 900, 1, "mjpeg"), video()]),
    "cover last": ("a.mp4", [video(), video(COVER, 900, 1, "mjpeg")]),
    "still first": ("a.mkv", [video(0, 900, 1, "mjpeg"), video(0)]),
    "still first, by default": ("a.mkv", [video(1, 900, 1, "mjpeg"), video(0, frames=40)]),
    "default second": ("a.mkv", [video(0, 500, 20), video(1)]),
    "default first": ("a.mkv", [video(1), video(0, 500, 20)]),
    "motion JPEG by default": ("a.mkv", [video(0, 500, 20), video(1, 0, FRAMES, "mjpeg")]),
    "still alone": ("a.mkv", [video(1, 0, 1, "mjpeg")]),
}


@pytest.mark.parametrize("case", SEVERAL)
def test_the_video_is_watched_and_not_what_lies_beside_it(tmp_path: Path, case: str) -> None:
    name, tracks = SEVERAL[case]
    path = write_tracks(tmp_path / name, *tracks)
    frames = max(track["frames"] for track in tracks if track["first"] == 0)
    assert numbers(path) == list(range(frames))
    assert [read_number(image) for _, image in _decoded(path, 0.0, None)] == list(range(frames))


def test_a_cover_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "song.m4a"
    with av.open(str(path), "w", format="mp4") as out:
        sound: Any = out.add_stream("aac", rate=16_000)
        cover: Any = out.add_stream("mjpeg", rate=1)
        cover.width = 160
        cover.height = 120
        cover.pix_fmt = "yuvj420p"
        cover.disposition = COVER
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        silence.sample_rate = 16_000
        out.mux(sound.encode(silence))
        out.mux(sound.encode(None))
        picture = av.Packet(cv2.imencode(".jpg", number_image(0))[1].tobytes())
        picture.stream = cover
        picture.pts = 0
        picture.dts = 0
        picture.time_base = Fraction(1, 1)
        out.mux(picture)
    with pytest.raises(SourceError, match="no video stream, only a cover"):
        open_source(str(path))


@pytest.mark.parametrize("matrix", ORIENTATIONS)
def test_every_way_up_is_shown_upright(tmp_path: Path, matrix: tuple[int, int, int, int]) -> None:
    pictures = [stored(marked(number), matrix) for number in range(4)]
    path = turned(write_pictures(tmp_path / "a.mp4", pictures), tmp_path / "turned.mp4", matrix)
    frames, _ = read(path)
    footage = [image for _, image in _decoded(path, 0.0, None)]
    for number in range(4):
        for image in (frames[number].image, footage[number]):
            assert image.shape == (120, 160, 3)
            assert np.abs(image.astype(int) - marked(number)).mean() < 2


def exif(orientation: int) -> bytes:
    """The segment of a JPEG that says which way up it is."""
    entry = struct.pack(">HHIHH", 0x112, 3, 1, orientation, 0)
    tiff = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 1) + entry + bytes(4)
    return b"\xff\xe1" + struct.pack(">H", len(tiff) + 2) + tiff


@pytest.mark.parametrize(
    ("orientation", "matrix"), [(1, ORIENTATIONS[0]), (3, ORIENTATIONS[2]), (6, ORIENTATIONS[1])]
)
def test_motion_jpeg_may_carry_exif(
    tmp_path: Path, orientation: int, matrix: tuple[int, int, int, int]
) -> None:
    """PyAV shows no side data of a picture where one kind is unknown to it."""
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("mjpeg", rate=30)
        stream.height, stream.width = stored(marked(0), matrix).shape[:2]
        stream.pix_fmt = "yuvj420p"
        for number in range(3):
            coded = cv2.imencode(".jpg", stored(marked(number), matrix))[1].tobytes()
            packet: Any = av.Packet(coded[:2] + exif(orientation) + coded[2:])
            packet.stream = stream
            packet.pts = number
            packet.dts = number
            packet.time_base = Fraction(1, 30)
            packet.is_keyframe = True
            out.mux(packet)
    frames, reports = read(path)
    assert not reports
    assert all(np.abs(f.image.astype(int) - marked(f.index)).mean() < 4 for f in frames)
    assert len(frames) == 3


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_messages_that_break_off_cost_no_frame(tmp_path: Path, codec: str, name: str) -> None:
    plain = write_tracks(tmp_path / "plain.mp4", video(codec=codec))
    unit = header("h264", 6) + SHORT if codec == "libx264" else header("hevc", 39) + SHORT
    path = remux(plain, tmp_path / name, lambda _, packet: boxed(packet, unit))
    found = read(path)
    expected = read(plain)
    assert found[1] == []
    assert len(found[0]) == FRAMES
    assert all(np.array_equal(a.image, b.image) for a, b in zip(found[0], expected[0], strict=True))


def test_messages_in_the_description_of_a_stream_cost_nothing(tmp_path: Path) -> None:
    """HEVC in MP4 may keep messages there, and a decoder reads them when it opens."""
    path = write_tracks(tmp_path / "a.mp4", video(codec="libx265"))
    data = path.read_bytes()
    with av.open(str(path)) as file:
        described = bytes(file.streams.video[0].codec_context.extradata)
    at = described.index(b"\x4e\x01")  # a message before pictures: x265 says who it is
    size = int.from_bytes(described[at - 2 : at])
    broken = (
        described[: at + 2] + b"\x05" + b"\xff" * 40 + b"x" * (size - 43) + described[at + size :]
    )
    assert len(broken) == len(described)
    path.write_bytes(data.replace(described, broken))
    assert numbers(path) == list(range(FRAMES))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.mov"])
def test_a_long_last_frame_is_no_damage(tmp_path: Path, name: str) -> None:
    path = write_pictures(tmp_path / name, [number_image(number) for number in range(12)], hz=3)
    frames, reports = read(path)
    assert len(frames) == 12
    assert [s.kind for s in reports] == ["rate"]  # a warning, and nothing else


def test_a_title_of_another_time_is_no_obstacle(tmp_path: Path) -> None:
    path = write_pictures(tmp_path / "a.mkv", [number_image(number) for number in range(3)])
    with av.open(str(path)) as source, av.open(str(tmp_path / "b.mkv"), "w") as out:
        out.metadata["title"] = "CafXY"
        copy = out.add_stream_from_template(source.streams.video[0])
        copy.metadata["title"] = "CafXY"
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = copy
                out.mux(packet)
    data = (tmp_path / "b.mkv").read_bytes()
    assert data.count(b"CafXY") == 2
    path.write_bytes(data.replace(b"CafXY", b"Caf\xe9\xe9"))
    assert numbers(path) == [0, 1, 2]
    assert len(list(_decoded(path, 0.0, None))) == 3


def test_a_file_whose_pictures_change_size_gives_them_all(tmp_path: Path) -> None:
    frames, reports = read(resized(tmp_path))
    assert not reports
    assert [read_number(f.image) for f in frames] == list(range(12))
    assert {f.image.shape for f in frames[:6]} == {(120, 160, 3)}
    assert {f.image.shape for f in frames[6:]} == {(240, 320, 3)}


@pytest.mark.parametrize(
    ("aspect", "size"),
    [
        (Fraction(4, 3), (120, 213)),
        (Fraction(8, 9), (135, 160)),
        (Fraction(100, 101), (120, 160)),
        (Fraction(100, 1), (120, 160)),
    ],
    ids=["squeezed across", "squeezed down", "as good as square", "no camera's"],
)
def test_pictures_have_square_pixels(
    tmp_path: Path, aspect: Fraction, size: tuple[int, int]
) -> None:
    """Faces are measured in them, and shown as wide as they are."""
    path = write_clip(tmp_path / "a.mp4", [np.zeros((120, 160, 3), np.uint8)] * 3, aspect=aspect)
    frames, _ = read(path)
    assert {frame.image.shape[:2] for frame in frames} == {tuple(round(side) for side in size)}
    assert {image.shape[:2] for _, image in _decoded(path, 0.0, None)} == {
        frames[0].image.shape[:2]
    }
