"""Movements of known time and strength in real video.

The video's own noise, compression, blinks and head motion are kept. Micro-expressions are warped
into the frames of quiet segments at native resolution, and the frames are aligned anew. What is
warped is a motion field of the synthetic faces, without shading and without a darker gap between
parted lips; cubic interpolation of `cv2.remap` moves in steps of 1/32 px and slightly smooths what
it moves. Not from the papers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...alignment.affine import Affine, Matrix
from ...alignment.registration import Pixels
from ...clips import SECOND_NS
from ...data.footage import Footage, MeshAligner, align_shots, read_footage
from ...data.generator.actions import Geometry
from ...data.generator.behaviour import draw_micro
from ...data.generator.synthetic import Motion, strengths_at
from ...data.generator.timeline import Action, Movement, Recipe, Strengths
from ...data.people import ClipPart
from ...intervals import iou
from ...runtime.engine import EngineSet
from ..metrics import HIT_IOU
from .mesh_annotation import Annotation, annotate, runs
from .recordings import (
    Recording,
    Say,
    SpottingResult,
    crop_px,
    examine,
    report,
    silent,
    without_pixels,
)

DISPLACEMENT_PX = (0.5, 3.0)  # reference px, log-uniform
EVERY_S = 3.0  # of a quiet segment, one ME on average
CLEAR_S = 0.1  # between an ME and the ends of its quiet segment
LEAD_S = 0.5  # between an ME and the ends of the aligned segment, which the lags reach over
TRIES = 8  # draws of an ME before it is left out
PAD = 28  # px around the crop where the motion field fades out, so that there is no seam
UNMOVED_PX = 0.02  # of the frame: pixels that would move less are not changed

Field = NDArray[np.float32]


class Warp:
    """The motion of one face in crops of `side`, warped into frames by the crops' affines."""

    def __init__(self, landmarks: NDArray[np.float64], affine: Matrix, side: int) -> None:
        points = landmarks @ affine[:, :2].T + affine[:, 2] + PAD
        self.motion = Motion(Geometry.of(points, side + 2 * PAD, side + 2 * PAD))
        ramp = np.minimum(np.arange(side + 2 * PAD), np.arange(side + 2 * PAD)[::-1]) / PAD
        fade = np.clip(ramp, 0, 1).astype(np.float32)
        self._fade = (fade[:, None] * fade[None, :])[..., None]

    def field(self, strengths: Strengths) -> Field:
        """(S + 2 PAD, S + 2 PAD, 2) displacement in crop px."""
        return np.asarray(self.motion.total(strengths) * self._fade, np.float32)

    def peak(self, strengths: Strengths) -> float:
        """Largest displacement within the crop, crop px."""
        inner = self.field(strengths)[PAD:-PAD, PAD:-PAD]
        return float(np.sqrt((inner**2).sum(-1).max()))

    def apply(self, frame: Pixels, affine: Matrix, strengths: Strengths) -> Pixels:
        """The frame (H, W, 3) with the face moved.

        out(q) = frame(q - A^-1 D(A q)), where D is the field and A the affine's linear part.
        """
        flow = self.field(strengths)
        back = Affine(affine).inverse().matrix
        left, top, right, bottom = _box(back, len(flow), frame.shape)
        if left >= right or top >= bottom:
            return frame
        x, y = np.meshgrid(np.arange(left, right), np.arange(top, bottom))
        at = np.stack([x, y], axis=-1).astype(np.float32)
        places = (at @ affine[:, :2].T + affine[:, 2] + PAD).astype(np.float32)
        moved: Any = cv2.remap(flow, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        moved = (moved @ back[:, :2].T).astype(np.float32)
        drawn = cv2.remap(frame, at - moved, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        changed = (moved**2).sum(-1) > UNMOVED_PX**2
        out = frame.copy()
        out[top:bottom, left:right][changed] = drawn[changed]
        return out


def _box(back: Matrix, size: int, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom (whole frame px) of the padded crop, within the frame."""
    low = -PAD
    high = size - PAD
    corners = np.array([[low, low, 1], [high, low, 1], [high, high, 1], [low, high, 1]]) @ back.T
    left, top = np.floor(corners.min(0))
    right, bottom = np.ceil(corners.max(0)) + 1
    return (
        max(int(left), 0),
        max(int(top), 0),
        min(int(right), shape[1]),
        min(int(bottom), shape[0]),
    )


def draw_into(
    rng: np.random.Generator,
    first_s: float,
    stop_s: float,
    warp: Warp,
    side: int,
    every_s: float | None = None,
) -> list[Action]:
    """Draw MEs that lie whole in [first_s, stop_s), clear of each other.

    About one per `every_s`, by default EVERY_S.
    """
    weakest, strongest = (crop_px(px, side) for px in DISPLACEMENT_PX)
    recipe = Recipe(micro_px=(weakest, strongest))
    least = recipe.micro_s[2]
    if stop_s - first_s <= least:
        return []
    actions: list[Action] = []
    for _ in range(rng.poisson((stop_s - first_s) / (every_s or EVERY_S))):
        for _ in range(TRIES):
            action = draw_micro(rng, float(rng.uniform(first_s, stop_s - least)), recipe, warp.peak)
            inside = action.movement.offset_ns <= stop_s * SECOND_NS
            if inside and _clear_of(action.movement, actions, recipe.margin_s):
                actions.append(action)
                break
    return sorted(actions, key=lambda a: a.movement.onset_ns)


def _clear_of(one: Movement, others: Sequence[Action], margin_s: float) -> bool:
    """Whether a movement is at least `margin_s` away from all others."""
    margin = margin_s * SECOND_NS
    return all(
        one.onset_ns >= a.movement.offset_ns + margin
        or one.offset_ns <= a.movement.onset_ns - margin
        for a in others
    )


def plan(
    rng: np.random.Generator, footage: Footage, annotation: Annotation, every_s: float | None = None
) -> list[tuple[Warp, list[Action]]]:
    """Draw MEs for the quiet segments of a clip, each segment with its warp.

    Times are those of the footage. every_s: as in `draw_into`.
    """
    side = footage.crops.shape[-1]
    plans = []
    at_s = footage.at_ns / SECOND_NS
    for rows in footage.segments():
        earliest = float(at_s[rows[0]]) + LEAD_S
        latest = float(at_s[rows[1] - 1]) - LEAD_S
        for first, stop in runs(annotation.quiet, rows):
            warp = Warp(footage.landmarks[first], footage.affines[first], side)
            from_s = max(float(at_s[first]) + CLEAR_S, earliest)
            to_s = min(float(at_s[stop - 1]) - CLEAR_S, latest)
            actions = draw_into(rng, from_s, to_s, warp, side, every_s)
            if actions:
                plans.append((warp, actions))
    return plans


def warped(
    footage: Footage, plans: Sequence[tuple[Warp, list[Action]]], sham: bool = False
) -> Iterator[tuple[int, Pixels]]:
    """(time, image) of every frame of the footage, moved as planned.

    A frame that nothing moves is the same object. sham: what is moved is moved back at once, so
    that only the filter's blur is left.
    """
    affines = dict(zip(footage.aligned.tolist(), footage.affines, strict=True))
    for i, frame in enumerate(footage.frames):
        at_ns = int(footage.times_ns[i])
        image = frame
        for warp, actions in plans:
            strengths = strengths_at(actions, at_ns / SECOND_NS)
            if strengths and i in affines:
                image = warp.apply(image, affines[i], strengths)
                if sham:
                    opposite = {unit: -value for unit, value in strengths.items()}
                    image = warp.apply(image, affines[i], opposite)
        yield at_ns, image


def realign(footage: Footage, shots: Iterator[tuple[int, Pixels]]) -> Footage:
    """Align the shots by an aligner of their own.

    Frames that are the footage's own objects keep their meshes.
    """
    known: list[Any] = []

    def with_meshes() -> Iterator[tuple[int, Pixels]]:
        for i, (at_ns, image) in enumerate(shots):
            known.append(footage.meshes[i] if image is footage.frames[i] else None)
            yield at_ns, image

    with MeshAligner(side=footage.crops.shape[-1], options=footage.options) as aligner:
        return align_shots(footage.name, with_meshes(), aligner, keep_frames=False, known=known)


def cut(footage: Footage, movements: Sequence[Movement] = ()) -> list[Recording]:
    """One recording per segment, each with the movements whose apex lies in it."""
    recordings = []
    for k, (first, stop) in enumerate(footage.segments()):
        at = footage.at_ns[first:stop]
        inside = tuple(m for m in movements if at[0] <= m.apex_ns <= at[-1])
        recordings.append(Recording(f"{footage.name}#{k}", at, footage.crops[first:stop], inside))
    return recordings


def examine_semireal(
    engines: EngineSet,
    clips: Sequence[ClipPart],
    seed: int,
    repeats: int,
    progress: Say = silent,
    sham: bool = False,
) -> dict[str, Any]:
    """The fields of `recordings.report` over `repeats` passes of the clips, and counts by clip.

    A clip without room for an ME is examined once, as it is. `baseline_found_per_min` is what is
    found per minute where nothing is warped in: real brief movements and false alarms, which are
    also among the false alarms here. `clips` has per clip {minutes of one pass, quiet_s, truths,
    found, hits, unaligned, found_unwarped, found_again}; the last counts what is found where it is
    found without any ME, hit or not. With `sham` nothing moves, only the warp's blur is there: hits
    are then false, and should be none. Raises DataError for a clip that cannot be read.
    """
    warped_results: list[SpottingResult] = []
    plain_results: list[SpottingResult] = []
    counts: dict[str, dict[str, float]] = {}
    for index, (path, part) in enumerate(clips):
        seeds = [[seed, index, repeat] for repeat in range(repeats)]
        results, plain, counts[path.name] = _examine_clip(engines, (path, part), seeds, sham)
        progress(f"{path.name}: {counts[path.name]}")
        warped_results += results
        plain_results += plain
    minutes = sum(result.recording.minutes for result in plain_results)
    found = sum(len(result.found) for result in plain_results)
    return {
        **report(warped_results, engines.spotter.side),
        "baseline_found_per_min": round(found / minutes, 3) if minutes else None,
        "repeats": repeats,
        "sham": sham,
        "clips": counts,
    }


def _examine_clip(
    engines: EngineSet, clip: ClipPart, seeds: Sequence[Sequence[int]], sham: bool
) -> tuple[list[SpottingResult], list[SpottingResult], dict[str, float]]:
    """The results of a clip's passes, those of the clip as it is, and its counts.

    Where no seed draws an ME the former are the latter.
    """
    path, part = clip
    footage = read_footage(path, part.from_s, part.to_s)
    annotation = annotate(footage)
    plain = _examine_all(cut(footage), engines)
    results: list[SpottingResult] = []
    unaligned = 0
    for recordings, lost in passes(footage, annotation, seeds, sham):
        results += _examine_all(recordings, engines)
        unaligned += lost
    results = results or plain
    counts = _counts(footage, annotation, results, plain) | {"unaligned": unaligned}
    return results, plain, counts


def _examine_all(recordings: Sequence[Recording], engines: EngineSet) -> list[SpottingResult]:
    return [without_pixels(examine(recording, engines)) for recording in recordings]


def passes(
    footage: Footage, annotation: Annotation, seeds: Sequence[Sequence[int]], sham: bool = False
) -> Iterator[tuple[list[Recording], int]]:
    """The footage with other MEs for every seed, aligned anew.

    Each pass comes as (recordings, number of MEs where the footage could not be aligned). A seed
    that draws no ME gives none.
    """
    for seed in seeds:
        plans = plan(np.random.default_rng(seed), footage, annotation)
        if plans:
            movements = [a.movement for _, actions in plans for a in actions]
            recordings = cut(realign(footage, warped(footage, plans, sham)), movements)
            aligned = sum(len(recording.movements) for recording in recordings)
            yield recordings, len(movements) - aligned


def _counts(
    footage: Footage,
    annotation: Annotation,
    results: Sequence[SpottingResult],
    plain: Sequence[SpottingResult],
) -> dict[str, float]:
    """The counts of one clip. plain: the results without any ME."""
    return {
        "minutes": round(footage.minutes, 3),
        "quiet_s": round(seconds(footage, annotation.quiet), 2),
        "truths": sum(len(result.recording.micros()) for result in results),
        "found": sum(len(result.found) for result in results),
        "hits": sum(len(result.hits) for result in results),
        "found_unwarped": sum(len(result.found) for result in plain),
        "found_again": sum(_found_again(result, plain) for result in results),
    }


def _found_again(result: SpottingResult, plain: Sequence[SpottingResult]) -> int:
    """How many intervals are found at HIT_IOU in the same segment without any ME too."""
    start = result.found.start[:, None]
    stop = result.found.stop[:, None]
    again = 0
    for other in plain:
        same_segment = other.recording.times_ns[0] == result.recording.times_ns[0]
        if same_segment and len(other.found):
            overlap = iou(start, stop, other.found.start, other.found.stop)
            again += int(np.count_nonzero((overlap >= HIT_IOU).any(1)))
    return again


def seconds(footage: Footage, flags: NDArray[np.bool_]) -> float:
    """How long the flags are set, in s: each frame counts up to the next one of its segment."""
    total = 0
    for first, stop in footage.segments():
        steps = np.diff(footage.at_ns[first:stop])
        total += int(steps[flags[first : stop - 1]].sum())
    return total / SECOND_NS
