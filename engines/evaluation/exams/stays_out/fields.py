"""Which moments of footage are measured, and the fields that are kept of them.

Pairs of moments are registered all through the footage. Of each pair and region the motion beside
the head's is rated: how far the region moved, and how much farther than the rest of the face. The
largest are measured again one frame further apart and kept only where both agree, so that neither
noise nor a codec's blocks pass for skin. Sizes and limits were set by eye on montages of warped
faces. What a face does while it speaks or blinks is no expression: below the brow nothing is
measured between moments with speech at or between them, nowhere across a blink. Not from the
papers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ....alignment.landmarker import yaw_degrees
from ....clips import SECOND_NS
from ....data.footage import Footage
from ..mesh_annotation import LIDS, LIPS, Annotation, openness
from .regions import REGIONS, SIZE, MeshField, Region, window
from .registration import Floats, Grey, SkinMotion, grey, skin_motion

APART_S = (0.2, 0.4, 0.8, 1.4)  # between the two moments
EVERY_S = 0.12  # from one first moment to the next
BLINK_CLEAR_S = 0.12  # between a moment and a blink
LIPS_APART = 0.05  # of the distance between the eyes: lips further apart show teeth
LIPS_PARTING = 0.03  # and so does a change of their distance by this

EYES_OPEN = 0.85  # of their own level: lids further down look down or blink
FRONTAL_DEGREES = 15.0  # of yaw, at most
MOST_TURN = 0.06  # rad between the moments: of a larger one parallax is left
# What was looked at and is no expression, by person and s of the footage: a hand before the face.
LEFT_OUT = (("webcam-man", 43.9, 46.2),)

LEAST_CM = 0.07  # that a region moved: 0.6 px of the reference crop
MOST_CM = 1.0  # beyond it flow is lost
LEAST_CONTRAST = 2.2  # times the median motion of the rest of the face
LEAST_RELIABLE = 0.75  # share of a region's points
LEAST_AGREEMENT = 0.9  # cosine between the two measurements of a field
NEAR_S = 0.5  # moments of a region nearer to each other are one expression
ALIKE = 0.9  # cosine of two fields of a person above which they are one
ONE_SIDED = 0.45  # of the stronger side: a weaker other side is left out
PER_REGION = 3  # fields of a person in a region, at most
HIGH = 90.0  # percentile that is a region's motion
INNER = 0.5  # weight of a region's window above which points are its own
LEAST_POINTS = 8  # of a region


@dataclass(frozen=True, eq=False)
class _Moment:
    """A rated pair of rows for one region, before it is measured again."""

    rows: tuple[int, int]
    side: str
    strength: float
    field: Floats
    inner: NDArray[np.bool_]  # (468,) the points of the sides that move


def find_fields(person: str, footage: Footage, annotation: Annotation) -> list[MeshField]:
    """The fields of one person's footage, at most PER_REGION of a region, the largest first.

    footage: aligned at `registration.SIDE`.
    """
    greys = [grey(crop) for crop in footage.crops]
    meshes = _meshes(footage)
    rated: dict[str, list[_Moment]] = {region.name: [] for region in REGIONS}
    for rows in pairs_of(footage, annotation, person):
        motion = skin_motion(greys[rows[0]], greys[rows[1]], meshes[rows[0]])
        if motion.turn > MOST_TURN:
            continue
        closed = _lips_closed(footage, rows)
        speaks = bool(annotation.mouth[_between(rows)].any())
        for region in REGIONS:
            if (closed or not region.mouth) and not (speaks and region.speech):
                rated[region.name] += _rated(region, motion, rows)
    found = []
    for region in REGIONS:
        moments = sorted(rated[region.name], key=lambda moment: -moment.strength)
        for moment in _kept(moments, region, greys, meshes, footage):
            found.append(_field(person, region.name, moment, footage))
    return found


def pairs_of(
    footage: Footage, annotation: Annotation, person: str = ""
) -> Iterator[tuple[int, int]]:
    """Rows of two moments with open eyes and a frontal face, APART_S apart within one segment.

    No blink is near either moment or between them.
    """
    at = footage.at_ns / SECOND_NS
    blinks = at[annotation.blink]
    usable = _usable(footage)
    for name, from_s, to_s in LEFT_OUT:
        if name == person:
            usable &= (at < from_s) | (at > to_s)
    for first, stop in footage.segments():
        period = float(np.median(np.diff(at[first:stop])))
        step = max(1, round(EVERY_S / period))
        for row in range(first + 1, stop - 1, step):
            for apart in APART_S:
                other = row + round(apart / period)
                if other + 1 >= stop or not (usable[row] and usable[other]):
                    continue
                spanned = annotation.blink[_between((row, other))].any()
                if not spanned and _clear(blinks, at[[row, other]]):
                    yield row, other


def _between(rows: tuple[int, int]) -> slice:
    """All rows that a measurement spans, and one more to either side, for it is made twice."""
    return slice(rows[0] - 1, rows[1] + 2)


def _usable(footage: Footage) -> NDArray[np.bool_]:
    """(N,) whether the face looks ahead with its eyes open."""
    found = np.zeros(len(footage.aligned), bool)
    for first, stop in footage.segments():
        at = footage.at_ns[first:stop] / SECOND_NS
        found[first:stop] = openness(footage.landmarks[first:stop], at) >= EYES_OPEN
    yaw = [abs(yaw_degrees(footage.meshes[i])) for i in footage.aligned]
    return found & (np.array(yaw) <= FRONTAL_DEGREES)


def _clear(blinks: Floats, moments: Floats) -> bool:
    """Whether no blink is near either moment."""
    if not len(blinks):
        return True
    return bool(np.abs(blinks[:, None] - moments).min() > BLINK_CLEAR_S)


def _meshes(footage: Footage) -> Floats:
    """(N, 478, 3) the mesh of every aligned frame in px of its crop, z on the same scale."""
    meshes = np.array([footage.meshes[i] for i in footage.aligned], np.float64)
    linear = footage.affines[:, :, :2]
    flat = np.einsum("nij,nkj->nki", linear, meshes[..., :2]) + footage.affines[:, None, :, 2]
    scale = np.hypot(linear[:, 0, 0], linear[:, 0, 1])
    return np.concatenate([flat, meshes[..., 2:] * scale[:, None, None]], axis=-1)


def _lips_closed(footage: Footage, rows: tuple[int, int]) -> bool:
    """Whether the lips are nearly closed at both moments, and as far apart."""
    mesh = footage.landmarks[list(rows)]
    eyes = np.hypot(*(mesh[:, LIDS[0][2]] - mesh[:, LIDS[1][2]]).T)
    lips = np.hypot(*(mesh[:, LIPS[0]] - mesh[:, LIPS[1]]).T) / eyes
    return bool(lips.max() < LIPS_APART and np.ptp(lips) < LIPS_PARTING)


def _rated(region: Region, motion: SkinMotion, rows: tuple[int, int]) -> list[_Moment]:
    """The moment where the region moved far enough, and farther than the rest; else nothing."""
    size = np.hypot(*motion.moves.T)
    windows = {side: window(region, side, motion.places) for side in region.sides}
    rest = motion.reliable & (np.max(list(windows.values()), axis=0) == 0)
    if np.count_nonzero(rest) < LEAST_POINTS:
        return []
    limit = max(LEAST_CM, LEAST_CONTRAST * float(np.median(size[rest])))
    strengths: dict[str, float] = {}
    for side, weight in windows.items():
        inner = weight > INNER
        counted = inner & motion.reliable
        enough = np.count_nonzero(counted) >= LEAST_RELIABLE * np.count_nonzero(inner)
        if enough and np.count_nonzero(counted) >= LEAST_POINTS:
            strengths[side] = float(np.percentile(size[counted], HIGH))
    strongest = max(strengths.values(), default=0.0)
    if not limit <= strongest <= MOST_CM:
        return []
    moving = [side for side, strength in strengths.items() if strength >= ONE_SIDED * strongest]
    weight = np.max([windows[side] for side in moving], axis=0)
    name = moving[0] if len(moving) == 1 else ""
    field = motion.moves * weight[:, None]
    return [_Moment(rows, name, strongest, field, weight > INNER)]


def _kept(
    moments: Sequence[_Moment],
    region: Region,
    greys: Sequence[Grey],
    meshes: Floats,
    footage: Footage,
) -> list[_Moment]:
    """The strongest moments that measure the same one frame further apart, unlike each other."""
    kept: list[_Moment] = []
    at = footage.at_ns / SECOND_NS
    for moment in moments:
        if len(kept) == PER_REGION:
            break
        if any(_same(moment, other, at) for other in kept):
            continue
        first, last = moment.rows
        again = skin_motion(greys[first - 1], greys[last + 1], meshes[first - 1])
        second = _windowed(region, moment.side, again)
        if _cosine(moment.field, second) >= LEAST_AGREEMENT:
            kept.append(replace(moment, field=(moment.field + second) / 2))
    return kept


def _windowed(region: Region, side: str, motion: SkinMotion) -> Floats:
    """The motion within one side of a region, or within all of it."""
    sides = [side] if side in region.sides else list(region.sides)
    weight = np.max([window(region, name, motion.places) for name in sides], axis=0)
    return np.asarray(motion.moves * weight[:, None], np.float64)


def _same(moment: _Moment, other: _Moment, at: Floats) -> bool:
    """Whether two moments are of one expression, or their fields of one shape."""
    first = at[list(moment.rows)]
    second = at[list(other.rows)]
    apart = max(second[0] - first[1], first[0] - second[1])
    return bool(apart < NEAR_S) or abs(_cosine(moment.field, other.field)) > ALIKE


def _cosine(first: Floats, second: Floats) -> float:
    size = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float((first * second).sum()) / size if size else 0.0


def _field(person: str, region: str, moment: _Moment, footage: Footage) -> MeshField:
    first, last = (float(footage.at_ns[row]) / SECOND_NS for row in moment.rows)
    size = np.hypot(*moment.field.T)
    peak = float(np.percentile(size[moment.inner], SIZE))
    shortened = moment.field / np.maximum(size, peak)[:, None]
    return MeshField(
        person=person,
        region=region,
        side=moment.side,
        from_s=round(first, 3),
        to_s=round(last, 3),
        strength_cm=round(moment.strength, 3),
        moves=shortened,
    )
