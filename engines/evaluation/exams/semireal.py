"""Movements of known time and strength in real video: its own noise, compression, blinks and head motion are kept.

Micro-expressions are warped into the frames of quiet segments at native resolution, and the frames
are aligned anew. What is warped is a motion field of the synthetic faces, without shading and
without a darker gap between parted lips; cubic interpolation of `cv2.remap` moves in steps of 1/32
px and slightly smooths what it moves. Not from the papers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...alignment.affine import Affine, Matrix
from ...alignment.registration import Pixels
from ...clips import SECOND_NS
from ...data.actions import Geometry
from ...data.behaviour import draw_micro
from ...data.footage import Footage, MeshAligner, align_shots, read_clip
from ...data.synthetic import Motion, strengths_at
from ...data.timeline import Action, Movement, Recipe, Strengths
from ...intervals import iou
from ...runtime.engine import EngineSet
from .mesh_annotation import Annotation, annotate, runs
from .recordings import HIT_IOU, Recording, SpottingResult, crop_px, examine, report, without_pixels

DISPLACEMENT_PX = (0.5, 3.0)  # reference px, log-uniform
EVERY_S = 3.0  # of a quiet segment, one ME on average
CLEAR_S = 0.1  # between an ME and a blink, a mouth movement or any other end of the quiet
LEAD_S = 0.5  # between an ME and the ends of the aligned segment, which the lags reach over
TRIES = 8  # draws of an ME before its place is given up
PAD = 28  # px around the crop that the motion field covers too, faded out: no seam beside the crop
UNMOVED_PX = 0.02  # of the frame: pixels that would move less keep every bit

Field = NDArray[np.float32]
Progress = Callable[[str], None]


def silent(_: str) -> None:
    """The progress of those who do not ask."""


class Warp:
    """The motion of one face as crops of `side` show it, written into frames through the crops' affines."""

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
        """The frame (H, W, 3) with the face moved: out(q) = frame(q - A^-1 D(A q)), A the affine's linear part."""
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
    (left, top) = np.floor(corners.min(0))
    (right, bottom) = np.ceil(corners.max(0)) + 1
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
    """MEs that lie whole in [first_s, stop_s), apart from each other; about one per `every_s`, by default EVERY_S."""
    weakest, strongest = (crop_px(px, side) for px in DISPLACEMENT_PX)
    recipe = Recipe(micro_px=(weakest, strongest))
    least = recipe.micro_s[2]
    if stop_s - first_s <= least:
        return []
    actions: list[Action] = []
    for _ in range(rng.poisson((stop_s - first_s) / (every_s or EVERY_S))):
        for _ in range(TRIES):
            action = draw_micro(rng, float(rng.uniform(first_s, stop_s - least)), recipe, warp.peak)
            if action.movement.offset_ns <= stop_s * SECOND_NS and _apart(
                action.movement, actions, recipe.margin_s
            ):
                actions.append(action)
                break
    return sorted(actions, key=lambda a: a.movement.onset_ns)


def _apart(one: Movement, others: Sequence[Action], margin_s: float) -> bool:
    margin = margin_s * SECOND_NS
    return all(
        one.onset_ns >= a.movement.offset_ns + margin
        or one.offset_ns <= a.movement.onset_ns - margin
        for a in others
    )


def plan(
    rng: np.random.Generator, footage: Footage, notes: Annotation, every_s: float | None = None
) -> list[tuple[Warp, list[Action]]]:
    """MEs for the quiet of a clip, as `draw_into`, each with the warp of its quiet segment; times as the footage's."""
    side = footage.crops.shape[-1]
    plans = []
    for rows in footage.segments():
        start, end = (float(footage.at_ns[i]) / SECOND_NS for i in (rows[0], rows[1] - 1))
        for first, stop in runs(notes.quiet, rows):
            from_s, to_s = (float(footage.at_ns[i]) / SECOND_NS for i in (first, stop - 1))
            warp = Warp(footage.landmarks[first], footage.affines[first], side)
            actions = draw_into(
                rng,
                max(from_s + CLEAR_S, start + LEAD_S),
                min(to_s - CLEAR_S, end - LEAD_S),
                warp,
                side,
                every_s,
            )
            if actions:
                plans.append((warp, actions))
    return plans


def warped(
    footage: Footage, plans: Sequence[tuple[Warp, list[Action]]], sham: bool = False
) -> Iterator[tuple[int, Pixels]]:
    """(time, image) of every frame of the footage, moved as planned; a frame that nothing moves is the same object.

    sham: what is moved is moved back at once, so that only the filter's blur stays.
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
                    image = warp.apply(
                        image, affines[i], {unit: -value for unit, value in strengths.items()}
                    )
        yield at_ns, image


def realign(footage: Footage, shots: Iterator[tuple[int, Pixels]]) -> Footage:
    """The shots through a fresh aligner; frames that are the footage's own objects keep their meshes."""
    known: list[Any] = []

    def noted() -> Iterator[tuple[int, Pixels]]:
        for i, (at_ns, image) in enumerate(shots):
            known.append(footage.meshes[i] if image is footage.frames[i] else None)
            yield at_ns, image

    with MeshAligner(side=footage.crops.shape[-1], options=footage.options) as aligner:
        return align_shots(footage.name, noted(), aligner, keep_frames=False, known=known)


