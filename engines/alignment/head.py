"""How a head is turned and how far its eyes are open, by a mesh of the landmarker.

The pose is the rotation of the mesh against the mean frontal portrait (`face_template`), by least
squares over landmarks that expressions hardly move (Kabsch 1976); MediaPipe is asked for nothing
more than the mesh. Faces differ from the mean, in pitch by 15 degrees and more: a pose compares
moments of one face. Eye opening is the eye aspect ratio of Soukupova and Cech (2016, equation 1).
Neither is from the papers.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .face_template import TEMPLATE, depth_at
from .landmarker import Mesh

# Corner, two points of the upper lid, other corner, two of the lower lid: below the upper ones.
RIGHT_EYE = (33, 160, 158, 133, 144, 153)  # the subject's
LEFT_EYE = (362, 385, 387, 263, 380, 373)

_POINTS = np.array(list(TEMPLATE))
_PLACES = np.array([(x, y, depth_at(x, y)) for x, y in TEMPLATE.values()])
_CENTRED = _PLACES - _PLACES.mean(0)


class HeadPose(NamedTuple):
    """Degrees against the mean frontal portrait, about the axes of the picture.

    yaw: towards the right of the picture; pitch: down; roll: clockwise as one sees the picture. The
    head is first pitched, then turned, then rolled.
    """

    yaw: float
    pitch: float
    roll: float


class EyesOpen(NamedTuple):
    """The aspect ratio of either eye of the subject: about 0.3 open, below 0.2 closed."""

    left: float
    right: float


def head_pose(mesh: Mesh) -> HeadPose:
    """The pose of a mesh (478, 3) in frame px."""
    seen = mesh[_POINTS]
    u, _, vt = np.linalg.svd((seen - seen.mean(0)).T @ _CENTRED)
    u[:, 2] *= np.linalg.det(u @ vt)  # a rotation, never a mirror image
    (a, _, _), (b, _, _), (c, d, e) = (u @ vt).tolist()
    return HeadPose(
        yaw=math.degrees(math.asin(max(-1.0, min(1.0, c)))),
        pitch=math.degrees(math.atan2(d, e)),
        roll=math.degrees(math.atan2(b, a)),
    )


def eyes_open(mesh: Mesh) -> EyesOpen:
    """How far the eyes of a mesh (478, 3) in frame px are open."""
    return EyesOpen(_aspect(mesh, LEFT_EYE), _aspect(mesh, RIGHT_EYE))


def _aspect(mesh: Mesh, eye: tuple[int, ...]) -> float:
    outer, above_1, above_2, inner, below_1, below_2 = mesh[list(eye), :2]
    heights = math.dist(above_1, below_1) + math.dist(above_2, below_2)
    return heights / (2 * max(math.dist(outer, inner), 1e-9))
