"""Facial actions (FACS action units) as dense motion fields on one face, from a hand-written basis.

A field is a sum of Gaussian blobs placed at the face's own landmarks, with displacements in
centimetres along the face's axes (a MediaPipe mesh is 15.3 cm wide). Fields are used as inverse
maps: out(p) = face(p - D(p)), so a large movement (a closing lid) is written where it arrives and
needs no inversion. Peaks follow published blendshapes; blob sizes and shares are our own. None of
this is from the papers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...alignment.face_template import MESH_WIDTH_CM

Field = NDArray[np.float32]

EDGE_CM = 0.08  # half width of the step at the mouth line
EDGE_WIDENS = 0.9  # cm of step per cm beyond the corners: cheeks are not torn
# Units whose two sides lie on each other: each side is half of the peak.
MIDLINE = ("AU17", "AU24", "AU25", "AU26")


class Blob(NamedTuple):
    """A Gaussian patch of motion at the mean of landmarks `at`; sizes and displacement in cm.

    +x is to the image's right. For a unit on the right side everything is mirrored. `part` keeps
    the patch above ("upper") or below ("lower") the mouth line.
    """

    at: tuple[int, ...]
    dx: float
    dy: float
    sx: float
    sy: float
    part: str = ""


# Units at full strength on the subject's left side (the image's right); +y is down.
UNITS: dict[str, tuple[Blob, ...]] = {
    "AU1": (Blob((336, 285, 296), -0.02, -0.56, 1.3, 0.9),),
    "AU2": (Blob((293, 334, 283), 0.12, -0.70, 1.6, 1.0),),
    "AU4": (Blob((285, 336), -0.40, 0.34, 1.3, 0.9), Blob((295, 334), -0.22, 0.34, 1.4, 0.8)),
    "AU5": (Blob((386,), 0.0, -0.30, 1.0, 0.35),),
    "AU6": (Blob((280, 352), -0.10, -0.50, 1.8, 1.1), Blob((374,), 0.0, -0.16, 1.2, 0.35)),
    "AU7": (Blob((374,), -0.08, -0.24, 1.1, 0.35), Blob((386,), 0.0, 0.10, 1.0, 0.30)),
    "AU9": (Blob((358, 423), -0.10, -0.55, 1.1, 1.1), Blob((285, 417), -0.12, 0.22, 0.9, 0.8)),
    "AU10": (Blob((267, 391), 0.10, -0.50, 1.2, 0.8, "upper"), Blob((423,), 0.12, -0.40, 1.2, 1.1)),
    "AU12": (Blob((291,), 0.62, -0.60, 1.2, 1.0), Blob((425,), 0.25, -0.45, 1.6, 1.3)),
    "AU14": (Blob((291,), 0.34, -0.12, 0.9, 0.8), Blob((287,), -0.10, -0.08, 0.5, 0.5)),
    "AU15": (Blob((291,), 0.12, 0.50, 1.0, 0.8),),
    "AU17": (
        Blob((199, 262), 0.0, -0.60, 1.5, 0.9),
        Blob((17, 314), 0.0, -0.30, 1.4, 0.6, "lower"),
    ),
    "AU20": (Blob((291,), 0.60, 0.20, 1.3, 0.9),),
    "AU23": (Blob((291,), -0.26, 0.0, 0.9, 0.7), Blob((314,), 0.0, -0.16, 1.2, 0.5, "lower")),
    "AU24": (
        Blob((314, 14), 0.0, -0.30, 1.5, 0.6, "lower"),
        Blob((267, 13), 0.0, 0.20, 1.5, 0.5, "upper"),
    ),
    "AU25": (
        Blob((14, 17, 314), 0.0, 0.45, 1.5, 0.9, "lower"),
        Blob((13, 267), 0.0, -0.10, 1.3, 0.5, "upper"),
    ),
    "AU26": (Blob((199, 152, 262), 0.0, 0.95, 2.6, 2.2, "lower"),),
    "AU43": (),  # the lid: see `_lid`
    "GAZE": (Blob((473,), 0.22, 0.0, 0.42, 0.28),),
    "SWALLOW": (Blob((152, 199), 0.0, -0.22, 2.0, 1.2), Blob((291,), 0.08, 0.06, 1.0, 0.7)),
}
MIRROR = {
    336: 107, 285: 55, 296: 66, 293: 63, 334: 105, 283: 53, 295: 65, 386: 159, 280: 50, 352: 123,
    374: 145, 358: 129, 423: 203, 417: 193, 267: 37, 391: 165, 291: 61, 425: 205, 287: 57, 262: 32,
    314: 84, 473: 468, 263: 33, 362: 133, 199: 199, 152: 152, 17: 17, 14: 14, 13: 13,
}  # fmt: skip
SIDES = ("L", "R")


@dataclass(frozen=True, eq=False)
class Geometry:
    """A face at output resolution: landmarks (N, 2) px, unit axes, px per cm."""

    landmarks: NDArray[np.float64]
    right: NDArray[np.float64]
    down: NDArray[np.float64]
    px_per_cm: float
    height: int
    width: int

    @classmethod
    def of(cls, landmarks: NDArray[np.float64], height: int, width: int) -> Geometry:
        """The geometry of a mesh (N, >= 2) in px of an image of `height` and `width`.

        Its axes follow from the mesh's left and right edge. A mesh of 468 points gets irises at the
        eyes' centres.
        """
        points = np.asarray(landmarks, np.float64)[:, :2]
        if len(points) < 478:
            right_eye = points[[159, 145]].mean(0)
            left_eye = points[[386, 374]].mean(0)
            points = np.concatenate([points[:468], [right_eye] * 5, [left_eye] * 5])
        span = points[454] - points[234]
        right = span / np.hypot(*span)
        down = np.array([-right[1], right[0]])
        return cls(points, right, down, float(np.hypot(*span)) / MESH_WIDTH_CM, height, width)

    def local(self, centre: NDArray[np.float64]) -> tuple[Field, Field]:
        """Coordinates of every pixel along the face's axes from `centre`, in cm: two (H, W)."""
        dx = np.arange(self.width, dtype=np.float32)[None, :] - centre[0]
        dy = np.arange(self.height, dtype=np.float32)[:, None] - centre[1]
        u = (dx * self.right[0] + dy * self.right[1]) / self.px_per_cm
        v = (dx * self.down[0] + dy * self.down[1]) / self.px_per_cm
        return u.astype(np.float32), v.astype(np.float32)

    def image(self, u: Field, v: Field) -> Field:
        """Displacements along the face's axes in cm -> (H, W, 2) in px."""
        x = u * self.right[0] + v * self.down[0]
        y = u * self.right[1] + v * self.down[1]
        return np.stack([x, y], axis=-1).astype(np.float32) * np.float32(self.px_per_cm)


