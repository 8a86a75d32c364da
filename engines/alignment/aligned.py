"""What an aligner gives: faces of a frame as steady crops, and why a face was not used.

`FixedAligner` gives one face at a given place; `aligner.MediaPipeAligner` finds faces.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Any, Protocol, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from .affine import Affine, Matrix
from .landmarker import Mesh
from .registration import Pixels


class Rejection(StrEnum):
    """Why a face that is wanted was not used."""

    NO_FACE = "no face"
    LOST = "registration lost"
    TURNED_AWAY = "turned away"
    TOO_SMALL = "too small"
    OUT_OF_FRAME = "out of frame"


@dataclass(frozen=True, eq=False)
class Face:
    """One aligned face.

    `pixels` (3, S, S) RGB, `affine` (2, 3) frame px -> crop px, `quality` 0..1. `outline` (N, 2)
    frame px is the face oval, a closed polygon (the first point is not repeated). `placed` (2, 3)
    is where landmarks alone would have put the crop. `width_px` is the width of the face; 0 where
    it is not known. `mesh` is as the landmarker gave it for the frame of `landmarks_ns`, at most a
    few frames ago, and moved along since; where that is None, it is an older one. None without a
    landmarker.
    """

    face: int
    pixels: Pixels
    affine: Matrix
    quality: float
    outline: NDArray[np.float32]
    placed: Matrix = field(default_factory=lambda: np.eye(2, 3))
    width_px: float = 0.0
    mesh: Mesh | None = None
    landmarks_ns: int | None = None


@dataclass(frozen=True, eq=False)
class Refused:
    """A face that was found and not used, and why; `outline` and `width_px` as of a Face."""

    face: int
    reason: Rejection
    outline: NDArray[np.float32]
    width_px: float


@dataclass(frozen=True)
class Alignment:
    """The faces of one frame, by number; `rejected` says why the first missing face is missing.

    `refused` are the faces that the landmarker found when it last ran and that were not used.
    """

    faces: tuple[Face, ...]
    rejected: str | None
    refused: tuple[Refused, ...] = ()


class Aligner(Protocol):
    """Stateful per source: one object per camera, frames in the order of capture.

    A context manager.
    """

    def __call__(self, image_bgr: Pixels, captured_ns: int) -> Alignment:
        """Align one frame (H, W, 3) taken at `captured_ns`."""
        ...

    def reset(self, face: int | None = None) -> None:
        """Start a new segment for `face` (None: for all, and forget their numbers)."""

    def close(self) -> None:
        """Free what the aligner holds."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class FixedAligner(Aligner):
    """One face at a given place in every frame: for tests and for footage that is cropped already.

    `affine` (2, 3) maps frame px to crop px; None stretches the whole frame over the crop.
    """

    def __init__(self, affine: NDArray[Any] | None = None, side: int = 112) -> None:
        self.side = side
        self._affine = None if affine is None else np.array(affine, np.float64).reshape(2, 3)

    def __call__(self, image_bgr: Pixels, captured_ns: int) -> Alignment:
        """The whole frame, or its given part, as the face of every frame."""
        affine = self._whole(image_bgr) if self._affine is None else self._affine
        size = (self.side, self.side)
        crop = cv2.warpAffine(
            image_bgr, affine, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        end = self.side - 0.5
        square = np.array([[-0.5, -0.5, 1], [end, -0.5, 1], [end, end, 1], [-0.5, end, 1]])
        outline = (square @ Affine(affine).inverse().matrix.T).astype(np.float32)
        return Alignment((Face(0, rgb_planes(crop), affine, 1.0, outline, affine),), None)

    def _whole(self, image: Pixels) -> Matrix:
        sx = self.side / image.shape[1]
        sy = self.side / image.shape[0]
        return np.array([[sx, 0, (sx - 1) / 2], [0, sy, (sy - 1) / 2]])


def rgb_planes(bgr: Pixels) -> Pixels:
    """(S, S, 3) BGR -> (3, S, S) RGB."""
    return np.ascontiguousarray(bgr[:, :, ::-1].transpose(2, 0, 1))
