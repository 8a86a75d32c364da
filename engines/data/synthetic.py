"""Synthetic clips with truth: a still face moved by action-unit fields, seen by a synthetic camera and aligner.

`Renderer` makes training clips straight at crop resolution, with a model of camera, codec and alignment;
`render_video` makes whole frames for `sample:synthetic`, which go through the real aligner. Not from the papers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..align import face_to_crop
from .actions import SIDES, Field, Geometry, motion_field
from .faces import FaceAsset
from .timeline import Action, Movement, Recipe, Strengths, Unit, capture_times, draw_actions

MARGIN = 16  # px of face kept around the crop, so that motion brings in real pixels
SHADING = 0.25  # brightness follows the divergence of the motion: stretched skin is brighter
MOUTH_COLOUR = (38, 30, 58)  # BGR of an open mouth's inside
MOUTH_OPEN_PX = 0.5  # at crop resolution
BLOCK = 8  # codec block
QUIET_LEVELS = (0.6, 1.8)  # grey levels under which a block is frozen


@dataclass(frozen=True, eq=False)
class Clip:
    """Crops (N, 3, S, S) uint8 RGB at times_ns (N,), strictly rising from 0, with every movement in them."""

    face: str
    split: str
    times_ns: NDArray[np.int64]
    crops: NDArray[np.uint8]
    movements: tuple[Movement, ...]


class Motion:
    """The motion fields of one face, made when first needed."""

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry
        self._fields: dict[Unit, Field] = {}
        self._mouth = geometry.landmarks[[13, 14]].mean(0)
        self._mouth_half = float(np.hypot(*(geometry.landmarks[308] - geometry.landmarks[78]))) / 2

    def field(self, unit: Unit) -> Field:
        """(H, W, 2) px at full strength."""
        if unit not in self._fields:
            self._fields[unit] = motion_field(self.geometry, *unit)
        return self._fields[unit]

    def total(self, strengths: Strengths) -> Field:
        """Sum over units, (H, W, 2) px."""
        flow = np.zeros((self.geometry.height, self.geometry.width, 2), np.float32)
        for unit, strength in strengths.items():
            cv2.scaleAdd(self.field(unit), strength, flow, flow)
        return flow

    def peak(self, strengths: Strengths) -> float:
        """Peak displacement in px."""
        flow = self.total(strengths)
        return float(np.sqrt((flow**2).sum(-1).max()))

    def open_mouth(self, image: NDArray[np.uint8], flow: Field, scale: float) -> None:
        """Darken the gap between parted lips, in place; `scale` is output px per crop px."""
        x, y = (round(float(c)) for c in self._mouth)
        below = min(y + 3, flow.shape[0] - 1)
        gap = float(flow[below, x] @ self.geometry.down) - float(flow[max(y - 3, 0), x] @ self.geometry.down)
        if gap < MOUTH_OPEN_PX * scale:
            return
        centre = self._mouth + self.geometry.down * (gap / 2)
        angle = math.degrees(math.atan2(self.geometry.right[1], self.geometry.right[0]))
        axes = (self._mouth_half * 0.72 * min(1.0, 0.6 + gap / self._mouth_half), max(gap / 2, 0.5))
        mask = np.zeros(image.shape[:2], np.uint8)
        cv2.ellipse(mask, (tuple(centre.tolist()), (2 * axes[0], 2 * axes[1]), angle), 255, -1)
        soft = cv2.GaussianBlur(mask, (0, 0), 0.5 + 0.3 * scale)[..., None].astype(np.float32) / 255
        image[:] = np.asarray(image * (1 - soft) + np.array(MOUTH_COLOUR, np.float32) * soft, np.uint8)


def strengths_at(actions: list[Action], t: float) -> Strengths:
    """Every unit's strength at time t (s); overlapping movements add up, but no eye closes or turns twice."""
    total: Strengths = {}
    for action in actions:
        level = action.curve(t)
        if level > 0:
            for unit, strength in action.strengths.items():
                total[unit] = total.get(unit, 0.0) + level * strength
    for side in SIDES:
        for name in ("AU43", "GAZE"):
            if (name, side) in total:
                total[name, side] = min(max(total[name, side], -1.0), 1.0)
    return total