def motion_field(geometry: Geometry, unit: str, side: str) -> Field:
    """(H, W, 2) displacement in px of one unit on one side at full strength."""
    if unit == "AU43":
        return _lid(geometry, side)
    total = np.zeros((geometry.height, geometry.width, 2), np.float32)
    for blob in UNITS[unit]:
        at = blob.at if side == "L" else tuple(MIRROR[i] for i in blob.at)
        u, v = geometry.local(geometry.landmarks[list(at)].mean(0))
        weight = np.exp(-0.5 * ((u / blob.sx) ** 2 + (v / blob.sy) ** 2))
        if blob.part:
            weight *= beside_mouth(geometry, blob.part)
        sign = 1 if side == "L" or unit == "GAZE" else -1
        if unit in MIDLINE:
            weight *= np.float32(0.5)
        total += geometry.image(weight * np.float32(sign * blob.dx), weight * np.float32(blob.dy))
    return total


def beside_mouth(geometry: Geometry, part: str) -> Field:
    """1 on one side of the line between the lips, 0 on the other.

    The step is narrow at the mouth and widens beyond its corners.
    """
    inner = geometry.landmarks[[13, 14]].mean(0)
    corners = geometry.landmarks[[78, 308]].mean(0)
    u, v = geometry.local(inner)
    sag = float((corners - inner) @ geometry.down) / geometry.px_per_cm
    width = float(np.hypot(*(geometry.landmarks[308] - geometry.landmarks[78])))
    half = width / 2 / geometry.px_per_cm
    line = sag * np.clip(u / max(half, 0.5), -1.5, 1.5) ** 2
    edge = EDGE_CM + EDGE_WIDENS * np.maximum(np.abs(u) - half, 0)
    step = 1 / (1 + np.exp(-np.clip((v - line) / edge, -30, 30)))
    return np.asarray(step if part == "lower" else 1 - step, np.float32)


def _lid(geometry: Geometry, side: str) -> Field:
    """The upper lid comes down to the lower one; skin from above the lid covers the eye."""
    upper, lower, outer, inner = (386, 374, 263, 362) if side == "L" else (159, 145, 33, 133)
    points = geometry.landmarks
    centre = points[[lower]].mean(0)
    u, v = geometry.local(centre)
    opening = float((points[lower] - points[upper]) @ geometry.down) / geometry.px_per_cm
    half = float(np.hypot(*(points[outer] - points[inner]))) / 2 / geometry.px_per_cm
    middle = float((points[[outer, inner]].mean(0) - centre) @ geometry.right) / geometry.px_per_cm
    across = np.clip(1 - ((u - middle) / (1.15 * half)) ** 2, 0, 1) ** 0.7
    above = np.exp(-0.5 * (v / (0.65 * opening + 0.08)) ** 2)
    below = np.exp(-0.5 * (v / 0.12) ** 2)
    fall = np.where(v < 0, above, below)
    down = (across * fall * (opening + 0.12)).astype(np.float32)
    return geometry.image(np.zeros_like(down), down)
