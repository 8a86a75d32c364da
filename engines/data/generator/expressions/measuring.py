"""Motion fields of real expressions, measured from the meshes of footage.

Two moments of a video are compared, landmark by landmark. What a similarity of the picture and a
turn of the head explain is taken out, the strongest region is cut out smoothly, and the rest is
scaled to a peak of 1 cm. Meshes are medians over a few frames, and a field is kept only where the
frames beside both moments show the same. Moments in which the eyes close or open are left out.
Sizes and limits are our own, set by looking at warped faces. Not from the papers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...footage import VIDEOS, Footage, MeshAligner, read_footage
from ...people import parts_for
from ..actions import Geometry
from ..basis import POINTS
from ..families import KEPT, MEASURED, MeasuredField
from ..sites import MOUTH, REGIONS

Floats = NDArray[np.float64]

APART_S = (0.2, 0.4, 0.8, 1.4)  # between the two moments
EVERY_S = 0.1  # from one first moment to the next
BESIDE = 1  # frames on each side of a moment that its mesh is the median of
AGREE_FRAMES = 2  # between a moment and that of the second measurement
AGREEMENT = 0.85  # cosine between the two measurements, at least
EYE_CHANGE = 0.025  # of the distance between the eyes: lids that move by more blink
STRONG_CM = (0.06, 2.0)  # that a region moves
CONTRAST = 1.8  # times the median motion of the rest of the face
ALIKE = 0.9  # cosine of two fields of a person that count as one
PER_REGION = 7  # fields of a person in a region, at most
ONE_SIDED = 0.5  # a side that moves by less of the other one is left out
ROUNDS = 6  # of the robust fit of the head's motion
LEAST_SPREAD_CM = 0.02  # of the robust fit: the mesh's own noise
STILL = 0.7  # Tukey's limit in spreads is this much times 4.685
TAPER = 1.0  # standard deviations: a region's window is whole up to here
PARTING = 0.5  # of a region's motion: lips that part or close by more are as in speech
LID_POINTS = ((159, 145), (386, 374))
LIP_POINTS = (13, 14)


class Window(NamedTuple):
    """Where a region lies: the mean of landmarks by side, and its size in cm."""

    sides: dict[str, tuple[int, ...]]
    across: float
    down: float


WINDOWS = {
    "brow": Window({"L": (336, 285, 296, 334), "R": (107, 55, 66, 105)}, 1.5, 1.0),
    "eye": Window({"L": (374, 386), "R": (145, 159)}, 1.2, 0.6),
    "nose-cheek": Window({"L": (358, 423, 425), "R": (129, 203, 205)}, 1.3, 1.2),
    "mouth corner": Window({"L": (291, 287), "R": (61, 57)}, 1.2, 1.0),
    "lips": Window({"": (13, 14, 0, 17)}, 1.7, 0.9),
    "chin": Window({"": (199, 200, 18)}, 1.7, 1.0),
}


@dataclass(frozen=True, eq=False)
class Course:
    """A face in one segment, along its own axes in cm.

    places (N, 468, 2): +x to the image's right, +y down. depth (N, 468): grows away from the
    camera. lids (N, 2): openings of the eyes over the distance between them. times_s (N,).
    """

    places: Floats
    depth: Floats
    lids: Floats
    times_s: Floats


class Found(NamedTuple):
    """A field before the best are chosen: how far its region moved (cm), and the field itself."""

    strength: float
    field: MeasuredField


def measure_folder(
    folder: Path,
    person: str | None = None,
    apart: Sequence[str] = (),
    progress: Callable[[str], None] = lambda line: None,
) -> list[MeasuredField]:
    """The fields of the videos in a folder, or of one video; those of persons `apart` are kept.

    person: who is in videos that `people.csv` does not list. Raises DataError for a video that is
    not for training or cannot be read.
    """
    paths = [folder]
    if folder.is_dir():
        paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in VIDEOS)
    found: dict[tuple[str, str], list[Found]] = defaultdict(list)
    for path, part in parts_for(paths, "train", person):
        with MeshAligner() as aligner:
            footage = read_footage(path, part.from_s, part.to_s, aligner, keep_frames=False)
        family = KEPT if part.person in apart else MEASURED
        count = 0
        for course in courses_of(footage):
            for one in measure(course, part.person, family):
                found[part.person, one.field.region].append(one)
                count += 1
        progress(f"{path.name}: {part.person}, {count} fields before the best are chosen")
    return [field for key in sorted(found) for field in _unlike(found[key])]


def courses_of(footage: Footage) -> list[Course]:
    """The face of every segment of the footage."""
    courses = []
    for first, stop in footage.segments():
        meshes = [footage.meshes[i] for i in footage.aligned[first:stop]]
        points = np.array([mesh for mesh in meshes if mesh is not None], np.float64)
        at = footage.at_ns[first:stop] / 1e9
        geometry = [Geometry.of(mesh[:, :2], 1, 1) for mesh in points]
        places = np.array([_along(g, mesh) for g, mesh in zip(geometry, points, strict=True)])
        scale = np.array([g.px_per_cm for g in geometry])
        depth = points[:, :POINTS, 2] / scale[:, None]
        courses.append(Course(places, depth, _lids(places), at))
    return courses


def measure(course: Course, person: str, family: str) -> list[Found]:
    """Every field of a segment that is strong, stands out and is seen twice."""
    count = len(course.times_s)
    reach = BESIDE + AGREE_FRAMES
    if count < 2 * reach + 2:
        return []
    period = float(np.median(np.diff(course.times_s)))
    found = []
    for row in range(reach, count - reach, max(1, round(EVERY_S / period))):
        for apart in APART_S:
            other = row + round(apart / period)
            if other + reach < count and _eyes_rest(course, row, other):
                found += _between(course, row, other, person, family)
    return found


def without_head(change: Floats, places: Floats, depth: Floats) -> Floats:
    """A change (468, 2) cm without what a similarity and a turn of the head explain.

    The fit is robust: what moves by itself does not pull it.
    """
    x, y = (places - places.mean(0)).T
    z = depth - depth.mean()
    one, none = np.ones_like(x), np.zeros_like(x)
    parts = ((one, none), (none, one), (x, y), (-y, x), (z, none), (none, z))
    basis = np.stack([np.stack(part, -1) for part in parts], -1).reshape(-1, len(parts))
    flat = change.reshape(-1)
    weight = np.ones(len(change))
    rest = change
    for _ in range(ROUNDS):
        root = np.repeat(np.sqrt(weight), 2)
        share = np.linalg.lstsq(basis * root[:, None], flat * root, rcond=None)[0]
        rest = (flat - basis @ share).reshape(-1, 2)
        size = np.hypot(*rest.T)
        limit = 4.685 * STILL * max(float(np.median(size)), LEAST_SPREAD_CM)
        weight = np.clip(1 - (size / limit) ** 2, 0, 1) ** 2
    return rest


def _along(geometry: Geometry, mesh: Floats) -> Floats:
    """The landmarks (468, 2) in cm along the face's axes."""
    points = mesh[:POINTS, :2] - mesh[:POINTS, :2].mean(0)
    axes = np.stack([geometry.right, geometry.down], -1)
    return np.asarray(points @ axes / geometry.px_per_cm)


