"""Synthetic video with truth: whole frames of a face that sways in its photo.

The frames go through the real aligner: they are the source `sample:synthetic` and the
examination's sweep. Not from the papers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...alignment.aligner import face_to_crop
from .actions import Geometry
from .behaviour import draw_actions
from .families import MeasuredField
from .synthetic import Motion, shade, strengths_at
from .timeline import Movement, Recipe

VIDEO_RECIPE = Recipe(
    micro_per_min=20.0,
    macro_per_min=2.0,
    blink_per_min=12.0,
    speech_per_min=0.0,
    turn_per_min=0.0,
    swallow_per_min=0.0,
    micro_px=(0.9, 1.9),
    margin_s=1.2,
)
SWAY_PX = 3.0
SWAY_RAD = 0.012
SWAY_HZ = (0.1, 0.35)
VIDEO_NOISE = 2.0  # grey levels
NOISE_SHIFTS = 64  # px that one picture of noise is moved by at random, so that frames differ


def render_video(
    image: NDArray[np.uint8],
    landmarks: NDArray[np.float64],
    seed: int,
    seconds: float = 30.0,
    hz: int = 30,
    recipe: Recipe = VIDEO_RECIPE,
    side: int = 112,
) -> tuple[list[Movement], Iterator[tuple[int, NDArray[np.uint8]]]]:
    """Truth and frames (captured_ns, HxWx3 BGR) of a face that sways in its photo.

    Deterministic in the seed. Displacements of the recipe are px of a crop of `side`, whatever the
    photo's resolution.
    """
    scene = VideoScene(image, landmarks, seed, seconds, hz, recipe, side)
    frames = ((scene.at_ns(i), scene.frame(i)) for i in range(int(seconds * hz)))
    return scene.movements, frames


class VideoScene:
    """A face that sways in its photo, any frame of it; arguments as of `render_video`.

    measured: fields that the recipe's measured family is drawn from.
    """

    def __init__(
        self,
        image: NDArray[np.uint8],
        landmarks: NDArray[np.float64],
        seed: int,
        seconds: float,
        hz: int,
        recipe: Recipe,
        side: int = 112,
        measured: Sequence[MeasuredField] = (),
    ) -> None:
        rng = np.random.default_rng(seed)
        self._seed = seed
        self._hz = hz
        self._image = image
        self._height, self._width = image.shape[:2]
        self._motion = Motion(Geometry.of(landmarks, self._height, self._width))
        self._to_crop = math.hypot(*face_to_crop(landmarks, side).matrix[0, :2])
        self._actions = draw_actions(
            rng, seconds, recipe, lambda s: self._motion.peak(s) * self._to_crop, measured
        )
        self.movements = [action.movement for action in self._actions]
        self._centre = tuple(landmarks[1, :2].tolist())
        self._waves = [
            (rng.uniform(*SWAY_HZ), rng.uniform(0, 6.28), rng.uniform(0.4, 1.0)) for _ in range(3)
        ]
        shape = (self._height + NOISE_SHIFTS, self._width + NOISE_SHIFTS, 3)
        self._noise = rng.normal(0, VIDEO_NOISE, shape).astype(np.float32)
        y, x = np.mgrid[: self._height, : self._width].astype(np.float32)
        self._grid = np.stack([x, y], axis=-1)

    def at_ns(self, index: int) -> int:
        """When a frame is captured."""
        return round(index * 1e9 / self._hz)

    def frame(self, index: int) -> NDArray[np.uint8]:
        """A frame (H, W, 3) BGR."""
        t = index / self._hz
        rng = np.random.default_rng([self._seed, index])
        size = (self._width, self._height)
        swayed = cv2.warpAffine(
            self._moved(t),
            self._pose(t),
            size,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT,
        )
        r, c = rng.integers(0, NOISE_SHIFTS, 2)
        noisy = swayed + self._noise[r : r + self._height, c : c + self._width]
        return np.asarray(np.clip(noisy, 0, 255), np.uint8)

    def _moved(self, t: float) -> NDArray[np.uint8]:
        """The photo with the movements of time t."""
        flow = self._motion.total(strengths_at(self._actions, t))
        moved: Any = cv2.remap(
            self._image, self._grid - flow, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
        )
        shade(moved, flow)
        self._motion.open_mouth(moved, flow, 1 / self._to_crop)
        return np.asarray(moved, np.uint8)

    def _pose(self, t: float) -> NDArray[np.float64]:
        """(2, 3) from the photo to where it has swayed at time t."""
        dx, dy, turn = (a * math.sin(6.28 * f * t + p) for f, p, a in self._waves)
        pose: Any = cv2.getRotationMatrix2D(self._centre, math.degrees(SWAY_RAD * turn), 1.0)
        pose[:, 2] += np.array([dx, dy]) * SWAY_PX
        return np.asarray(pose, np.float64)
