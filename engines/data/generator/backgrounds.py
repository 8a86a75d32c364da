"""Real-video backgrounds: their own noise, blinks, speech and motion, with known MEs warped in.

A background is a segment of aligned crops. A clip cut from it is lit otherwise and made noisier;
MEs and slow expressions are warped in by the motion fields of that face, or nothing is: speech,
blinks and nudges of the head as they really move are no MEs. It is never played backward, since
real movement returns otherwise than it comes. What happens in the video is not annotated and counts
as no ME: choose video without spontaneous MEs. Not from the papers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ..footage import VIDEOS, MeshAligner, read_footage
from ..people import parts_for
from .actions import Geometry
from .basis import Basis
from .behaviour import draw_micros, draw_sustained
from .families import MeasuredField
from .movements.slow_expressions import draw_under
from .sites import MOUTH
from .synthetic import Clip, Motion, strengths_at
from .timeline import Action, Movement, Recipe
from .truth import DOUBTFUL, MICRO

SHORTEST_S = 1.0  # of a segment that is used
LONGEST = 4.0  # times a clip: longer segments are drawn no more often
MICRO_PER_MIN = 10.0
NOISE = (0.0, 2.0)  # grey levels on top of the video's own
GAIN = (0.85, 1.15)
BESIDE_S = 0.1  # before and after an ME
SPEAKS_CM = 0.25  # a mouth whose opening or width changes by more speaks
DARK_GAIN = (0.25, 0.6)  # of a dark room


@dataclass(frozen=True, eq=False)
class Background:
    """One segment: times_ns (N,), crops (N, 3, S, S) uint8 RGB, landmarks (N, 478, 2) crop px."""

    name: str
    times_ns: NDArray[np.int64]
    crops: NDArray[np.uint8]
    landmarks: NDArray[np.float64]
    person: str = ""


def read_backgrounds(
    path: Path,
    start_s: float = 0.0,
    stop_s: float | None = None,
    side: int = 112,
    person: str = "",
) -> list[Background]:
    """The segments of [start_s, stop_s) of a video of `person` in which a face is aligned.

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
            times = at[a:b] - at[a]
            crops = footage.crops[a:b]
            found.append(Background(footage.name, times, crops, points[a:b], person))
    return found


def folder_backgrounds(
    folder: Path,
    side: int,
    person: str | None,
    apart: Collection[str],
    say: Callable[[str], None] = lambda line: None,
) -> tuple[Background, ...]:
    """The segments of the videos in a folder, without those of persons `apart`, whom `say` names.

    person: who is in videos that `people.csv` does not list. Raises DataError where none is left,
    and for a video that is not for training or cannot be read.
    """
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in VIDEOS)
    found: list[Background] = []
    for path, part in parts_for(paths, "train", person):
        if part.person in apart:
            say(f"{path.name}: left out, since {part.person} is kept for validation")
        else:
            found += read_backgrounds(path, part.from_s, part.to_s, side, part.person)
    if not found:
        raise DataError(
            f"{folder}: no face held for a second in {len(paths)} videos, or only faces of persons "
            "kept for validation; give more, or none"
        )
    return tuple(found)


