"""The faces of the last seconds, held still: what pictures of an event are made of."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from microspot.engines.alignment.affine import Affine
from microspot.engines.alignment.registration import PyramidView, box_width

from ...records import Frame, Pixels, View

SIDE = 224  # px of a picture; it shows what the crop of the networks shows
QUALITY = 95  # of the JPEG of a picture that waits


@dataclass(frozen=True, eq=False)
class SteadyCrop:
    """One face in one frame, as JPEG."""

    index: int
    captured_ns: int
    jpeg: NDArray[np.uint8]

    @classmethod
    def of(cls, index: int, captured_ns: int, picture: Pixels) -> Self:
        """The crop of a picture (SIDE, SIDE, 3)."""
        _, jpeg = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, QUALITY))
        return cls(index, captured_ns, jpeg)

    def picture(self) -> Pixels:
        """(SIDE, SIDE, 3) BGR."""
        return np.asarray(cv2.imdecode(self.jpeg, cv2.IMREAD_COLOR), np.uint8)


class SteadyCrops:
    """The crops of every face, by time, for `kept_ns`."""

    def __init__(self, kept_ns: int) -> None:
        self._kept_ns = kept_ns
        self._crops: dict[int, deque[SteadyCrop]] = {}  # by face

    def add(self, frame: Frame, views: Sequence[View]) -> None:
        """Keep the faces that are used of a frame."""
        for view in views:
            if view.affine is None or view.now_ns != frame.captured_ns:
                continue  # the face was seen before, and not in this frame
            picture = steady_picture(frame.image, view.affine, view.crop_side)
            crops = self._crops.setdefault(view.face, deque())
            crops.append(SteadyCrop.of(frame.index, frame.captured_ns, picture))
            while frame.captured_ns - crops[0].captured_ns > self._kept_ns:
                crops.popleft()

    def of(self, face: int) -> list[SteadyCrop]:
        """The crops of a face since it was last forgotten."""
        return list(self._crops.get(face, ()))

    def forget(self, face: int | None) -> None:
        """Forget a face, which comes back in another place, or all of them (None)."""
        if face is None:
            self._crops.clear()
        else:
            self._crops.pop(face, None)


def steady_picture(image: Pixels, affine: NDArray[np.float64], side: int) -> Pixels:
    """The part of a frame that a crop of `side` px by `affine` (2, 3) shows, (SIDE, SIDE, 3)."""
    scale = SIDE / side
    shift = (scale - 1) / 2  # whole numbers are the middles of pixels
    larger = Affine(np.array([[scale, 0, shift], [0, scale, shift]])) @ Affine(affine)
    view = PyramidView(image, larger, SIDE, box_width(larger))
    return view.colour.warp(larger, SIDE, 0, SIDE)
