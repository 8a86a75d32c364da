"""A folder of numbered images as a source: how the data sets of the field ship their clips."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from microspot.engines.clips import SECOND_NS
from microspot.engines.data.footage import IMAGES

from ...errors import SourceError, UsageError
from ...records import Pixels, SourceRecord, SourceWarning, WarningKind
from ..options import FPS, SourceOptions
from ..recorded import DecodedFrame, RecordedSource
from .image_headers import image_size, why_refused
from .image_series import frames_of

DEPTHS = (8, 10, 12, 14, 16)  # bits that cameras use of 16
DEPTH_SAMPLES = 8  # images, evenly over the folder, that show how many bits are used


class ImageFolder(RecordedSource):
    """PNG, JPEG, BMP and TIFF files of one folder, in natural order, 1 / fps seconds apart.

    An unreadable image is skipped and counted, and keeps its place in time and number. Images of 16
    bits are shown by the bits that are used. Raises SourceError when the folder cannot be read or
    holds no image, and for an image that cannot be shown as it is meant; UsageError for a rate that
    is not positive.
    """

    def __init__(
        self, path: Path, name: str, fps: float, options: SourceOptions, pace: bool = False
    ) -> None:
        super().__init__(name, options, pace)
        if not FPS[0] <= fps <= FPS[1]:
            raise UsageError(f"--fps {fps:g}: expected {FPS[0]:g} to {FPS[1]:g} images per second")
        self.rate_hz = fps
        self._bits = 0  # used of 16; 0: not known yet
        try:
            self.files, self._warning = frames_of(path)
        except OSError as error:
            raise SourceError(
                f"{path}: {error.strerror}; give a folder of images that can be read"
            ) from error
        if not self.files:
            raise SourceError(f"{path}: no frame: the folder holds no image ({' '.join(IMAGES)})")
        if len(self.files) > options.max_images:
            raise SourceError(
                f"{path}: {len(self.files)} images, expected at most {options.max_images}; split it"
            )

    def __iter__(self) -> Iterator[SourceRecord]:
        if self._warning:
            yield SourceWarning(self.name, WarningKind.FILES, self._warning)
        yield from super().__iter__()

    def _decode(self) -> Iterator[DecodedFrame]:
        rate = Fraction(str(self.rate_hz))
        for index, file in enumerate(self.files):
            at_ns = index * SECOND_NS * rate.denominator // rate.numerator
            yield DecodedFrame(at_ns, self._eight_bits(file))

    def _eight_bits(self, file: Path) -> Pixels | None:
        """(H, W, 3) BGR uint8; None where it cannot be read."""
        image = self._read(file)
        if image is None or image.dtype == np.uint8:
            return cast("Pixels | None", image)
        self._bits = self._bits or self._bits_used(image)
        reduced: Pixels = np.minimum(image >> self._bits - 8, 255).astype(np.uint8)
        return reduced

    def _bits_used(self, first: NDArray[Any]) -> int:
        """How many of 16 bits the folder uses, by the brightest pixel of some of its images."""
        step = max(1, len(self.files) // DEPTH_SAMPLES)
        images = [first, *(self._read(file) for file in self.files[::step])]
        deep = [image for image in images if image is not None and image.dtype == np.uint16]
        brightest = max(int(image.max()) for image in deep)
        return next(bits for bits in DEPTHS if brightest < 1 << bits)

    def _read(self, file: Path) -> NDArray[Any] | None:
        """(H, W, 3) BGR as deep as it is; None where it cannot be read."""
        try:
            status = file.stat()
            if not stat.S_ISREG(status.st_mode) or status.st_size > self.options.max_image_bytes:
                return None
            data = file.read_bytes()
        except OSError:
            return None
        if why := why_refused(data):
            raise SourceError(f"{file}: {why}")
        width, height = image_size(data)
        if not 0 < width * height <= self.options.max_pixels:
            return None
        try:
            flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
            image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        except cv2.error:
            return None
        return image if image is not None and image.dtype in (np.uint8, np.uint16) else None
