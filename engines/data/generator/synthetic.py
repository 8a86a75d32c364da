"""Synthetic clips with truth: a still face moved by action-unit fields, a camera and an aligner.

`Renderer` makes training clips at crop resolution, with a model of camera, codec and alignment.
Whole frames, which go through the real aligner, are made by `video_scene`. Not from the papers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...alignment.aligner import face_to_crop
from ..faces import FaceAsset
from .actions import Field, Geometry
from .appearance.look import Look, draw_look, of_small_faces
from .basis import Basis
from .behaviour import draw_actions
from .camera import (
    WARP_HZ,
    WARPS,
    AlignmentResidual,
    Sensor,
    Waves,
    capture_times,
    coded,
    nonrigid_warps,
    parallax,
    similarity,
)
from .families import MeasuredField
from .motion import Motion, shade, strengths_at
from .timeline import Action, Movement, Recipe

__all__ = ["Clip", "Motion", "Renderer", "shade", "strengths_at"]

MARGIN = 16  # px of face kept around the crop, so that motion brings in real pixels
LOOKS = 1  # beside a clip's seed: what its look is drawn from
TURNS = (("YAW", ""), ("PITCH", ""))
TURN_PER_PX = 0.004  # radians of roll that go with a px of sway
GROWTH_PER_PX = 0.002  # share by which the face comes nearer, per px of sway


@dataclass(frozen=True, eq=False)
class Clip:
    """Crops (N, 3, S, S) uint8 RGB at times_ns (N,), rising from 0, and all their movements.

    reversible: played backward it is as likely. labelled: everything that moves is a movement.
    """

    face: str
    split: str
    times_ns: NDArray[np.int64]
    crops: NDArray[np.uint8]
    movements: tuple[Movement, ...]
    reversible: bool = True
    labelled: bool = True


class Renderer:
    """Training clips of one face at crop resolution `side`; moved by `basis` where it is given.

    measured: fields that the recipe's measured family is drawn from.
    """

    def __init__(
        self,
        face: FaceAsset,
        side: int = 112,
        recipe: Recipe | None = None,
        basis: Basis | None = None,
        measured: Sequence[MeasuredField] = (),
    ) -> None:
        self.face = face
        self.side = side
        self._measured = measured
        self.recipe = recipe or Recipe()
        affine = face_to_crop(face.landmarks, side).matrix
        self._size = side + 2 * MARGIN
        size = (self._size, self._size)
        reduced, shifted = _reduce(face.image, affine + np.array([[0, 0, MARGIN], [0, 0, MARGIN]]))
        self._base: Any = cv2.warpAffine(
            reduced, shifted, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
        )
        points = face.landmarks[:, :2] @ affine[:, :2].T + affine[:, 2] + MARGIN
        geometry = Geometry.of(points, self._size, self._size)
        self._residual = AlignmentResidual(side, MARGIN)
        depth = face.landmarks[:468, 2] * math.hypot(*affine[0, :2])
        yaw, pitch = (self._residual(field) for field in parallax(geometry, depth))
        self._motion = Motion(geometry, {("YAW", ""): yaw, ("PITCH", ""): pitch}, basis)
        y, x = np.mgrid[: self._size, : self._size].astype(np.float32)
        self._grid = np.stack([x, y], axis=-1)

    def clip(self, seed: int, seconds: float) -> Clip:
        """The clip of a seed."""
        rng = np.random.default_rng(seed)
        apart = np.random.default_rng([seed, LOOKS])  # the rest is drawn as without any look
        recipe = of_small_faces(apart, self.recipe)
        look = draw_look(apart, recipe.looks, self._base, self._motion.geometry)
        actions = self.behaviour(rng, seconds, recipe)
        times = capture_times(rng, seconds, recipe)
        at = times / 1e9
        always, amounts = self._always_moving(rng, at)
        scale = math.exp(rng.uniform(*np.log(recipe.shrink)))
        size = 2 * round(self._size * scale / 2)
        poses = self._poses(rng, at, size, _turned(actions, at) * recipe.head_px_per_rad)
        sensor = Sensor(rng, recipe, size, look.gain, look.noise)
        pictures = []
        for i, t in enumerate(at.tolist()):
            flow = self._motion.total(strengths_at(actions, t))
            for field, amount in zip(always, amounts[i].tolist(), strict=True):
                cv2.scaleAdd(field, amount, flow, flow)
            picture = cv2.warpAffine(
                self._shown(look, flow, t),
                poses[i],
                (size, size),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REFLECT,
            )
            pictures.append(sensor(np.asarray(picture, np.uint8), t))
        frames = coded(pictures, rng, recipe, 1e9 / float(np.median(np.diff(times))))
        crops = self._aligned(frames, poses, rng, np.diff(at, prepend=at[0]))
        movements = tuple(action.movement for action in actions)
        reversible = all(action.reversible for action in actions)
        return Clip(self.face.name, self.face.split, times, crops, movements, reversible)

    def behaviour(self, rng: np.random.Generator, seconds: float, recipe: Recipe) -> list[Action]:
        """Everything that the face does in a clip; an examination draws MEs of its own."""
        return draw_actions(rng, seconds, recipe, self._motion.peak, self._measured)

    def _always_moving(
        self, rng: np.random.Generator, at: NDArray[np.float64]
    ) -> tuple[list[Field], NDArray[np.float64]]:
        """Fields of head and skin, which never rest, and their shares at every time (T, fields)."""
        recipe = self.recipe
        fields = [self._motion.field(("YAW", "")), self._motion.field(("PITCH", ""))]
        fields += [self._residual(field) for field in nonrigid_warps(rng, self._size)]
        turn = math.exp(rng.uniform(*np.log(recipe.sway_rad)))
        warp = math.exp(rng.uniform(*np.log(recipe.warp_px))) / math.sqrt(WARPS)
        turns = Waves(rng, 2)(at) * turn
        warps = Waves(rng, WARPS, WARP_HZ)(at) * warp
        return fields, np.hstack([turns, warps])

    def _shown(self, look: Look, flow: Field, t: float) -> NDArray[np.uint8]:
        """The face (H, W, 3) as it looks at time t (s), moved by the flow."""
        places = self._grid - flow
        border = cv2.BORDER_REFLECT
        image: Any = cv2.remap(look.portrait, places, None, cv2.INTER_LINEAR, borderMode=border)
        lines: Any = None
        if look.lines is not None:
            lines = cv2.remap(look.lines, places, None, cv2.INTER_LINEAR, borderMode=border)
        shade(image, flow, lines)
        self._motion.open_mouth(image, flow, 1.0)
        if look.glasses is not None:
            image = look.glasses.put_on(image, t)
        return np.asarray(image, np.uint8)

    def _poses(
        self,
        rng: np.random.Generator,
        at: NDArray[np.float64],
        size: int,
        shifted: NDArray[np.float64],
    ) -> list[NDArray[np.float64]]:
        """(2, 3) from the picture of `size` px to the face's own px, for every time.

        shifted: (T, 2) px that the head's turns add.
        """
        amount = math.exp(rng.uniform(*np.log(self.recipe.sway_px)))
        waves = Waves(rng, 4)(at) * amount
        zoom = np.diag([self._size / size, self._size / size, 1.0])
        zoom[:2, 2] = (self._size / size - 1) / 2
        waves[:, 2:] *= TURN_PER_PX, GROWTH_PER_PX
        waves[:, :2] += np.clip(shifted, -MARGIN, MARGIN)
        return [similarity(wave[:2], wave[2], wave[3], self._size) @ zoom for wave in waves]

    def _aligned(
        self,
        frames: Sequence[NDArray[np.uint8]],
        poses: list[NDArray[np.float64]],
        rng: np.random.Generator,
        steps: NDArray[np.float64],
    ) -> NDArray[np.uint8]:
        """(N, 3, S, S) RGB: each picture cut out along its true pose and the aligner's error."""
        crops = np.empty((len(frames), 3, self.side, self.side), np.uint8)
        errors = _errors(rng, steps, self.recipe, self.side)
        into = np.array([[1.0, 0, MARGIN], [0, 1, MARGIN], [0, 0, 1]])
        for i, (frame, pose) in enumerate(zip(frames, poses, strict=True)):
            wrong = similarity(errors[i, :2], errors[i, 2], errors[i, 3], self.side)
            back = np.linalg.inv(np.vstack([pose, [0, 0, 1]]))[:2]  # the face's px -> the picture's
            place = back @ into @ np.vstack([wrong, [0, 0, 1]])
            crop = cv2.warpAffine(
                frame,
                place,
                (self.side, self.side),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REFLECT,
            )
            crops[i] = crop[:, :, ::-1].transpose(2, 0, 1)
        return crops