def _lids(places: Floats) -> Floats:
    apart = np.hypot(*(places[:, 263] - places[:, 33]).T)
    openings = [np.hypot(*(places[:, low] - places[:, up]).T) for up, low in LID_POINTS]
    return np.asarray(np.stack(openings, -1) / apart[:, None], np.float64)


def _eyes_rest(course: Course, row: int, other: int) -> bool:
    """Whether no eye opens or closes between two moments, nor is near closed at one of them."""
    lids = course.lids
    change = np.abs(lids[other] - lids[row]).max()
    open_by = 0.6 * np.median(lids, 0)
    return bool(change < EYE_CHANGE and (lids[[row, other]] > open_by).all())


def _between(course: Course, row: int, other: int, person: str, family: str) -> list[Found]:
    """The fields of all regions between two moments."""
    rest = _change(course, row, other)
    again = _change(course, row - AGREE_FRAMES, other + AGREE_FRAMES)
    places = np.median(course.places[row - BESIDE : row + BESIDE + 1], 0)
    size = np.hypot(*rest.T)
    upper, lower = LIP_POINTS
    parting = abs(float(rest[lower, 1] - rest[upper, 1]))
    found = []
    for region in REGIONS:
        window = WINDOWS[region]
        weights = {side: _weight(places, at, window) for side, at in window.sides.items()}
        strength = {side: _strength(size, weight) for side, weight in weights.items()}
        strongest = max(strength.values())
        moving = [side for side in strength if strength[side] >= ONE_SIDED * strongest]
        weight = np.max([weights[side] for side in moving], 0)
        elsewhere = float(np.median(size[weight < 0.1]))
        inside = weight > 0.3
        alike = _cosine(rest[inside], again[inside])
        strong = STRONG_CM[0] <= strongest <= STRONG_CM[1]
        if region in MOUTH and parting > PARTING * strongest:
            continue
        if strong and strongest >= CONTRAST * elsewhere and alike >= AGREEMENT:
            moves = (rest * weight[:, None]).astype(np.float32)
            moves /= np.hypot(*moves.T).max()
            side = moving[0] if len(moving) == 1 else ""
            found.append(Found(strongest, MeasuredField(person, family, region, side, moves)))
    return found


def _change(course: Course, row: int, other: int) -> Floats:
    """(468, 2) cm from one moment to another, without the head's motion."""
    before, after = (np.median(course.places[i - BESIDE : i + BESIDE + 1], 0) for i in (row, other))
    return without_head(after - before, before, course.depth[row])


def _weight(places: Floats, at: tuple[int, ...], window: Window) -> Floats:
    """(468,) a region's window: 1 within TAPER standard deviations, then a Gaussian's fall."""
    away = places - places[list(at)].mean(0)
    distance = np.hypot(away[:, 0] / window.across, away[:, 1] / window.down)
    return np.asarray(np.exp(-0.5 * np.maximum(distance - TAPER, 0) ** 2 * 4))


def _strength(size: Floats, weight: Floats) -> float:
    """How far a region moves: the upper quartile of its landmarks, in cm."""
    return float(np.quantile(size[weight > 0.6], 0.75))


def _cosine(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    both = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float((one * other).sum()) / max(both, 1e-9)


def _unlike(found: list[Found]) -> list[MeasuredField]:
    """The strongest fields of a person in a region, no two of them alike."""
    chosen: list[MeasuredField] = []
    for _, field in sorted(found, key=lambda one: -one.strength):
        if all(_cosine(field.moves, other.moves) < ALIKE for other in chosen):
            chosen.append(field)
        if len(chosen) == PER_REGION:
            break
    return chosen
