"""An external motion basis: displacements of a face mesh in place of the hand-written units.

The displacements are measured or modelled. A file is an .npz with `D` (K, 468, 3), displacements in
cm of the MediaPipe canonical mesh (x to the subject's left, y up) at full strength, and `names`
(K,), ARKit blendshape names; such files are made from open face models. Units without a name in the
file, and those that need a torn mesh (parted lips, closing lids), stay hand-written. Not from the
papers.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from .actions import SIDES, Field, Geometry
from .timeline import Unit

NAMES = {
    "AU1": "browInnerUp",
    "AU2": "browOuterUp",
    "AU4": "browDown",
    "AU5": "eyeWide",
    "AU6": "cheekSquint",
    "AU7": "eyeSquint",
    "AU9": "noseSneer",
    "AU10": "mouthUpperUp",
    "AU12": "mouthSmile",
    "AU14": "mouthDimple",
    "AU15": "mouthFrown",
    "AU17": "mouthShrugLower",
    "AU20": "mouthStretch",
    "AU23": "mouthPress",
}
POINTS = 468
NEAR_CM = 0.3  # spread between landmarks
WIDE_CM = 1.0  # spread where landmarks are sparse
SPARSE = 0.02  # landmarks per spread: below, the wide spread takes over
FADE_CM = 0.8  # beyond the outermost landmarks


@dataclass(frozen=True, eq=False)
class Basis:
    """Displacements (468, 2) in cm by unit: +x to the image's right, +y down."""

    deltas: dict[Unit, NDArray[np.float64]]

    @classmethod
    def open(cls, path: Path) -> Basis:
        """Read a file. Raises DataError where it is not such a basis."""
        try:
            with np.load(path, allow_pickle=False) as file:
                names = [str(name) for name in file["names"]]
                shapes = np.asarray(file["D"], np.float64)
        except (OSError, KeyError, ValueError) as error:
            raise DataError(
                f"{path} is no motion basis ({error}): give an .npz with D and names"
            ) from error
        if shapes.shape != (len(names), POINTS, 3):
            raise DataError(f"{path}: D is {shapes.shape}, expected ({len(names)}, {POINTS}, 3)")
        deltas = _by_unit(dict(zip(names, shapes[..., :2] * (1, -1), strict=True)))
        if not deltas:
            raise DataError(
                f"{path}: none of its names is an ARKit blendshape such as browInnerUp_L"
            )
        return cls(deltas)

    def field(self, geometry: Geometry, unit: Unit) -> Field | None:
        """(H, W, 2) px of a unit at full strength on a face; None where the basis lacks it."""
        if unit not in self.deltas:
            return None
        across, down = self.deltas[unit].astype(np.float32).T
        return dense(geometry, geometry.image(across, down))


def _by_unit(by_name: dict[str, NDArray[np.float64]]) -> dict[Unit, NDArray[np.float64]]:
    deltas: dict[Unit, NDArray[np.float64]] = {}
    for unit, name in NAMES.items():
        for side in SIDES:
            if f"{name}_{side}" in by_name:
                deltas[unit, side] = by_name[f"{name}_{side}"]
            elif name in by_name:  # one shape for both sides
                deltas[unit, side] = by_name[name] / 2
    return deltas


def dense(geometry: Geometry, moves: NDArray[np.float32]) -> Field:
    """Displacements (468, 2) px at a face's landmarks -> a field (H, W, 2) in px.

    It is blurred between the landmarks and fades out beyond them.
    """
    at = np.rint(geometry.landmarks[:POINTS]).astype(int)
    inside = ((at >= 0) & (at < (geometry.width, geometry.height))).all(1)
    sums = np.zeros((geometry.height, geometry.width, 3), np.float32)
    moves_and_count = np.column_stack([moves, np.ones(POINTS, np.float32)])
    np.add.at(sums, (at[inside, 1], at[inside, 0]), moves_and_count[inside])
    near, wide = (_spread(sums, cm * geometry.px_per_cm) for cm in (NEAR_CM, WIDE_CM))
    share = near[..., 2:] / (near[..., 2:] + SPARSE)
    field = share * near[..., :2] / (near[..., 2:] + 1e-6)
    field = field + (1 - share) * wide[..., :2] / (wide[..., 2:] + 1e-6)
    face = np.zeros((geometry.height, geometry.width), np.float32)
    cv2.fillConvexPoly(face, cv2.convexHull(at.astype(np.int32)), 1.0)
    face = cv2.GaussianBlur(face, (0, 0), FADE_CM * geometry.px_per_cm / 2)
    return np.asarray(field * face[..., None], np.float32)


def _spread(sums: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Blur by `sigma`, scaled so that a single landmark gives 1 at its place."""
    blurred: NDArray[np.float32] = cv2.GaussianBlur(sums, (0, 0), sigma)
    return np.asarray(blurred * np.float32(2 * np.pi * sigma**2), np.float32)
