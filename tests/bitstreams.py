"""H.264 and HEVC as cameras write it: numbered pictures, and the units put beside them."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from tests.rtsp_server import number_image

# a message that claims ten bytes more than there are
SHORT = bytes([240, 255, 105]) + b"CAMERAINFO" * 35
KIND = {
    "h264": (1, 0, 0x1F),
    "hevc": (2, 1, 0x3F),
}  # bytes of a unit's header, where its kind is, and its mask
QUIET = {
    "libx264": {"tune": "zerolatency", "preset": "ultrafast"},
    "libx265": {"tune": "zerolatency", "preset": "ultrafast", "x265-params": "log-level=none"},
}


def encode(encoder: str, frames: int, **options: str) -> list[bytes]:
    """Packets of numbered pictures with start codes, a key frame every five."""
    codec: Any = av.CodecContext.create(encoder, "w")
    codec.width = 160
    codec.height = 120
    codec.pix_fmt = "yuv420p"
    codec.time_base = Fraction(1, 30)
    codec.framerate = 30
    codec.options = {"g": "5", **QUIET[encoder], **options}
    packets = []
    for number in range(frames):
        frame = av.VideoFrame.from_ndarray(number_image(number), format="bgr24")
        frame.pts = number
        frame.time_base = Fraction(1, 30)
        packets += codec.encode(frame)
    return [bytes(packet) for packet in packets + codec.encode(None)]


def units(packet: bytes) -> list[bytes]:
    return [unit for unit in re.split(rb"\x00\x00\x00?\x01", packet) if unit]


def joined(found: list[bytes]) -> bytes:
    return b"".join(b"\0\0\0\1" + unit for unit in found)


def kind(codec: str, unit: bytes) -> int:
    return unit[0] >> KIND[codec][1] & KIND[codec][2]


def header(codec: str, of: int) -> bytes:
    return bytes([of]) if codec == "h264" else bytes([of << 1, 1])


def is_picture(codec: str, unit: bytes) -> bool:
    return kind(codec, unit) in (1, 5) if codec == "h264" else kind(codec, unit) < 32


def with_unit(codec: str, packet: bytes, unit: bytes, after: bool = False) -> bytes:
    """The packet with one more unit, before its picture or after it."""
    found = units(packet)
    at = len(found) if after else next(i for i, u in enumerate(found) if is_picture(codec, u))
    return joined([*found[:at], unit, *found[at:]])


def remux(path: Path, out: Path, change: Any, **options: str) -> Path:
    """Copy a video file with `change(index, packet bytes)` in place of every packet."""
    with av.open(str(path)) as source, av.open(str(out), "w", options=options) as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for index, packet in enumerate(p for p in source.demux(stream) if p.size):
            new: Any = av.Packet(change(index, bytes(packet)))
            new.pts = packet.pts
            new.dts = packet.dts
            new.time_base = packet.time_base
            new.duration = packet.duration
            new.is_keyframe = packet.is_keyframe
            new.stream = copy
            target.mux(new)
    return out


def boxed(packet: bytes, unit: bytes) -> bytes:
    """A packet of MP4 with one more unit before the others."""
    return len(unit).to_bytes(4) + unit + packet
