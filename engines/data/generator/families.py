"""What an expression moves: units of the basis, random local fields, or measured expressions.

A local field is a smooth bump of motion at the site of a muscle, with place, reach, direction and
skew drawn anew, so that no two expressions move alike. Its unit is known where its direction stays
within CONE of the unit's own. Measured fields come from real expressions (`expressions`). Shares
and spreads are our own. Not from the papers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .actions import MIRROR, SIDES, Blob, Field, Geometry, beside_mouth
from .basis import dense
from .drawing import log_uniform
from .sites import REGIONS, SITES
from .timeline import Families, Source, Strengths

USUAL, LOCAL, MEASURED, KEPT = "usual", "local", "measured", "kept"
EVEN = "even"  # units drawn evenly: `movements.even_units`
CONE = math.radians(30)  # about a unit's direction: within it the unit is known
TURN_SD = math.radians(14)  # of the directions within the cone
PLACE_CM = 0.25  # sd of a field's place about its site, on each axis
REACH = (0.6, 1.5)  # times the site's own, on each axis, log-uniform
SKEW = 0.45  # at most: one flank is exp(2 SKEW) times as long as the other
SHARE = (0.6, 1.3)  # of a patch against the others of its site
PAIRED = ("brow", "eye", "nose-cheek", "mouth corner")  # regions with two sides
ONE_SIDED = 0.4  # share of measured fields of both sides that are shown on one alone
MIDLINE = (6, 4, 13)  # landmarks
MIDLINE_CM = 0.6  # half width of the step between the sides
LEAN = (0.4, 1.0)  # of the weaker side against the stronger one, where both move


@dataclass(frozen=True)
class Patch:
    """A bump of motion on a face: the mean of landmarks `at`, moved by `offset` (cm).

    move: displacement (cm). reach: standard deviations (cm) across and down. skew: how much longer
    the flank towards +x and +y is than the other. part: as in `Blob`.
    """

    at: tuple[int, ...]
    offset: tuple[float, float]
    move: tuple[float, float]
    reach: tuple[float, float]
    skew: tuple[float, float]
    part: str = ""

    def field(self, geometry: Geometry) -> Field:
        """(H, W, 2) displacement in px."""
        along = self.offset[0] * geometry.right + self.offset[1] * geometry.down
        centre = geometry.landmarks[list(self.at)].mean(0) + along * geometry.px_per_cm
        weight = np.float32(0)
        for place, reach, skew in zip(geometry.local(centre), self.reach, self.skew, strict=True):
            flank = reach * np.exp(np.float32(skew) * np.tanh(place / reach))
            weight = weight - np.float32(0.5) * (place / flank) ** 2
        bump = np.exp(weight)
        if self.part:
            bump *= beside_mouth(geometry, self.part)
        return geometry.image(bump * np.float32(self.move[0]), bump * np.float32(self.move[1]))


@dataclass(frozen=True)
class LocalField(Source):
    """A random smooth local field: patches that move together."""

    patches: tuple[Patch, ...]

    def field(self, geometry: Geometry) -> Field:
        """(H, W, 2) displacement in px at full strength."""
        total = np.zeros((geometry.height, geometry.width, 2), np.float32)
        for patch in self.patches:
            total += patch.field(geometry)
        return total


@dataclass(frozen=True, eq=False)
class MeasuredField(Source):
    """A real expression's motion.

    moves: 468 displacements (x, y) in cm along the face's axes, +x to the image's right, +y down.
    family: MEASURED, or KEPT for those that only validation clips show.
    """

    person: str
    family: str
    region: str
    side: str
    moves: np.ndarray[tuple[int, ...], np.dtype[np.float32]]

    def field(self, geometry: Geometry) -> Field:
        """(H, W, 2) displacement in px at full strength."""
        return dense(geometry, geometry.image(*self.moves.T))


@dataclass(frozen=True)
class OneSided(Source):
    """A measured field on one side of the face alone."""

    whole: MeasuredField
    side: str

    def field(self, geometry: Geometry) -> Field:
        """(H, W, 2) displacement in px at full strength."""
        across, _ = geometry.local(geometry.landmarks[list(MIDLINE)].mean(0))
        sign = 1.0 if self.side == "L" else -1.0
        share = 0.5 + 0.5 * np.tanh(sign * across / MIDLINE_CM)
        return np.asarray(self.whole.field(geometry) * share[..., None], np.float32)


class Shape(NamedTuple):
    """What an expression moves: strengths that still have to be sized, units where known."""

    strengths: Strengths
    units: tuple[str, ...]
    family: str
    region: str
    side: str


def draw_shape(
    rng: np.random.Generator, families: Families, measured: Sequence[MeasuredField]
) -> Shape | None:
    """The motion of an expression of a family drawn by its share; None for the usual family.

    Measured fields are drawn by region and then evenly; where there are none, local ones are drawn
    in their place. Nothing is drawn where the usual family is the only one.
    """
    if families.usual >= 1:
        return None
    shares = np.array([families.usual, families.local, families.measured])
    family = (USUAL, LOCAL, MEASURED)[rng.choice(3, p=shares / shares.sum())]
    if family == USUAL:
        return None
    if family == MEASURED and measured:
        return _measured_shape(rng, families, measured)
    return draw_local(rng, families)


def draw_local(rng: np.random.Generator, families: Families, region: str = "") -> Shape:
    """A random local field, of `region` where one is given."""
    region = region or _region(rng, families, REGIONS)
    sites = [site for site in SITES if site.region == region]
    site = sites[rng.choice(len(sites), p=_normal([s.share for s in sites]))]
    free = rng.random() < families.free
    turn = rng.uniform(CONE, 2 * math.pi - CONE) if free else _within_cone(rng)
    side = SIDES[rng.integers(2)] if rng.random() < site.one_sided else ""
    blobs = [_varied(rng, blob, turn) for blob in site.patches]
    patches: list[Patch] = []
    weak = SIDES[rng.integers(2)]
    lean = float(rng.uniform(*LEAN))
    for each in (side,) if side else SIDES:
        share = lean if each == weak and not side else 1.0
        patches += [_placed(patch, each, share, site.aside) for patch in blobs]
    known = bool(site.unit) and not free
    units = (site.unit + side,) if known else ()
    return Shape({LocalField(tuple(patches)): 1.0}, units, LOCAL, region, side)


def _measured_shape(
    rng: np.random.Generator, families: Families, measured: Sequence[MeasuredField]
) -> Shape:
    there = tuple(region for region in REGIONS if any(f.region == region for f in measured))
    region = _region(rng, families, there)
    fields = [field for field in measured if field.region == region]
    field = fields[rng.integers(len(fields))]
    if field.side or region not in PAIRED or rng.random() >= ONE_SIDED:
        return Shape({field: 1.0}, (), field.family, field.region, field.side)
    side = SIDES[rng.integers(2)]
    return Shape({OneSided(field, side): 1.0}, (), field.family, field.region, side)


def _region(rng: np.random.Generator, families: Families, among: tuple[str, ...]) -> str:
    shares = [families.regions[REGIONS.index(region)] for region in among]
    return among[rng.choice(len(among), p=_normal(shares))]


def _normal(shares: Sequence[float]) -> list[float]:
    """The shares, so that they sum to 1."""
    return [share / sum(shares) for share in shares]


def _within_cone(rng: np.random.Generator) -> float:
    """An angle within CONE of 0, nearer ones more often."""
    return float(np.clip(rng.normal(0, TURN_SD), -CONE, CONE))


def _varied(rng: np.random.Generator, blob: Blob, turn: float) -> Patch:
    """A patch near a blob of the left side: moved, widened, skewed, and turned by `turn` rad."""
    share = rng.uniform(*SHARE)
    across = share * (blob.dx * math.cos(turn) - blob.dy * math.sin(turn))
    down = share * (blob.dx * math.sin(turn) + blob.dy * math.cos(turn))
    offset = rng.normal(0, PLACE_CM, 2) * min(1.0, blob.sy)
    wide, high = log_uniform(rng, REACH), log_uniform(rng, REACH)
    skew = rng.uniform(-SKEW, SKEW, 2)
    return Patch(
        blob.at,
        (float(offset[0]), float(offset[1])),
        (float(across), float(down)),
        (blob.sx * wide, blob.sy * high),
        (float(skew[0]), float(skew[1])),
        blob.part,
    )


def _placed(patch: Patch, side: str, share: float, aside: bool) -> Patch:
    """A patch of the left side on `side`, at `share` of its displacement."""
    mirror = -1.0 if side == "R" else 1.0
    at = patch.at if side == "L" else tuple(MIRROR[i] for i in patch.at)
    across = patch.move[0] * share * (1.0 if aside else mirror)
    return Patch(
        at,
        (mirror * patch.offset[0], patch.offset[1]),
        (across, share * patch.move[1]),
        patch.reach,
        (mirror * patch.skew[0], patch.skew[1]),
        patch.part,
    )
