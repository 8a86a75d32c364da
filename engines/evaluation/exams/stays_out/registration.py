"""How the skin moved between two crops of one face: dense registration without head motion.

Flow is that of DIS (Kroeger et al. 2016) in both directions. Where both disagree, in open eyes, and
between the lips it counts nothing. A similarity, yaw and pitch are fitted to it at the points of
the mesh, robustly, and taken away: what is left is skin. Points where nothing counts, on lids above
all, go along with the skin around them, so that a field has no holes. Not from the papers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ....data.generator.actions import Geometry
from ....data.generator.basis import POINTS

SIDE = 160  # px of the crops that are registered
AGREE_PX = 0.35  # forward and backward flow may differ by this
AGREE_SHARE = 0.15  # and by this share of the flow
SMOOTH_CM = 0.35  # standard deviation of the smoothing
RELIABLE = 0.5  # share of agreeing pixels around a point of the mesh that counts
FIT_ROUNDS = 6  # of the robust fit
FIT_SPREAD = 1.5  # residuals beyond this many medians lose weight
LEAST_SPREAD_CM = 0.005
FILL_CM = 0.5  # standard deviation of the weights by which points without flow follow others
FILL_FROM = 1e-3  # sum of these weights under which a point is too far from others and stays
EDGE_PX = 3  # of the crop, where flow is not used
TURNS = slice(4, 6)  # yaw and pitch among the six parameters of a head's motion

# Rings of the mesh within which skin is not seen: both eyes, and the gap between the lips.
EYES = (
    (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7),
    (362, 398, 384, 385, 386, 387, 388, 466, 263, 249, 390, 373, 374, 380, 381, 382),
)
GAP = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)

Floats = NDArray[np.float64]
Grey = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class SkinMotion:
    """What moved between two crops, in cm along the face's axes (+x image right, +y down).

    moves (468, 2): at the points of the mesh. reliable (468,): whether both directions agreed
    there; elsewhere points follow those nearby. places (468, 2): the points along the same axes,
    cm. turn: by how much the head turned and nodded, rad.
    """

    moves: Floats
    reliable: NDArray[np.bool_]
    places: Floats
    turn: float


def grey(crop: NDArray[np.uint8]) -> Grey:
    """The brightness (S, S) of a crop (3, S, S) RGB."""
    pixels = np.ascontiguousarray(crop.transpose(1, 2, 0))
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)


def skin_motion(before: Grey, after: Grey, points: Floats) -> SkinMotion:
    """The motion of the skin from one crop (S, S) to another.

    points: the mesh (>= 468, 3) of the first crop in its px, z on the same scale.
    """
    side = before.shape[0]
    geometry = Geometry.of(points, side, side)
    smooth, share = _agreed(before, after, points, geometry.px_per_cm)
    at = points[:POINTS, :2].astype(np.float32)
    sampled = _sampled(smooth, at)
    inside = ((at >= EDGE_PX) & (at <= side - 1 - EDGE_PX)).all(1)
    reliable = inside & (_sampled(share, at) >= RELIABLE)
    axes = np.stack([geometry.right, geometry.down], axis=1)
    moves = sampled @ axes / geometry.px_per_cm
    places = (points[:POINTS, :2] - points[:POINTS, :2].mean(0)) @ axes / geometry.px_per_cm
    depth = points[:POINTS, 2] / geometry.px_per_cm
    left, head = without_head_motion(moves, places, depth, reliable)
    turn = float(np.hypot(*head[TURNS]))
    return SkinMotion(filled(left, places, reliable), reliable, places, turn)


def filled(moves: Floats, places: Floats, reliable: NDArray[np.bool_]) -> Floats:
    """Displacements (N, 2) whose unreliable points follow the reliable ones around them.

    Each takes the mean of the reliable ones, weighted by a Gaussian of their distance; farther than
    any of them it stays. places (N, 2): the points, cm. Not from the papers.
    """
    away = np.hypot(*(places[:, None] - places[None, reliable]).transpose(2, 0, 1))
    weight = np.exp(-0.5 * (away / FILL_CM) ** 2)
    around = weight @ moves[reliable] / (weight.sum(1, keepdims=True) + FILL_FROM)
    return np.asarray(np.where(reliable[:, None], moves, around), np.float64)


def without_head_motion(
    moves: Floats, places: Floats, depth: Floats, counted: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Displacements (N, 2) without their best similarity, yaw and pitch, and those (6,).

    places (N, 2) and depth (N,) of the points in cm; only the `counted` (N,) set the fit. Points
    that move otherwise than most lose their weight. The six are shift across and down in cm, growth
    as a share, and roll, yaw and pitch in rad.
    """
    one = np.ones(len(places))
    none = np.zeros(len(places))
    x, y = places.T
    z = depth - depth.mean()
    across = np.stack([one, none, x, -y, z, none], axis=1)
    down = np.stack([none, one, y, x, none, z], axis=1)
    columns = np.stack([across, down], axis=1)  # (N, 2, 6)
    weight = counted.astype(np.float64)
    left = moves
    share = np.zeros(columns.shape[-1])
    for _ in range(FIT_ROUNDS):
        weighted = columns * weight[:, None, None]
        normal = np.einsum("nak,nal->kl", weighted, columns) + 1e-9 * np.eye(columns.shape[-1])
        share = np.linalg.solve(normal, np.einsum("nak,na->k", weighted, moves))
        left = moves - columns @ share
        size = np.hypot(*left.T)
        spread = max(float(np.median(size[counted])) if counted.any() else 0.0, LEAST_SPREAD_CM)
        weight = counted / (1 + (size / (FIT_SPREAD * spread)) ** 2)
    return np.asarray(left, np.float64), np.asarray(share, np.float64)


def _agreed(
    before: Grey, after: Grey, points: Floats, px_per_cm: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Smoothed flow (S, S, 2) in px of what both directions agree on, and the share (S, S)."""
    forward = _flow(before, after)
    backward = _flow(after, before)
    side = before.shape[0]
    y, x = np.mgrid[:side, :side].astype(np.float32)
    grid = np.stack([x, y], axis=-1)
    returned: Any = cv2.remap(
        backward, grid + forward, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    size = np.hypot(forward[..., 0], forward[..., 1])
    error = np.hypot(*np.moveaxis(forward + returned, -1, 0))
    agreed = (error <= AGREE_PX + AGREE_SHARE * size).astype(np.float32)
    for ring in (*EYES, GAP):
        cv2.fillPoly(agreed, [np.rint(points[list(ring), :2]).astype(np.int32)], 0.0)
    sigma = SMOOTH_CM * px_per_cm
    share = cv2.GaussianBlur(agreed, (0, 0), sigma)
    summed = cv2.GaussianBlur(forward * agreed[..., None], (0, 0), sigma)
    smooth = summed / np.maximum(share, 1e-3)[..., None]
    return np.asarray(smooth, np.float32), np.asarray(share, np.float32)


def _flow(before: Grey, after: Grey) -> NDArray[np.float32]:
    """DIS flow (S, S, 2) in px from one crop to the other."""
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    method.setFinestScale(0)
    no_start: Any = None
    return np.asarray(method.calc(before, after, no_start), np.float32)


def _sampled(values: NDArray[np.float32], at: NDArray[np.float32]) -> Floats:
    """Values (S, S[, C]) at points (N, 2) px, between pixels linearly: (N[, C])."""
    found: Any = cv2.remap(
        values, at[None], None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(found[0], np.float64)
