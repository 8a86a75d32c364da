"""Good files to damage: tiny clips of many kinds, images, settings, tables, manifests.

All are made here.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from importlib import resources

import av
import cv2
import numpy as np

FRAMES = 12
HEIGHT = 48
WIDTH = 64
HZ = 25
CLIPS = [  # container, its ending, encoder
    ("mp4", "mp4", "libx264"),
    ("mp4", "mp4", "libx265"),
    ("mp4", "mp4", "mpeg4"),
    ("mov", "mov", "mjpeg"),
    ("mov", "mov", "prores_ks"),
    ("matroska", "mkv", "libx264"),
    ("matroska", "mkv", "ffv1"),
    ("avi", "avi", "mjpeg"),
    ("avi", "avi", "mpeg4"),
    ("webm", "webm", "libvpx"),
    ("webm", "webm", "libvpx-vp9"),
    ("mpegts", "ts", "libx264"),
    ("mpeg", "mpg", "mpeg2video"),
    ("flv", "flv", "flv"),
    ("asf", "wmv", "wmv2"),
    ("ogg", "ogv", "libtheora"),
    ("3gp", "3gp", "libx264"),
]
OPTIONS = {
    "libx264": {"x264-params": "asm=0"},  # with it, pictures this small give other bytes at times
    "libx265": {"x265-params": "log-level=none"},
}
PIXELS = {"mjpeg": "yuvj420p", "prores_ks": "yuv422p10le"}
SETTINGS = (
    "hop = 1\nbridge_ms = 100\ncluster_ticks = 300\nring_ticks = 400\n"
    "threshold = 0.5\nfaces = 1\nrefine = true\n"
)
TABLE = (
    "subject,video,onset,apex,offset,type,label,score,fps\n"
    "1,v.mp4,10,15,20,micro,surprise,0.9,30\n"
    "1,v.mp4,40,,60,macro,negative,0.5,30\n"
    "2,w.mp4,5,7,12,micro,positive,,\n"
)


@dataclass(frozen=True)
class Seed:
    """A good file.

    kind: clip, folder (of images), settings, table or manifest; ending: of its name, without a dot.
    """

    kind: str
    ending: str
    data: bytes


def pictures() -> Iterator[np.ndarray]:
    """HxWx3 BGR: something that moves, and noise that does not compress."""
    rng = np.random.default_rng(15)
    for i in range(FRAMES):
        image = rng.integers(0, 60, (HEIGHT, WIDTH, 3), np.uint8)
        image[8 + i : 24 + i, 10 + 2 * i : 30 + 2 * i] += 120
        yield image


def clip(container: str, encoder: str) -> bytes | None:
    """The pictures as a video; None where this PyAV lacks the encoder."""
    if encoder not in av.codecs_available:
        return None
    out = io.BytesIO()
    same_bytes = {"fflags": "+bitexact"}
    with av.open(out, "w", format=container, options=same_bytes) as file:
        stream = file.add_stream(encoder, rate=HZ, options={"g": "5"} | OPTIONS.get(encoder, {}))
        stream.height = HEIGHT
        stream.width = WIDTH
        stream.pix_fmt = PIXELS.get(encoder, "yuv420p")
        for i, image in enumerate(pictures()):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts = i
            frame.time_base = Fraction(1, HZ)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return out.getvalue()


def seeds() -> list[Seed]:
    """All of them, in the same order everywhere."""
    clips = [(ending, clip(container, encoder)) for container, ending, encoder in CLIPS]
    found = [Seed("clip", ending, data) for ending, data in clips if data is not None]
    image = next(pictures())
    for ending in ("png", "jpg", "bmp"):
        found.append(Seed("folder", ending, cv2.imencode(f".{ending}", image)[1].tobytes()))
    manifest = json.loads(
        (resources.files("microspot.engines") / "weights" / "manifest.json").read_text(
            encoding="utf-8"
        )
    )
    found.append(Seed("settings", "toml", SETTINGS.encode()))
    found.append(Seed("table", "csv", TABLE.encode()))
    found.append(Seed("manifest", "json", json.dumps(manifest, indent=1).encode()))
    return found