def _reduce(
    image: NDArray[np.uint8], affine: NDArray[np.float64]
) -> tuple[Any, NDArray[np.float64]]:
    """Halve an image that is much finer than its crop, so that the warp does not alias."""
    result: Any = image
    while math.hypot(affine[0, 0], affine[0, 1]) < 0.6:
        result = cv2.resize(result, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        affine = np.concatenate([affine[:, :2] * 2, affine[:, 2:]], axis=1)
    return result, affine


def _turned(actions: list[Action], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, 2) yaw and pitch in radians of the turns among `actions` at times (T,) s."""
    total = np.zeros((len(at), 2))
    for action in actions:
        for i, unit in enumerate(TURNS):
            if unit in action.strengths:
                levels = [action.curve(t) for t in at.tolist()]
                total[:, i] += action.strengths[unit] * np.array(levels)
    return total


def _errors(
    rng: np.random.Generator, steps: NDArray[np.float64], recipe: Recipe, side: int
) -> NDArray[np.float64]:
    """(N, 4) shift in px, turn and growth that the aligner errs by.

    They are white jitter on a slow drift from a place of the clip.
    """
    unit = np.array([1, 1, 1 / side, 1 / side])
    white = float(rng.uniform(*recipe.jitter_px))
    drift = Waves(rng, 4)(np.cumsum(steps)) * rng.uniform(0, 1) * recipe.drift_px
    place = rng.normal(0, 1, 4) * recipe.place_px * np.array([1, 1, 0.015 / 2, 0.015])
    return np.asarray((drift + rng.normal(0, white, (len(steps), 4))) * unit + place)