def background_clip(
    backgrounds: Sequence[Background],
    seed: int,
    seconds: float,
    recipe: Recipe,
    basis: Basis | None = None,
    measured: Sequence[MeasuredField] = (),
) -> Clip:
    """A training clip of up to `seconds`; deterministic in the seed.

    By the recipe's share nothing is warped in. measured: as for `Renderer`. Every frame is
    resampled, by the same part of a pixel: were only those with MEs, blur would give them away.
    """
    rng = np.random.default_rng(seed)
    background = backgrounds[rng.choice(len(backgrounds), p=_shares(backgrounds, seconds))]
    rows, times = _cut(background.times_ns, seconds, rng)
    side = background.crops.shape[-1]
    landmarks = np.median(background.landmarks[np.unique(rows)], axis=0)
    motion = Motion(Geometry.of(landmarks, side, side), basis=basis)
    wanted = replace(recipe, micro_per_min=MICRO_PER_MIN)
    length = float(times[-1]) / 1e9
    actions = _actions(rng, length, wanted, motion, measured)
    offset = rng.uniform(-0.5, 0.5, 2).astype(np.float32)
    dark = rng.random() < recipe.looks.dark_room
    moved = _moved(background.crops[rows], times, actions, motion, offset)
    crops = _lit(moved, rng, DARK_GAIN if dark else GAIN)
    shown = background.landmarks[rows]
    movements = tuple(_judged(action.movement, shown, times, motion.geometry) for action in actions)
    return Clip(background.name, "train", times, crops, movements, reversible=False, labelled=False)


def _actions(
    rng: np.random.Generator,
    seconds: float,
    recipe: Recipe,
    motion: Motion,
    measured: Sequence[MeasuredField],
) -> list[Action]:
    """What is warped in, or nothing by the recipe's share of pure backgrounds."""
    if rng.random() < recipe.pure_backgrounds:
        return []
    micros = draw_micros(rng, seconds, recipe, motion.peak, measured)
    held = draw_sustained(rng, seconds, recipe, motion.peak, micros, measured)
    return micros + held + draw_under(rng, seconds, recipe, motion.peak, micros)


def _judged(
    move: Movement, shown: NDArray[np.float64], times: NDArray[np.int64], geometry: Geometry
) -> Movement:
    """The movement; doubtful where it is an ME of a mouth that speaks meanwhile.

    shown: (N, 478, 2) px. Amid speech such an ME cannot be told from a syllable.
    """
    if move.kind != MICRO or move.region not in MOUTH:
        return move
    beside = round(BESIDE_S * 1e9)
    during = (times >= move.onset_ns - beside) & (times <= move.offset_ns + beside)
    lips = shown[during][:, [13, 61]] - shown[during][:, [14, 291]]
    sizes = np.hypot(lips[..., 0], lips[..., 1]) / geometry.px_per_cm  # opening and width, in cm
    if (np.ptp(sizes, axis=0) <= SPEAKS_CM).all():
        return move
    return replace(move, kind=DOUBTFUL, label3=None, label5=None)


def _shares(backgrounds: Sequence[Background], seconds: float) -> NDArray[np.float64]:
    """How often each is drawn: longer ones more often, and those of much shown persons less."""
    lengths = np.array([min(float(b.times_ns[-1]) / 1e9, LONGEST * seconds) for b in backgrounds])
    shown: dict[str, float] = {}
    for background, length in zip(backgrounds, lengths.tolist(), strict=True):
        shown[background.person] = shown.get(background.person, 0.0) + length
    weights = lengths / np.sqrt([shown[background.person] for background in backgrounds])
    return np.asarray(weights / weights.sum())


def _cut(
    times_ns: NDArray[np.int64], seconds: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of a random part of `seconds` and their times from 0; all of a shorter segment."""
    late = np.flatnonzero(times_ns <= times_ns[-1] - round(seconds * 1e9))
    first = int(rng.integers(len(late))) if len(late) else 0
    times = times_ns[first:] - times_ns[first]
    rows = first + np.flatnonzero(times <= seconds * 1e9)
    return rows, times[: len(rows)].astype(np.int64)


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


def _lit(
    crops: NDArray[np.uint8], rng: np.random.Generator, light: tuple[float, float]
) -> NDArray[np.uint8]:
    """The crops with a gain between those of `light`, and with more noise."""
    gain = np.float32(rng.uniform(*light))
    sigma = np.float32(rng.uniform(*NOISE))
    noise = rng.standard_normal(crops.shape, dtype=np.float32) * sigma
    return np.clip(crops * gain + noise, 0, 255).astype(np.uint8)
