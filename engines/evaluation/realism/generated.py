"""Micro-expressions of the training recipe in whole frames, measured as those of real people are.

Faces of portraits move as in training, on video that goes through the real aligner. The scene has
no turns of the head, no glasses, lines or dark rooms, and no codec. Not from the papers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from ...clips import SECOND_NS
from ...data.faces import FaceAsset
from ...data.generator.expressions.library import packaged
from ...data.generator.families import MEASURED, MeasuredField
from ...data.generator.synthesize import TRAINING_RECIPE
from ...data.generator.timeline import Recipe
from ...data.generator.truth import MICRO
from ...data.generator.video_scene import VideoScene
from ...errors import DataError
from .following import Follower
from .measures import Floats, Points, Sample

RECIPE = replace(TRAINING_RECIPE, turn_per_min=0.0, nod_per_min=0.0, shift_per_min=0.0)
SECONDS = 8.0  # of a clip: two or three MEs
SEED = 21
MOST_CLIPS = 20  # for each ME that is asked for; more are needed only where no face can be aligned


def generated(
    faces: Sequence[FaceAsset], count: int, hz: int, recipe: Recipe = RECIPE, seed: int = SEED
) -> list[Sample]:
    """The measures of `count` generated MEs, of faces in turn, filmed at `hz`; clusters are clips.

    Raises DataError where the faces cannot be aligned.
    """
    found: list[Sample] = []
    with Follower() as follower:
        for clip in range(MOST_CLIPS * count):
            if len(found) >= count:
                break
            face = faces[clip % len(faces)]
            scene = _scene(face, hz, recipe, _seed(seed, clip))
            found += [Sample(f"clip {clip}", values) for values in _measured(scene, hz, follower)]
    if len(found) < count:
        raise DataError("the faces of the portraits cannot be aligned; give others")
    return found[:count]


@cache
def _training_fields() -> tuple[MeasuredField, ...]:
    """The measured fields that training shows."""
    return tuple(field for field in packaged() if field.family == MEASURED)


def _seed(seed: int, clip: int) -> int:
    return int(np.random.default_rng([seed, clip]).integers(2**31))


def _scene(face: FaceAsset, hz: int, recipe: Recipe, seed: int) -> VideoScene:
    measured = _training_fields()
    return VideoScene(face.image, face.landmarks, seed, SECONDS, hz, recipe, measured=measured)


def _measured(scene: VideoScene, hz: int, follower: Follower) -> list[Floats]:
    """(7,) the measures of each ME of a clip; only frames of theirs are rendered."""
    events = [
        Points(*(round(at * hz / SECOND_NS) for at in (one.onset_ns, one.apex_ns, one.offset_ns)))
        for one in scene.movements
        if one.kind == MICRO
    ]
    wanted = sorted({index for each in events for index in range(each.onset, each.offset + 1)})
    frames = ((index, scene.at_ns(index), scene.frame(index)) for index in wanted)
    return [values for values in follower.follow(frames, events) if values is not None]
