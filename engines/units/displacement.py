"""How far a place of the face moves: px of one reference crop, and the size classes a to e.

Displacements are told in px of a 160 px crop that is 19 cm wide, as the field does, whatever the
crops of the weights are. Not from the papers.
"""

from __future__ import annotations

from bisect import bisect_right

from ..alignment.face_template import MESH_WIDTH_CM, SPAN

REFERENCE_PX_PER_CM = 8.4
# Size classes: the fifths, by ratio, of 0.5 to 2.5 px, the range of the MEs of the examinations.
# They are displacements and no FACS coder's intensities A to E, which are judged by appearance.
SIZES = "abcde"
SIZE_PX = (0.7, 0.95, 1.3, 1.8)  # where b, c, d and e begin, reference px


def reference_px(px: float, side: int) -> float:
    """Crop px of our template at `side` in px of the reference crop, by cm of one mean face."""
    return px * REFERENCE_PX_PER_CM * SPAN * MESH_WIDTH_CM / side


def crop_px(px: float, side: int) -> float:
    """Px of the reference crop in crop px of our template at `side`."""
    return px * side / (REFERENCE_PX_PER_CM * SPAN * MESH_WIDTH_CM)


def size_of(px: float) -> str:
    """The size class of a displacement in reference px."""
    return SIZES[bisect_right(SIZE_PX, px)]
