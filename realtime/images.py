"""A folder of numbered images as a source: how the data sets of the field ship their clips.

OpenCV would decode a picture of a thousand million pixels if its header asked for it, so the header is read here first.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import cast

import cv2
import numpy as np

from .errors import SourceError, UsageError
from .intake import FPS, NS, SourceOptions
from .media import Recorded, Shot
from .records import Pixels

IMAGES = (".png", ".jpg", ".jpeg", ".bmp")
_SIZELESS = {0xC4, 0xC8, 0xCC}  # JPEG markers between SOF0 and SOF15 that are not frame headers


class ImageFolder(Recorded):
    """PNG, JPEG and BMP files of one folder, in natural order of their names, 1 / fps seconds apart.

    An unreadable image is skipped and counted, and keeps its place in time and number. Raises SourceError when the
    folder cannot be read or holds no image, UsageError for a rate that is not positive.
    """

    def __init__(self, path: Path, name: str, fps: float, options: SourceOptions, pace: bool = False) -> None:
        super().__init__(name, options, pace)
        if not FPS[0] <= fps <= FPS[1]:
            raise UsageError(f"--fps {fps:g}: expected {FPS[0]:g} to {FPS[1]:g} images per second")
        self.rate_hz = fps
        try:
            self.files = sorted((p for p in path.iterdir() if p.suffix.lower() in IMAGES), key=_natural)
        except OSError as error:
            raise SourceError(f"{path}: {error.strerror}; give a folder of images that can be read") from error
        if not self.files:
            raise SourceError(f"{path}: no frame: the folder holds no image ({' '.join(IMAGES)})")
        if len(self.files) > options.max_images:
            raise SourceError(f"{path}: {len(self.files)} images, expected at most {options.max_images}; split it")

    def _shots(self) -> Iterator[Shot]:
        rate = Fraction(str(self.rate_hz))
        for index, file in enumerate(self.files):
            yield Shot(index * NS * rate.denominator // rate.numerator, self._read(file))

    def _read(self, file: Path) -> Pixels | None:
        try:
            if file.stat().st_size > self.options.max_image_bytes:
                return None
            data = file.read_bytes()
        except OSError:
            return None
        width, height = image_size(data)
        if not 0 < width * height <= self.options.max_pixels:
            return None
        try:
            return cast("Pixels | None", cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))
        except cv2.error:
            return None


def _natural(path: Path) -> tuple[list[tuple[int, str]], str]:
    """frame2 before frame10: runs of digits compare as numbers; equal numbers (1, 01) as text."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts], path.name


def image_size(data: bytes) -> tuple[int, int]:
    """(width, height) that the header of a PNG, BMP or JPEG promises; (0, 0) for anything else."""
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= 24:
        return cast("tuple[int, int]", struct.unpack(">II", data[16:24]))
    if data.startswith(b"BM") and len(data) >= 26:
        width, height = struct.unpack("<ii", data[18:26])
        return abs(width), abs(height)
    return _jpeg_size(data) if data.startswith(b"\xff\xd8") else (0, 0)


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Walk the segments to the frame header (SOFn): marker, length, precision, height, width."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in _SIZELESS:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 1 if marker == 0xFF else 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
    return 0, 0
