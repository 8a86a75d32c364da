"""Real video as a carrier of micro-expressions: its own noise, blinks, speech and head motion, with known MEs on top.

A carrier is a segment of aligned crops. A clip cut from it is played forward, at times backward, mirrored in time where
it is too short, lit otherwise and made noisier; MEs are warped in by the motion fields of that face. What else happens
in the video is not annotated and counts as no ME: choose video without spontaneous MEs. Not from the papers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .actions import Geometry
from .basis import Basis
from .behaviour import draw_helds, draw_micros
from .footage import MeshAligner, read_footage
from .synthetic import Clip, Motion, strengths_at
from .timeline import Action, Recipe

SHORTEST_S = 1.0  # of a segment that is used
MICRO_PER_MIN = 10.0
BACKWARD = 0.3  # share of the clips
NOISE = (0.0, 2.0)  # grey levels on top of the video's own
GAIN = (0.85, 1.15)


@dataclass(frozen=True, eq=False)
class Background:
    """One segment: times_ns (N,), crops (N, 3, S, S) uint8 RGB, landmarks (N, 478, 2) in crop px."""

    name: str
    times_ns: NDArray[np.int64]
    crops: NDArray[np.uint8]
    landmarks: NDArray[np.float64]


def read_backgrounds(path: Path, stop_s: float | None = None, side: int = 112) -> list[Background]:
    """The segments of a video whose face the aligner holds. Raises DataError where it cannot be read."""
    with MeshAligner(side) as aligner:
        footage = read_footage(path, 0.0, stop_s, aligner=aligner, keep_frames=False)
    points = (
        np.einsum("nij,nkj->nki", footage.affines[:, :, :2], footage.landmarks)
        + footage.affines[:, None, :, 2]
    )
    at = footage.at_ns
    return [
        Background(footage.name, at[a:b] - at[a], footage.crops[a:b], points[a:b])
        for a, b in footage.segments()
        if at[b - 1] - at[a] >= SHORTEST_S * 1e9
    ]


def background_clip(
    carriers: Sequence[Background],
    seed: int,
    seconds: float,
    recipe: Recipe,
    basis: Basis | None = None,
) -> Clip:
    """A training clip of up to `seconds`, longer segments more often; deterministic in the seed.

    Every frame is resampled, by one and the same part of a pixel: where only MEs were, their blur would tell.
    """
    rng = np.random.default_rng(seed)
    lengths = np.array([min(float(c.times_ns[-1]) / 1e9, 4 * seconds) for c in carriers])
    carrier = carriers[rng.choice(len(carriers), p=lengths / lengths.sum())]
    rows, times = _walk(carrier.times_ns, seconds, rng)
    side = carrier.crops.shape[-1]
    motion = Motion(
        Geometry.of(np.median(carrier.landmarks[np.unique(rows)], axis=0), side, side), basis=basis
    )
    wanted = replace(recipe, micro_per_min=MICRO_PER_MIN)
    length = float(times[-1]) / 1e9
    actions = draw_micros(rng, length, wanted, motion.peak)
    actions += draw_helds(rng, length, wanted, motion.peak, actions)
    rest = rng.uniform(-0.5, 0.5, 2).astype(np.float32)
    crops = _lit(_moved(carrier.crops[rows], times, actions, motion, rest), rng)
    return Clip(carrier.name, "train", times, crops, tuple(a.movement for a in actions))


def _walk(
    times_ns: NDArray[np.int64], seconds: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to show and when: from a random frame on, turning round at the ends of the segment."""
    count = len(times_ns)
    forth = np.concatenate([np.arange(count), np.arange(count - 2, 0, -1)])  # one round of the walk
    steps = np.diff(times_ns)
    gaps = np.concatenate([steps, steps[::-1]])  # after each of them
    if rng.random() < BACKWARD:
        forth, gaps = forth[::-1], np.roll(gaps[::-1], -1)
    first = int(rng.integers(len(forth)))
    rounds = 1 + int(np.ceil(seconds * 1e9 / gaps.sum()))
    order = np.tile(np.roll(forth, -first), rounds)
    times = np.concatenate([[0], np.cumsum(np.tile(np.roll(gaps, -first), rounds))])[: len(order)]
    keep = times <= seconds * 1e9
    return order[keep], times[keep].astype(np.int64)


def _moved(
    crops: NDArray[np.uint8],
    times: NDArray[np.int64],
    actions: list[Action],
    motion: Motion,
    rest: NDArray[np.float32],
) -> NDArray[np.uint8]:
    side = crops.shape[-1]
    y, x = np.mgrid[:side, :side].astype(np.float32)
    grid = np.stack([x, y], axis=-1) + rest
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
    gain, sigma = np.float32(rng.uniform(*GAIN)), np.float32(rng.uniform(*NOISE))
    noise = rng.standard_normal(crops.shape, dtype=np.float32) * sigma
    return np.clip(crops * gain + noise, 0, 255).astype(np.uint8)
