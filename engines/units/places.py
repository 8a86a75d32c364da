"""Where the regions of a face lie: in its mesh and in its crop.

Reaches are those of the fields that are measured by region. Middles are means over the portraits of
`face_template`, made symmetrical, so that a region can be drawn and looked at where only the crop
is there. Not from the papers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..alignment.face_template import MESH_WIDTH_CM, SPAN, TOP, template_px

CORNERS = 32  # of an outline


@dataclass(frozen=True)
class Place:
    """One region.

    points: of the mesh, whose mean is its middle, by the subject's side (L is the image's right);
    a region on the midline has one side, "". across, down: its reach in cm. middle: template units
    of `face_template`, on the subject's left.
    """

    points: dict[str, tuple[int, ...]]
    across: float
    down: float
    middle: tuple[float, float]

    @property
    def paired(self) -> bool:
        """Whether each side of the face has one of its own."""
        return "" not in self.points

    def middles(self) -> dict[str, tuple[float, float]]:
        """Its middle by side, template units."""
        x, y = self.middle
        return {side: (-x if side == "R" else x, y) for side in self.points}

    def away(self, xy: NDArray[np.float64], side: str) -> NDArray[np.float64]:
        """How far places (..., 2) are from one side's middle, template units; 1 at its reach."""
        reach = np.array([self.across, self.down]) / MESH_WIDTH_CM
        return np.asarray(np.hypot(*np.moveaxis((xy - self.middles()[side]) / reach, -1, 0)))


PLACES = {
    "brow": Place({"L": (336, 285, 296, 334), "R": (107, 55, 66, 105)}, 2.0, 1.3, (0.184, -0.260)),
    "eye": Place({"L": (374, 386, 263), "R": (145, 159, 33)}, 1.5, 0.9, (0.273, -0.119)),
    "nose-cheek": Place({"L": (358, 423, 425), "R": (129, 203, 205)}, 1.5, 1.5, (0.211, 0.185)),
    "mouth corner": Place({"L": (291, 287), "R": (61, 57)}, 1.4, 1.2, (0.206, 0.388)),
    "lips": Place({"": (13, 14, 0, 17)}, 1.9, 1.0, (0.0, 0.402)),
    "chin": Place({"": (199, 200, 18)}, 2.0, 1.1, (0.0, 0.567)),
}


def outlines(region: str, side: str, crop_side: int) -> list[NDArray[np.float64]]:
    """Closed polygons (CORNERS, 2) in px of a crop of `crop_side`: where a region lies.

    side: L, R or both; a region on the midline has one outline in any case. Empty for a region that
    is not among PLACES.
    """
    place = PLACES.get(region)
    if place is None:
        return []
    turn = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    reach = np.array([place.across, place.down]) / MESH_WIDTH_CM
    ellipse = np.stack([np.cos(turn), np.sin(turn)], axis=1) * reach
    return [
        template_px(np.array(middle) + ellipse, crop_side)
        for own, middle in place.middles().items()
        if own in ("", side) or side == "both"
    ]


def block_places(blocks: int) -> NDArray[np.float64]:
    """(blocks, blocks, 2) middles of the blocks that a crop is cut into, template units."""
    middles = (np.arange(blocks) + 0.5) * (SPAN / blocks)
    x, y = np.meshgrid(middles - SPAN / 2, middles + TOP)
    return np.stack([x, y], axis=-1)