def cut(footage: Footage, movements: Sequence[Movement] = ()) -> list[Recording]:
    """One take per segment, each with the movements whose apex lies in it."""
    takes = []
    for k, (first, stop) in enumerate(footage.segments()):
        at = footage.at_ns[first:stop]
        inside = tuple(m for m in movements if at[0] <= m.apex_ns <= at[-1])
        takes.append(Recording(f"{footage.name}#{k}", at, footage.crops[first:stop], inside))
    return takes


def examine_semireal(
    engines: EngineSet,
    clips: Sequence[Path],
    seed: int,
    repeats: int,
    progress: Progress = silent,
    sham: bool = False,
) -> dict[str, Any]:
    """Precision, recall, F1, false alarms per minute and recall by displacement, over `repeats` passes of the clips.

    A clip without room for an ME is seen once, as it is. `baseline_found_per_min` is what is found
    per minute where nothing is warped in: real brief movements and false alarms, which also stand
    among the false alarms here. `clips` holds per clip {minutes of one pass, quiet_s, truths,
    found, hits, unaligned, found_unwarped, found_again}; the last counts what is found where it is
    found without any ME, hit or not. With `sham` nothing moves, only the warp's blur is there: hits
    are then false, and should be none. Raises DataError for a clip that cannot be read.
    """
    every: list[SpottingResult] = []
    unwarped: list[SpottingResult] = []
    counts: dict[str, dict[str, float]] = {}
    for index, path in enumerate(clips):
        footage = read_clip(path)
        notes = annotate(footage)
        plain = [without_pixels(examine(take, engines)) for take in cut(footage)]
        mine: list[SpottingResult] = []
        lost = 0
        for takes, missing in passes(
            footage, notes, [[seed, index, repeat] for repeat in range(repeats)], sham
        ):
            mine += [without_pixels(examine(take, engines)) for take in takes]
            lost += missing
        mine = mine or plain
        counts[path.name] = _counts(footage, notes, mine, plain) | {"unaligned": lost}
        progress(f"{path.name}: {counts[path.name]}")
        every = every + mine
        unwarped = unwarped + plain
    minutes = sum(v.take.minutes for v in unwarped)
    found = sum(len(v.found) for v in unwarped)
    return {
        **report(every, engines.spotter.side),
        "baseline_found_per_min": round(found / minutes, 3) if minutes else None,
        "repeats": repeats,
        "sham": sham,
        "clips": counts,
    }


def passes(
    footage: Footage, notes: Annotation, seeds: Sequence[Sequence[int]], sham: bool = False
) -> Iterator[tuple[list[Recording], int]]:
    """The footage with other MEs for every seed, aligned anew, and how many of them lie where it could not be.

    A seed that draws no ME gives nothing.
    """
    for seed in seeds:
        plans = plan(np.random.default_rng(seed), footage, notes)
        if plans:
            movements = [a.movement for _, actions in plans for a in actions]
            takes = cut(realign(footage, warped(footage, plans, sham)), movements)
            yield takes, len(movements) - sum(len(take.movements) for take in takes)


def _counts(
    footage: Footage,
    notes: Annotation,
    mine: Sequence[SpottingResult],
    plain: Sequence[SpottingResult],
) -> dict[str, float]:
    return {
        "minutes": round(footage.minutes, 3),
        "quiet_s": round(seconds(footage, notes.quiet), 2),
        "truths": sum(len(v.take.micros()) for v in mine),
        "found": sum(len(v.found) for v in mine),
        "hits": sum(len(v.hits) for v in mine),
        "found_unwarped": sum(len(v.found) for v in plain),
        "found_again": sum(_again(v, plain) for v in mine),
    }


def _again(verdict: SpottingResult, plain: Sequence[SpottingResult]) -> int:
    """Found intervals that are found at IoU 0.5 in the same segment without any ME."""
    same = [v for v in plain if v.take.times_ns[0] == verdict.take.times_ns[0]]
    return sum(
        int(
            (
                iou(
                    verdict.found.start[:, None],
                    verdict.found.stop[:, None],
                    v.found.start,
                    v.found.stop,
                )
                >= HIT_IOU
            )
            .any(1)
            .sum()
        )
        for v in same
        if len(v.found)
    )


def seconds(footage: Footage, flags: NDArray[np.bool_]) -> float:
    """How long the flags are set, in s: each frame counts up to the next one of its segment."""
    total = 0
    for first, stop in footage.segments():
        steps = np.diff(footage.at_ns[first:stop])
        total += int(steps[flags[first : stop - 1]].sum())
    return total / SECOND_NS
