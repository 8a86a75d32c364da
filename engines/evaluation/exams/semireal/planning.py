"""Which ME is played where in a clip, and what else moves with it. Not from the papers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....clips import SECOND_NS
from ....data.footage import Footage
from ....data.generator.drawing import Peak
from ....data.generator.timeline import Action, Recipe
from ....units.displacement import crop_px
from ..mesh_annotation import Annotation
from .room import Span, place, spans_of
from .shapes import OTHER, SITES, Family, like, moved_to, slow_course
from .warp import Warp

DISPLACEMENT_PX = (0.5, 3.0)  # reference px, log-uniform
OTHERS_EVERY = 2  # places of the row "quiet" that also have an ME of neither brow nor mouth
COURSES_PX = (0.0, 0.7, 1.4, 2.1)  # reference px over the longest lag: the bins of the row "slow"
DRAWS = 60  # of an ME until it fits into the room

Planned = tuple[Warp, list[tuple[str, float, list[Action]]]]


@dataclass(eq=False)
class Stage:
    """A clip that MEs are warped into."""

    person: str
    seen_before: bool
    footage: Footage
    annotation: Annotation

    def spans(self, row: str) -> list[Span]:
        """Where the row's MEs may be."""
        return spans_of(self.footage, self.annotation, upper=row == "upper")


def planned(
    rng: np.random.Generator,
    stage: Stage,
    row: str,
    family: Family,
    spans: list[Span],
    warps: dict[Span, Warp],
    index: int,
) -> Planned | None:
    """The warp of a place, and its plays: part of the face, speed of the course, actions."""
    side = stage.footage.crops.shape[-1]
    weakest, strongest = (crop_px(px, side) for px in DISPLACEMENT_PX)
    recipe = Recipe(micro_px=(weakest, strongest))
    first_part = {"quiet": "brow", "upper": "upper"}.get(row, ("brow", "mouth")[index % 2])
    for _ in range(DRAWS):
        any_span = spans[rng.integers(len(spans))]
        peak = _warp(stage, any_span, warps, side).peak
        drawn = family.draw(rng, 0.0, recipe, peak, first_part)
        seconds = (drawn.movement.offset_ns - drawn.movement.onset_ns) / SECOND_NS
        placed = place(rng, spans, seconds)
        if placed is None:
            continue
        span, onset = placed
        warp = _warp(stage, span, warps, side)
        micro = like(moved_to(drawn, onset), moved_to(drawn, onset), warp.peak)
        if row == "slow":
            return warp, _on_courses(rng, micro, first_part, warp.peak, side, index)
        plays = [(first_part, 0.0, [micro])]
        if row == "quiet":
            parts = ["mouth"] + ([OTHER] if index % OTHERS_EVERY == 0 else [])
            for part in parts:
                shape = family.draw(rng, onset, recipe, warp.peak, part)
                plays.append((part, 0.0, [like(shape, micro, warp.peak)]))
        return warp, plays
    return None


def _on_courses(
    rng: np.random.Generator, micro: Action, part: str, peak: Peak, side: int, index: int
) -> list[tuple[str, float, list[Action]]]:
    """The same ME on courses of every speed, at the sites in turn; all alike but for the speed."""
    site = SITES[index // 2 % len(SITES)]
    seed = int(rng.integers(2**31))
    plays = []
    for px in COURSES_PX:
        actions = [micro]
        if px:
            same = np.random.default_rng(seed)
            actions.append(slow_course(same, micro.movement, site, crop_px(px, side), peak))
        plays.append((part, px, actions))
    return plays


def _warp(stage: Stage, span: Span, warps: dict[Span, Warp], side: int) -> Warp:
    """The warp of a span, by the face at its beginning."""
    if span not in warps:
        footage = stage.footage
        warps[span] = Warp(footage.landmarks[span.row], footage.affines[span.row], side)
    return warps[span]
