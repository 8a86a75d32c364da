"""Skin: darker tones, stubble and beards, and lines that darken where skin is pressed.

Tones and textures are drawn into a clip's portrait once. Lines are drawn where faces wrinkle,
across the motion that presses them; at rest they do not show. Not from the papers.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..actions import Field, Geometry

Image = NDArray[np.uint8]

GAMMA = (1.25, 2.0)  # of a darker tone
WARMTH = (0.94, 1.10)  # times the exponent of red and of blue: dark skin is warm
EYES = (
    (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7),
    (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249),
)
LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
# Down one side of the jaw and up the other, then over the upper lip back again
BEARD = (
    132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 411, 327,
    2, 98, 187,
)  # fmt: skip
HAIR = (0.15, 0.75)  # how much darker a beard's skin is
HAIR_CM = 0.09  # sd of what blurs its hairs: a pixel and less
PATCHY_CM = 0.7
FULL_BEARD = 0.4  # share of beards that hide the skin evenly; the rest is stubble
# Lines: polylines of landmarks, each drawn at some of the offsets (cm down the face)
FOREHEAD = (68, 104, 69, 108, 151, 337, 299, 333, 298)
FOREHEAD_CM = (-0.5, 0.1, 0.7)
FOLDS = ((129, 203, 206, 216, 212), (358, 423, 426, 436, 432))  # from nose to mouth corner
GLABELLA_CM = (-0.35, 0.35)  # from the middle
CROWS_FEET = ((33, -1.0), (263, 1.0))  # outer eye corner and its way out
CROWS_FEET_CM = (0.35, 1.3)  # from the corner
CROWS_FEET_ANGLES = (-0.5, 0.0, 0.5)  # radians
CHIN = (204, 201, 200, 421, 424)
LINE_CM = 0.08  # sd of a line's width
KEPT_LINES = 0.75  # share of the lines that a face has


def darker(image: Image, geometry: Geometry, rng: np.random.Generator) -> Image:
    """The image (H, W, 3) BGR in a darker tone; the eyes stay as they are."""
    gamma = rng.uniform(*GAMMA)
    low, high = WARMTH
    levels = np.linspace(0, 1, 256)
    tables = [255 * levels ** (gamma * warm) for warm in (high, 1.0, low)]
    table = np.stack(tables, -1).astype(np.uint8)[:, None, :]
    toned: Any = cv2.LUT(image, table.reshape(1, 256, 3))
    eyes = np.zeros(image.shape[:2], np.float32)
    for ring in EYES:
        cv2.fillPoly(eyes, [_rounded(geometry, ring)], 1.0)
    eyes = cv2.GaussianBlur(eyes, (0, 0), 0.8)[..., None]
    return np.asarray(image * eyes + toned * (1 - eyes), np.uint8)


def bearded(image: Image, geometry: Geometry, rng: np.random.Generator) -> Image:
    """The image (H, W, 3) with stubble or a beard."""
    scale = geometry.px_per_cm
    where = np.zeros(image.shape[:2], np.float32)
    cv2.fillPoly(where, [_rounded(geometry, BEARD)], 1.0)
    where = cv2.GaussianBlur(where, (0, 0), 0.3 * scale)
    lips = np.zeros_like(where)
    cv2.fillPoly(lips, [_rounded(geometry, LIPS)], 1.0)
    where *= 1 - np.clip(1.5 * cv2.GaussianBlur(lips, (0, 0), 0.08 * scale), 0, 1)
    hairs = _texture(rng, where.shape, HAIR_CM * scale)
    patches = _texture(rng, where.shape, PATCHY_CM * scale)
    if rng.random() < FULL_BEARD:
        cover = np.clip(0.75 + 0.15 * hairs + 0.1 * patches, 0, 1)
    else:
        cover = np.clip(0.4 + 0.22 * hairs + 0.15 * patches, 0, 1)
    dark = rng.uniform(*HAIR) * (where * cover)[..., None]
    tint = np.array([1.0, 0.95, 0.88], np.float32)  # BGR: hair is a little red
    return np.asarray(np.clip(image * (1 - dark * tint), 0, 255), np.uint8)


def lines(geometry: Geometry, rng: np.random.Generator) -> Field:
    """(H, W) from 0 to 1: where a face has lines that show when its skin is pressed."""
    points = geometry.landmarks
    cm_down = geometry.down * geometry.px_per_cm
    cm_right = geometry.right * geometry.px_per_cm
    found = [points[list(FOREHEAD)] + cm_down * at for at in FOREHEAD_CM]
    found += [points[list(fold)] for fold in FOLDS]
    found += [points[[9, 8]] + cm_right * at for at in GLABELLA_CM]
    found.append(points[list(CHIN)])
    for corner, out in CROWS_FEET:
        for angle in CROWS_FEET_ANGLES:
            way = out * math.cos(angle) * cm_right + math.sin(angle) * cm_down
            found.append(points[corner] + np.outer(CROWS_FEET_CM, way))
    drawn = np.zeros((geometry.height, geometry.width), np.float32)
    for line in found:
        if rng.random() < KEPT_LINES:
            strength = float(rng.uniform(0.4, 1.0))
            shifted = line + rng.normal(0, 0.15, 2) * geometry.px_per_cm
            at = np.rint(shifted * 8).astype(np.int32)  # eighths of a pixel
            one = np.zeros_like(drawn)
            cv2.polylines(one, [at], False, strength, 1, cv2.LINE_8, 3)
            drawn = np.maximum(drawn, one)
    blurred: Any = cv2.GaussianBlur(drawn, (0, 0), max(LINE_CM * geometry.px_per_cm, 0.5))
    return np.asarray(blurred, np.float32)


def _texture(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> Field:
    """Noise (H, W) of standard deviation 1, blurred by `sigma` px."""
    noise = cv2.GaussianBlur(rng.standard_normal(shape, np.float32), (0, 0), max(sigma, 0.3))
    return np.asarray(noise / noise.std(), np.float32)


def _rounded(geometry: Geometry, at: tuple[int, ...]) -> NDArray[np.int32]:
    return np.rint(geometry.landmarks[list(at)]).astype(np.int32)
