"""Real-video backgrounds: their own noise, blinks, speech and motion, with known MEs warped in.

A background is a segment of aligned crops. A clip cut from it is played forward, at times backward,
mirrored in time where it is too short, lit otherwise and made noisier; MEs are warped in by the
motion fields of that face. What else happens in the video is not annotated and counts as no ME:
choose video without spontaneous MEs. Not from the papers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..footage import MeshAligner, read_footage
from .actions import Geometry
from .basis import Basis
from .behaviour import draw_micros, draw_sustained
from .synthetic import Clip, Motion, strengths_at
from .timeline import Action, Recipe

SHORTEST_S = 1.0  # of a segment that is used
MICRO_PER_MIN = 10.0
BACKWARD = 0.3  # share of the clips
NOISE = (0.0, 2.0)  # grey levels on top of the video's own
GAIN = (0.85, 1.15)


@dataclass(frozen=True, eq=False)
class Background:
    """One segment: times_ns (N,), crops (N, 3, S, S) uint8 RGB, landmarks (N, 478, 2) crop px."""

    name: str
    times_ns: NDArray[np.int64]
    crops: NDArray[np.uint8]
    landmarks: NDArray[np.float64]


def read_backgrounds(
    path: Path, start_s: float = 0.0, stop_s: float | None = None, side: int = 112
) -> list[Background]:
    """The segments of [start_s, stop_s) of a video in which a face is aligned.

    Raises DataError where it cannot be read.
    """
    with MeshAligner(side) as aligner:
        footage = read_footage(path, start_s, stop_s, aligner=aligner, keep_frames=False)
    points = np.einsum("nij,nkj->nki", footage.affines[:, :, :2], footage.landmarks)
    points = points + footage.affines[:, None, :, 2]
    at = footage.at_ns
    found = []
    for a, b in footage.segments():
        if at[b - 1] - at[a] >= SHORTEST_S * 1e9:
            found.append(Background(footage.name, at[a:b] - at[a], footage.crops[a:b], points[a:b]))
    return found


def background_clip(
    backgrounds: Sequence[Background],
    seed: int,
    seconds: float,
    recipe: Recipe,
    basis: Basis | None = None,
) -> Clip:
    """A training clip of up to `seconds`, longer segments more often; deterministic in the seed.

    Every frame is resampled, by the same part of a pixel: were only those with MEs, blur would give
    them away.
    """
    rng = np.random.default_rng(seed)
    lengths = np.array([min(float(b.times_ns[-1]) / 1e9, 4 * seconds) for b in backgrounds])
    background = backgrounds[rng.choice(len(backgrounds), p=lengths / lengths.sum())]
    rows, times = _walk(background.times_ns, seconds, rng)
    side = background.crops.shape[-1]
    landmarks = np.median(background.landmarks[np.unique(rows)], axis=0)
    motion = Motion(Geometry.of(landmarks, side, side), basis=basis)
    wanted = replace(recipe, micro_per_min=MICRO_PER_MIN)
    length = float(times[-1]) / 1e9
    actions = draw_micros(rng, length, wanted, motion.peak)
    actions += draw_sustained(rng, length, wanted, motion.peak, actions)
    offset = rng.uniform(-0.5, 0.5, 2).astype(np.float32)
    crops = _lit(_moved(background.crops[rows], times, actions, motion, offset), rng)
    return Clip(background.name, "train", times, crops, tuple(a.movement for a in actions))


def _walk(
    times_ns: NDArray[np.int64], seconds: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to show and their times: from a random frame on, turning round at the segment's ends."""
    count = len(times_ns)
    forth = np.concatenate([np.arange(count), np.arange(count - 2, 0, -1)])  # one round of the walk
    steps = np.diff(times_ns)
    gaps = np.concatenate([steps, steps[::-1]])  # after each of them
    if rng.random() < BACKWARD:
        forth = forth[::-1]
        gaps = np.roll(gaps[::-1], -1)
    first = int(rng.integers(len(forth)))
    rounds = 1 + int(np.ceil(seconds * 1e9 / gaps.sum()))
    order = np.tile(np.roll(forth, -first), rounds)
    steps = np.tile(np.roll(gaps, -first), rounds)
    times = np.concatenate([[0], np.cumsum(steps)])[: len(order)]
    keep = times <= seconds * 1e9
    return order[keep], times[keep].astype(np.int64)


def _moved(
    crops: NDArray[np.uint8],
    times: NDArray[np.int64],
    actions: list[Action],
    motion: Motion,
    offset: NDArray[np.float32],
) -> NDArray[np.uint8]:
    """The crops with `actions` warped in, all resampled `offset` (2,) px away."""
    side = crops.shape[-1]
    y, x = np.mgrid[:side, :side].astype(np.float32)
    grid = np.stack([x, y], axis=-1) + offset
    out = np.empty_like(crops)
    for i, at in enumerate(times.tolist()):
        flow = motion.total(strengths_at(actions, at / 1e9))
        image = np.ascontiguousarray(crops[i].transpose(1, 2, 0))
        moved: Any = cv2.remap(
            image, grid - flow, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        out[i] = moved.transpose(2, 0, 1)
    return out


def _lit(crops: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The crops in another light and with more noise."""
    gain = np.float32(rng.uniform(*GAIN))
    sigma = np.float32(rng.uniform(*NOISE))
    noise = rng.standard_normal(crops.shape, dtype=np.float32) * sigma
    return np.clip(crops * gain + noise, 0, 255).astype(np.uint8)
