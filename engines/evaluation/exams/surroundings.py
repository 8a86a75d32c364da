"""How far the rest of the face moved before a micro-expression: what predicts a loss.

The crop at the apex is registered with the one of the encoder's longest lag before; the median
motion outside the ME's own part of the face is what its surroundings moved. Not from the papers.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...clips import SECOND_NS, nearest_frames
from ...data.generator.timeline import Movement

LONGEST_LAG_S = 0.8
LEAST_SIDE = 64  # px of a crop that can be registered
EDGE = 0.06  # of the crop's side, on every side: left out
# The part of the crop, from its top, that a region's own movement may reach
OWN = {
    "brow": (0.0, 0.34),
    "eye": (0.1, 0.44),
    "nose-cheek": (0.3, 0.7),
    "mouth corner": (0.5, 1.0),
    "lips": (0.56, 0.96),
    "chin": (0.7, 1.0),
}


def surroundings_px(
    crops: NDArray[np.uint8], times_ns: NDArray[np.int64], movement: Movement
) -> float:
    """Median motion in crop px outside the movement's region over LONGEST_LAG_S; NaN if unknown.

    crops (N, 3, S, S) RGB at times_ns (N,).
    """
    side = crops.shape[-1]
    if side < LEAST_SIDE or not len(crops):
        return float("nan")
    wanted = [movement.apex_ns - LONGEST_LAG_S * SECOND_NS, movement.apex_ns]
    first, last = nearest_frames(times_ns, np.array(wanted, np.int64))
    if first == last:
        return float("nan")
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    no_start: Any = None
    flow = method.calc(_grey(crops[first]), _grey(crops[last]), no_start)
    size = np.hypot(flow[..., 0], flow[..., 1])
    counted = np.zeros((side, side), bool)
    edge = round(EDGE * side)
    counted[edge : side - edge, edge : side - edge] = True
    top, bottom = OWN.get(movement.region, (0.0, 0.0))
    counted[round(top * side) : round(bottom * side)] = False
    return float(np.median(size[counted]))


def _grey(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    pixels = np.ascontiguousarray(crop.transpose(1, 2, 0))
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)
