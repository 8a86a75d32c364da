"""Frames in, steady face crops out (first cut)."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray


def face_to_crop(landmarks: NDArray[Any], side: int) -> NDArray[np.float64]:
    """(N>=468, >=2) px of one face -> (2, 3) similarity frame -> crop."""
    p = np.asarray(landmarks, float)
    z = p[:, 0] + 1j * p[:, 1]
    unit = 1.04 * (z[454] - z[234])
    m = side / unit
    t = complex(side / 2, (0.375 / 1.04) * side) - m * (z[454] + z[234]) / 2
    return np.array([[m.real, -m.imag, t.real], [m.imag, m.real, t.imag]])


@dataclass(frozen=True)
class AlignOptions:
    """See below."""


@dataclass(frozen=True, eq=False)
class Face:
    face: int
    pixels: NDArray[np.uint8]
    affine: NDArray[np.float64]
    quality: float
    outline: NDArray[np.float32]


@dataclass(frozen=True)
class Alignment:
    faces: tuple[Face, ...]
    rejected: str | None


class Aligner(Protocol):
    def __call__(self, image_bgr: NDArray[np.uint8], captured_ns: int) -> Alignment: ...

    def reset(self, face: int | None = None) -> None: ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
