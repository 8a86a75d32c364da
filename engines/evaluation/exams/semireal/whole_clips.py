"""MEs in all quiet segments of a clip at once.

`widths` examines clips so. Not from the papers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ....alignment.registration import Pixels
from ....clips import SECOND_NS
from ....data.footage import Footage
from ....data.generator.behaviour import draw_micro
from ....data.generator.motion import strengths_at
from ....data.generator.timeline import Action, Movement, Recipe
from ....units.displacement import crop_px
from ..mesh_annotation import Annotation, runs
from ..recordings import Recording
from .planning import DISPLACEMENT_PX
from .room import CLEAR_S, LEAD_S
from .warp import Warp

EVERY_S = 3.0  # of a quiet segment, one ME on average
TRIES = 8  # draws of an ME before it is left out


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
    footage: Footage, plans: Sequence[tuple[Warp, list[Action]]]
) -> Iterator[tuple[int, Pixels]]:
    """(time, image) of every frame of the footage, moved as planned.

    A frame that nothing moves is the same object.
    """
    affines = dict(zip(footage.aligned.tolist(), footage.affines, strict=True))
    for i, frame in enumerate(footage.frames):
        at_ns = int(footage.times_ns[i])
        image = frame
        for warp, actions in plans:
            strengths = strengths_at(actions, at_ns / SECOND_NS)
            if strengths and i in affines:
                image = warp.apply(image, affines[i], strengths)
        yield at_ns, image


def cut(footage: Footage, movements: Sequence[Movement] = ()) -> list[Recording]:
    """One recording per segment, each with the movements whose apex lies in it."""
    recordings = []
    for k, (first, stop) in enumerate(footage.segments()):
        at = footage.at_ns[first:stop]
        inside = tuple(m for m in movements if at[0] <= m.apex_ns <= at[-1])
        recordings.append(Recording(f"{footage.name}#{k}", at, footage.crops[first:stop], inside))
    return recordings


def seconds(footage: Footage, flags: NDArray[np.bool_]) -> float:
    """How long the flags are set, in s: each frame counts up to the next one of its segment."""
    total = 0
    for first, stop in footage.segments():
        steps = np.diff(footage.at_ns[first:stop])
        total += int(steps[flags[first : stop - 1]].sum())
    return total / SECOND_NS
