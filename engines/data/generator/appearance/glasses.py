"""Drawn glasses: they go with the head, not with the skin, and mirror the room.

A highlight on a lens wanders as the head sways, and stays where it is while skin moves under it.
Not from the papers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..actions import Field, Geometry
from ..drawing import log_uniform

EYES = ((159, 145, 33, 133), (386, 374, 263, 362))  # landmarks about each eye
HALF_CM = ((1.9, 2.6), (1.5, 2.2))  # half width and half height of a lens
BELOW_CM = 0.25  # a lens' middle lies below the eye's
RIM_CM = (0.1, 0.5)  # thickness, log-uniform
ROUNDNESS = (2.0, 4.0)  # exponent of the outline: 2 an ellipse, more nearly a rectangle
TINT = (0.0, 0.15)  # of the lenses
HIGHLIGHTS = (1, 3)  # of each lens
HIGHLIGHT = (40.0, 160.0)  # grey levels
HIGHLIGHT_CM = (0.1, 0.5)
WANDER_PX = (0.2, 2.0)  # that highlights move by, log-uniform
WANDER_HZ = (0.1, 1.2)
TEMPLE_CM = 1.3  # of the temples that a camera in front sees
FINE = 4  # the rim is drawn so many times larger


@dataclass(frozen=True, eq=False)
class Glasses:
    """Glasses of one clip on a picture (H, W).

    clear: (H, W, 3) share of the picture that stays; added: (H, W, 3) grey levels of rim and tint;
    shine: (H, W) grey levels of the highlights, which wander by `wander` px at `hz`.
    """

    clear: Field
    added: Field
    shine: Field
    wander: float
    hz: tuple[float, float]
    phase: tuple[float, float]

    @classmethod
    def draw(cls, geometry: Geometry, rng: np.random.Generator) -> Glasses:
        """Glasses of random form on a face."""
        shape = (geometry.height, geometry.width)
        half = [float(rng.uniform(*span)) for span in HALF_CM]
        rim = log_uniform(rng, RIM_CM)
        roundness = float(rng.uniform(*ROUNDNESS))
        cover = np.zeros(shape, np.float32)
        glass = np.zeros(shape, np.float32)
        shine = np.zeros(shape, np.float32)
        inner = []
        for eye in EYES:
            centre = geometry.landmarks[list(eye)].mean(0)
            centre = centre + geometry.down * BELOW_CM * geometry.px_per_cm
            u, v = geometry.local(centre)
            outline = (np.abs(u / half[0]) ** roundness + np.abs(v / half[1]) ** roundness) ** (
                1 / roundness
            )
            away = (outline - 1) * min(half)  # cm beyond the outline
            soft = 0.5 / geometry.px_per_cm
            cover = np.maximum(cover, np.clip((rim / 2 - np.abs(away)) / soft + 0.5, 0, 1))
            inside = np.clip(-away / soft, 0, 1)
            glass = np.maximum(glass, inside)
            shine += inside * _highlights(rng, u, v, half)
            inner.append(centre)
        cover = np.maximum(cover, _bridge(geometry, inner, half[0], rim))
        colour = rng.uniform(0, 90) + rng.uniform(-15, 15, 3)
        tint = float(rng.uniform(*TINT))
        clear = (1 - cover) * (1 - tint * glass)
        added = cover[..., None] * np.clip(colour, 0, 255)
        slow, fast = log_uniform(rng, WANDER_HZ), log_uniform(rng, WANDER_HZ)
        one, two = rng.uniform(0, 2 * math.pi, 2)
        return cls(
            np.repeat(clear[..., None], 3, -1).astype(np.float32),
            added.astype(np.float32),
            shine.astype(np.float32),
            log_uniform(rng, WANDER_PX),
            (slow, fast),
            (float(one), float(two)),
        )

    def put_on(self, image: NDArray[np.uint8], t: float) -> NDArray[np.uint8]:
        """The picture (H, W, 3) with the glasses at time t (s)."""
        across, down = (
            self.wander * math.sin(2 * math.pi * hz * t + phase)
            for hz, phase in zip(self.hz, self.phase, strict=True)
        )
        worn: Any = cv2.multiply(image, self.clear, dtype=cv2.CV_32F)
        worn += self.added
        move = np.array([[1, 0, across], [0, 1, down]], np.float32)
        height, width = self.shine.shape
        shine = cv2.warpAffine(self.shine, move, (width, height), flags=cv2.INTER_LINEAR)
        worn += shine[..., None]
        return np.asarray(np.clip(worn, 0, 255), np.uint8)


def _highlights(rng: np.random.Generator, u: Field, v: Field, half: list[float]) -> Field:
    """(H, W) grey levels of the highlights on one lens, slanted streaks and spots."""
    total = np.zeros_like(u)
    for _ in range(int(rng.integers(HIGHLIGHTS[0], HIGHLIGHTS[1] + 1))):
        angle = rng.uniform(0, math.pi)
        x = u - rng.uniform(-0.8, 0.8) * half[0]
        y = v - rng.uniform(-0.8, 0.8) * half[1]
        along = x * math.cos(angle) + y * math.sin(angle)
        across = y * math.cos(angle) - x * math.sin(angle)
        length, width = log_uniform(rng, HIGHLIGHT_CM), log_uniform(rng, HIGHLIGHT_CM)
        level = rng.uniform(*HIGHLIGHT)
        total += level * np.exp(-0.5 * ((along / length) ** 2 + (across / width) ** 2))
    return np.asarray(total, np.float32)


def _bridge(
    geometry: Geometry, centres: list[NDArray[np.float64]], half: float, rim: float
) -> Field:
    """(H, W) cover of what joins the lenses, and of the temples beside them."""
    drawn = np.zeros((FINE * geometry.height, FINE * geometry.width), np.float32)
    reach = half * geometry.px_per_cm * geometry.right
    right, left = centres
    thick = max(round(FINE * rim * geometry.px_per_cm), 1)
    side = TEMPLE_CM * geometry.px_per_cm * geometry.right
    for one, other in (
        (right + reach, left - reach),
        (right - reach, right - reach - side),
        (left + reach, left + reach + side),
    ):
        ends = [tuple(np.rint(FINE * end).astype(int).tolist()) for end in (one, other)]
        cv2.line(drawn, ends[0], ends[1], 1.0, thick, cv2.LINE_AA)
    size = (geometry.width, geometry.height)
    return np.asarray(cv2.resize(drawn, size, interpolation=cv2.INTER_AREA), np.float32)