class Renderer:
    """Training clips of one face at crop resolution `side`."""

    def __init__(self, face: FaceAsset, side: int = 112, recipe: Recipe | None = None) -> None:
        self.face, self.side, self.recipe = face, side, recipe or Recipe()
        affine = face_to_crop(face.landmarks, side)
        size = side + 2 * MARGIN
        shifted = affine + np.array([[0, 0, MARGIN], [0, 0, MARGIN]])
        reduced, shifted = _reduce(face.image, shifted)
        self._base: Any = cv2.warpAffine(
            reduced, shifted, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
        )
        points = face.landmarks[:, :2] @ affine[:, :2].T + affine[:, 2]
        self._motion = Motion(Geometry.of(points, side, side))
        y, x = np.mgrid[:side, :side].astype(np.float32)
        self._grid = np.stack([x, y], axis=-1)

    def clip(self, seed: int, seconds: float) -> Clip:
        """The clip of a seed."""
        rng = np.random.default_rng(seed)
        recipe = self.recipe
        actions = draw_actions(rng, seconds, recipe, self._motion.peak)
        times = capture_times(rng, seconds, recipe)
        base = _soften(self._base, float(rng.uniform(*recipe.shrink)))
        poses = _poses(rng, times, recipe, self.side)
        camera = Camera(rng, recipe, self.side)
        crops = np.empty((len(times), 3, self.side, self.side), np.uint8)
        for i, at in enumerate(times):
            flow = self._motion.total(strengths_at(actions, float(at) / 1e9))
            image = self._render(base, flow, poses[i])
            crops[i] = camera(image, float(at) / 1e9)[:, :, ::-1].transpose(2, 0, 1)
        return Clip(self.face.name, self.face.split, times, crops, tuple(a.movement for a in actions))

    def _render(self, base: NDArray[np.uint8], flow: Field, pose: NDArray[np.float32]) -> NDArray[np.uint8]:
        at = self._grid @ pose[:, :2].T + pose[:, 2] - flow + np.float32(MARGIN)
        image: Any = cv2.remap(base, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        _shade(image, flow)
        self._motion.open_mouth(image, flow, 1.0)
        return np.asarray(image, np.uint8)


def _reduce(image: NDArray[np.uint8], affine: NDArray[np.float64]) -> tuple[Any, NDArray[np.float64]]:
    """Halve an image that is much finer than its crop, so that the warp does not alias."""
    result: Any = image
    while math.hypot(affine[0, 0], affine[0, 1]) < 0.6:
        result = cv2.resize(result, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        affine = np.concatenate([affine[:, :2] * 2, affine[:, 2:]], axis=1)
    return result, affine


def _soften(base: NDArray[np.uint8], shrink: float) -> NDArray[np.uint8]:
    """What a smaller face in the frame would keep of the detail."""
    if shrink >= 1:
        return base
    small = cv2.resize(base, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, base.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.uint8)


def _shade(image: NDArray[np.uint8], flow: Field) -> None:
    if not flow.any():
        return
    divergence = np.gradient(flow[..., 0], axis=1) + np.gradient(flow[..., 1], axis=0)
    gain = 1 + SHADING * np.clip(divergence, -0.4, 0.4)
    np.clip(image * gain[..., None], 0, 255, out=image, casting="unsafe")


def _poses(rng: np.random.Generator, times: NDArray[np.int64], recipe: Recipe, side: int) -> NDArray[np.float32]:
    """(N, 2, 3) output -> face maps: what alignment leaves, white jitter and a slow drift, in shift, turn and zoom."""
    count = len(times)
    white = float(rng.uniform(*recipe.jitter_px))
    steps = np.diff(times, prepend=times[0]) / 1e9
    keep = np.exp(-steps / recipe.drift_s)
    drift = np.zeros((count, 4))
    kicks = rng.normal(0, 1, (count, 4)) * np.sqrt(1 - keep**2)[:, None]
    for i in range(1, count):
        drift[i] = keep[i] * drift[i - 1] + kicks[i]
    slow = recipe.drift_px * np.array([1, 1, 2 / side, 2 / side]) * rng.uniform(0, 1)
    fast = white * np.array([1, 1, 1 / side, 1 / side])
    amount = drift * slow + rng.normal(0, 1, (count, 4)) * fast
    place = rng.normal(0, 1, 4) * np.array([2.0, 2.0, 0.03, 0.03])
    dx, dy, turn, zoom = (amount + place).T
    half = side / 2
    cos, sin = (1 + zoom) * np.cos(turn), (1 + zoom) * np.sin(turn)
    shift_x = dx + half - cos * half + sin * half
    shift_y = dy + half - sin * half - cos * half
    return np.stack([np.stack([cos, -sin, shift_x], 1), np.stack([sin, cos, shift_y], 1)], 1).astype(np.float32)


class Camera:
    """Light, sensor noise and codec of one clip."""

    def __init__(self, rng: np.random.Generator, recipe: Recipe, side: int) -> None:
        self._rng = rng
        self._noise = rng.normal(0, 1, (4 * side, 4 * side, 3)).astype(np.float32)
        if rng.random() < 0.5:
            self._noise = cv2.GaussianBlur(self._noise, (0, 0), 0.6) * np.float32(1.6)
        self._sigma = np.float32(rng.uniform(*recipe.noise))
        self._quality = int(rng.integers(*recipe.jpeg))
        self._freezes = rng.random() < recipe.skip_blocks
        self._quiet = float(rng.uniform(*QUIET_LEVELS))
        self._gain, self._ramp = rng.uniform(0.75, 1.2), rng.normal(0, 0.08)
        self._drift = recipe.light * rng.uniform(0, 1), rng.uniform(0.05, 0.6), rng.uniform(0, 6.28)
        self._flicker = (rng.uniform(0.002, 0.02) if rng.random() < recipe.flicker else 0.0), rng.uniform(2, 14)
        self._side = side
        self._x = np.linspace(-0.5, 0.5, side, dtype=np.float32)[None, :, None]
        self._last: NDArray[np.uint8] | None = None

    def __call__(self, image: NDArray[np.uint8], t: float) -> NDArray[np.uint8]:
        """The image as the camera and its codec give it at time t (s)."""
        amount, hz, phase = self._drift
        depth, rate = self._flicker
        gain = self._gain * (1 + amount * math.sin(6.28 * hz * t + phase) + depth * math.sin(6.28 * rate * t))
        row, column = self._rng.integers(0, 3 * self._side, 2)
        noise = self._noise[row : row + self._side, column : column + self._side]
        lit = image * (np.float32(gain) * (1 + np.float32(self._ramp) * self._x)) + noise * self._sigma
        seen = np.clip(lit, 0, 255).astype(np.uint8)
        _, packed = cv2.imencode(".jpg", seen, [cv2.IMWRITE_JPEG_QUALITY, self._quality])
        decoded = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
        if self._freezes:
            decoded = self._freeze(decoded)
        self._last = decoded
        return decoded

    def _freeze(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Blocks that hardly changed keep their last content, as video codecs at low bitrate do."""
        if self._last is None:
            return image
        change = cv2.absdiff(image, self._last).mean(-1, dtype=np.float32)
        blocks = cv2.resize(change, (self._side // BLOCK, self._side // BLOCK), interpolation=cv2.INTER_AREA)
        quiet = blocks < self._quiet * (1 + float(self._sigma) / 2)
        mask: Any = cv2.resize(quiet.astype(np.uint8), (self._side, self._side), interpolation=cv2.INTER_NEAREST)
        return np.where(mask[..., None] > 0, self._last, image)


VIDEO_RECIPE = Recipe(
    micro_per_min=20.0, macro_per_min=2.0, blink_per_min=12.0, speech_per_min=0.0, turn_per_min=0.0,
    swallow_per_min=0.0, micro_px=(0.9, 1.9), margin_s=1.2,
)  # fmt: skip
SWAY_PX, SWAY_RAD, SWAY_HZ = 3.0, 0.012, (0.1, 0.35)
VIDEO_NOISE = 2.0  # grey levels


def render_video(
    image: NDArray[np.uint8],
    landmarks: NDArray[np.float64],
    seed: int,
    seconds: float = 30.0,
    hz: int = 30,
    recipe: Recipe = VIDEO_RECIPE,
    side: int = 112,
) -> tuple[list[Movement], Iterator[tuple[int, NDArray[np.uint8]]]]:
    """Truth and frames (captured_ns, HxWx3 BGR) of a face in its photo, swaying; deterministic in the seed.

    Displacements of the recipe are px of a crop of `side`, whatever the photo's resolution.
    """
    rng = np.random.default_rng(seed)
    height, width = image.shape[:2]
    motion = Motion(Geometry.of(landmarks, height, width))
    to_crop = math.hypot(*face_to_crop(landmarks, side)[0, :2])
    actions = draw_actions(rng, seconds, recipe, lambda s: motion.peak(s) * to_crop)
    waves = [(rng.uniform(*SWAY_HZ), rng.uniform(0, 6.28), rng.uniform(0.4, 1.0)) for _ in range(3)]
    centre = landmarks[1, :2]
    noise = rng.normal(0, VIDEO_NOISE, (height + 64, width + 64, 3)).astype(np.float32)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    grid = np.stack([x, y], axis=-1)

    def frames() -> Iterator[tuple[int, NDArray[np.uint8]]]:
        for i in range(int(seconds * hz)):
            t = i / hz
            flow = motion.total(strengths_at(actions, t))
            moved: Any = cv2.remap(image, grid - flow, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
            _shade(moved, flow)
            motion.open_mouth(moved, flow, 1 / to_crop)
            dx, dy, turn = (a * math.sin(6.28 * f * t + p) for f, p, a in waves)
            pose = cv2.getRotationMatrix2D(tuple(centre.tolist()), math.degrees(SWAY_RAD * turn), 1.0)
            pose[:, 2] += np.array([dx, dy]) * SWAY_PX
            swayed = cv2.warpAffine(moved, pose, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
            r, c = np.random.default_rng([seed, i]).integers(0, 64, 2)
            noisy = swayed + noise[r : r + height, c : c + width]
            yield round(i * 1e9 / hz), np.clip(noisy, 0, 255).astype(np.uint8)

    return [a.movement for a in actions], frames()
