"""The regions of a face that are measured, and a region's field. Not from the papers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....data.generator.actions import Field, Geometry
from ....data.generator.basis import dense
from ....data.generator.timeline import Source
from ....units.places import PLACES
from .registration import Floats

TAPER = 1.7  # times the reach: where a region ends; it is whole up to its reach
# Percentile that is a field's size: with it half the size is exceeded on about as much skin as with
# the other families (MeshField).
SIZE = 75.0


@dataclass(frozen=True)
class Region:
    """A part of the face that moves by itself: places on its sides, and its reach in cm.

    sides: points of the mesh whose mean is the middle, by side (L is the image's right); a region
    on the midline has one side, "". mouth: whether parting lips hide it. speech: whether it moves
    in speech.
    """

    name: str
    sides: dict[str, tuple[int, ...]]
    across: float
    down: float
    mouth: bool
    speech: bool = True


def _region(name: str, *, mouth: bool, speech: bool = True) -> Region:
    place = PLACES[name]
    return Region(name, place.points, place.across, place.down, mouth, speech)


REGIONS = (
    _region("brow", mouth=False, speech=False),
    _region("eye", mouth=False),
    _region("nose-cheek", mouth=False),
    _region("mouth corner", mouth=True),
    _region("lips", mouth=True),
    _region("chin", mouth=True),
)


def window(region: Region, side: str, places: Floats) -> Floats:
    """(468,) 1 within the reach of one side of a region, 0 beyond TAPER times it."""
    middle = places[list(region.sides[side])].mean(0)
    away = np.hypot(*((places - middle) / (region.across, region.down)).T)
    share = np.clip((away - 1) / (TAPER - 1), 0, 1)
    return np.asarray(0.5 + 0.5 * np.cos(np.pi * share), np.float64)


@dataclass(frozen=True, eq=False)
class MeshField(Source):
    """One expression's motion: displacements (468, 2) cm along the face's axes, peak 1 cm.

    The peak is a robust size, the SIZE percentile of the region's points; what moves farther is
    shortened to it. A single point of the mesh as the peak left nearly still skin: more than half
    the peak moved on a median of 5.7 square cm, of the usual family on 13.3 and of the generator's
    measured fields on 8.3; so it is 10.4.
    side: "L", "R", or "" for both or the midline. from_s, to_s: the two moments in the footage.
    strength_cm: how far the region really moved.
    """

    person: str
    region: str
    side: str
    from_s: float
    to_s: float
    strength_cm: float
    moves: Floats

    def field(self, geometry: Geometry) -> Field:
        """(H, W, 2) displacement in px on a face, at a peak of 1 cm."""
        across, down = self.moves.astype(np.float32).T
        return dense(geometry, geometry.image(across, down))
