"""The movement magnified, as Lagrange looks at it: each part of the face goes farther on its way.

A picture is warped by gain - 1 times the flow since the start (Liu, Torralba, Freeman, Durand and
Adelson, Motion Magnification, SIGGRAPH 2005, in its simplest form: no layers, no tracks). Nothing
is learned. None of the numbers is from the papers.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..alignment.displacement import SIDE
from .flow import Flow, Picture, local_flow, places

# Farthest that anything is moved beyond where it is, px of a crop of 112 px: a blink, of which one
# sees enough as it is, must not tear the face.
MOST_PX = 12.0
# Where a place of the result comes from is found by steps of half the error; 10 of them leave less
# than 0.05 px where the skin is stretched up to threefold. Where it would fold, nothing is right.
DAMPING = 0.5
STEPS = 10


def lagrangian(clip: NDArray[np.uint8], start: Picture, gain: float) -> NDArray[np.uint8]:
    """A clip (N, S, S, 3) with its movement since `start` (S, S, 3) `gain` times as large."""
    return np.stack([_magnified(picture, local_flow(start, picture), gain) for picture in clip])


def _magnified(picture: Picture, flow: Flow, gain: float) -> Picture:
    """The picture (S, S, 3) with `flow` (112, 112, 2) `gain` times as large.

    What began at x0 is now at x0 + flow(x0), and is drawn at x0 + gain flow(x0).
    """
    side = len(picture)
    added = _bounded((gain - 1) * flow)
    from_start = _start_of(flow + added)
    offset = cv2.resize(_at(added, from_start), (side, side), interpolation=cv2.INTER_LINEAR)
    offset *= side / SIDE
    x, y = np.meshgrid(np.arange(side, dtype=np.float32), np.arange(side, dtype=np.float32))
    drawn: Picture = cv2.remap(
        picture,
        x - offset[..., 0],
        y - offset[..., 1],
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return drawn


def _start_of(way: Flow) -> Flow:
    """Which place x0 goes to each place x0 + way(x0): (112, 112, 2)."""
    ends = np.stack(places(), axis=-1)
    begins = ends - way
    for _ in range(STEPS):
        begins += DAMPING * (ends - begins - _at(way, begins))
    return begins


def _at(field: Flow, where: Flow) -> Flow:
    """Values of a field (112, 112, 2) at places (112, 112, 2)."""
    found: Flow = cv2.remap(field, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return found


def _bounded(added: Flow) -> Flow:
    """The same directions, none longer than MOST_PX; half of it is shortened by 4 %."""
    share = np.linalg.norm(added, axis=-1, keepdims=True) / MOST_PX
    return np.asarray(added / np.cbrt(1 + share**3), np.float32)
