"""Where the parts of a face lie in its crop. The crop is this template, magnified.

Template units: the width of the face mesh (landmarks 234 to 454) is 1, the middle between its sides
the origin, y down. A crop spans SPAN of it, about 16 cm of face: from the lower forehead, with 11
px above the brows at S = 112 for them to rise into, to just above the tip of the mean chin. Places
are means over the 783 most frontal of 964 portraits, made symmetrical. Not from the papers.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .affine import Affine

SPAN = 1.04
MESH_WIDTH_CM = 15.3  # of a mean face, between landmarks 234 and 454
TOP = -0.39
# Landmarks that expressions hardly move (no brow, lid, mouth or chin), and their mean places.
TEMPLATE: dict[int, tuple[float, float]] = {
    # on the middle line
    10: (0.0, -0.4884), 151: (0.0, -0.3750), 9: (0.0, -0.2606), 8: (0.0, -0.1983),
    168: (0.0, -0.1390), 6: (0.0, -0.0776), 197: (0.0, -0.0238), 195: (0.0, 0.0261),
    # in pairs
    133: (-0.1299, -0.0994), 362: (0.1299, -0.0994),
    33: (-0.3344, -0.1170), 263: (0.3344, -0.1170),
    193: (-0.0578, -0.1328), 417: (0.0578, -0.1328),
    122: (-0.0429, -0.0673), 351: (0.0429, -0.0673),
    127: (-0.5062, -0.1005), 356: (0.5062, -0.1005),
    234: (-0.5, 0.0), 454: (0.5, 0.0),
    162: (-0.5, -0.2051), 389: (0.5, -0.2051),
    116: (-0.4606, 0.0038), 345: (0.4606, 0.0038),
    108: (-0.1258, -0.3774), 337: (0.1258, -0.3774),
    109: (-0.1426, -0.4852), 338: (0.1426, -0.4852),
    98: (-0.1273, 0.2119), 327: (0.1273, 0.2119),
}  # fmt: skip

_POINTS = np.array(list(TEMPLATE))
_PLACES = np.array([complex(*xy) for xy in TEMPLATE.values()])
_FIT = np.conj(_PLACES - _PLACES.mean()) / np.sum(np.abs(_PLACES - _PLACES.mean()) ** 2)

# What is compared between frames, closed polygons, mirrored: the nose from its root to its base
# with the inner eye corners, and a strip from the outer eye corner down to the cheekbone. Not the
# forehead, which rises with the brows; not the lids, cheeks or wings of the nose; nothing near the
# outline of the face, behind which a room stands.
RIGID = (
    ((0.0, -0.18), (0.05, -0.17), (0.06, -0.13), (0.14, -0.12), (0.14, -0.06), (0.10, -0.02),
     (0.13, 0.08), (0.11, 0.21), (0.0, 0.22)),
    ((0.33, -0.15), (0.46, -0.15), (0.46, 0.09), (0.40, 0.12), (0.31, 0.12), (0.30, 0.05),
     (0.33, 0.0)),
)  # fmt: skip
RIGID_EDGE = 0.012  # standard deviation of the mask's soft edge, crop sides

# Depth of a mean face, growing away from the camera: RISE down the face, and ROUND by the square of
# the place across it, with a nose as a Gaussian at NOSE with standard deviations NOSE_SIZE. Least
# squares to the mesh of the same portraits, which deviate by 0.05 (by 0.13 from their mean depth).
DEPTH_RISE = 0.11
DEPTH_ROUND = 1.53
DEPTH_NOSE = -0.21
NOSE = (0.0, 0.14)
NOSE_SIZE = (0.085, 0.070)

# Where brows and lips lie in the mean of the portraits, template units from top to bottom.
BROWS = (-0.29, -0.20)
MOUTH = (0.33, 0.48)


def template_px(xy: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Template units (..., 2) -> crop px (..., 2); pixel centres at whole numbers."""
    return (np.asarray(xy) - (-SPAN / 2, TOP)) * (side / SPAN) - 0.5


def face_to_crop(landmarks: NDArray[Any], side: int) -> Affine:
    """The similarity frame px -> crop px of a face with `landmarks` (N >= 468, >= 2) in frame px.

    Least squares of the template's landmarks over scale, turn and shift, as complex numbers.
    """
    points = np.asarray(landmarks)[_POINTS, :2].astype(np.float64)
    seen = points[:, 0] + 1j * points[:, 1]
    linear = side / SPAN / np.sum((seen - seen.mean()) * _FIT)
    x, y = template_px(np.array([_PLACES.mean().real, _PLACES.mean().imag]), side)
    shift = complex(x, y) - linear * seen.mean()
    return Affine(
        np.array([[linear.real, -linear.imag, shift.real], [linear.imag, linear.real, shift.imag]])
    )


def depth_at(x: Any, y: Any) -> Any:
    """Depth of a mean face at places in template units, in these; only differences count."""
    away = ((x - NOSE[0]) / NOSE_SIZE[0]) ** 2 + ((y - NOSE[1]) / NOSE_SIZE[1]) ** 2
    return DEPTH_RISE * y + DEPTH_ROUND * x**2 + DEPTH_NOSE * np.exp(-0.5 * away)


def depth(side: int) -> NDArray[np.float64]:
    """(side, side) depth of a mean face over its crop, template units; only differences count."""
    middles = (np.arange(side) + 0.5) * (SPAN / side)
    return np.asarray(depth_at((middles - SPAN / 2)[None, :], (middles + TOP)[:, None]))


def rows_of(span: tuple[float, float], rows: int) -> range:
    """Which of `rows` rows of a crop `span` touches, top and bottom in template units."""
    top, bottom = ((edge - TOP) / SPAN * rows for edge in span)
    return range(max(0, int(np.floor(top))), min(rows, int(np.ceil(bottom))))


@lru_cache(maxsize=8)
def rigid_weights(side: int) -> NDArray[np.float32]:
    """(S, S) soft mask 0..1 of the rigid regions."""
    fine = 4
    canvas = np.zeros((side * fine, side * fine), np.uint8)
    for outline in RIGID:
        for sign in (1.0, -1.0):
            polygon = template_px(np.array(outline) * (sign, 1.0), side)
            cv2.fillPoly(canvas, [np.rint((polygon + 0.5) * fine).astype(np.int32)], 255)
    soft = cv2.GaussianBlur(canvas, (0, 0), RIGID_EDGE * side * fine)
    small: Any = cv2.resize(soft, (side, side), interpolation=cv2.INTER_AREA)
    weights: NDArray[np.float32] = small.astype(np.float32) / 255
    weights.setflags(write=False)  # the cache returns one array to all
    return weights
