"""What the optical flow says of one micro-expression, from its crops at onset, apex and offset.

The flow is that of `alignment.displacement`: means of blocks of a crop of 112 px, without what all
of the crop shares. Not from the papers, and none of the numbers is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...alignment.displacement import BLOCKS, local_and_shared, strongest
from ...clips import SECOND_NS

MOVING = 0.5  # of the peak: a block that goes so far belongs to what moves
UNITS = {
    "peak_displacement": "px",
    "onset_speed": "px/s",
    "offset_speed": "px/s",
    "area": "share of the crop",
    "asymmetry": "0 both sides alike, 1 one side alone",
    "co_motion": "px",
    "alignment_residual": "px",
}

Crop = NDArray[np.uint8]  # (3, S, S) RGB
Floats = NDArray[np.float64]


class Sample(NamedTuple):
    """The measures (7,) of an ME, and whose it is: MEs of one cluster are alike."""

    cluster: str
    values: Floats


class Points(NamedTuple):
    """Numbers of the frames of an ME."""

    onset: int
    apex: int
    offset: int

    @property
    def measurable(self) -> bool:
        """Whether it rises and falls: speeds need time."""
        return self.onset < self.apex < self.offset


def measure(crops: Sequence[Crop], times_ns: Sequence[int]) -> Floats:
    """(7,) the measures of UNITS, of three crops at onset, apex and offset and their times.

    peak_displacement: from onset to apex, where the face moves most; onset_speed: that over the
    time it takes; offset_speed: the same from apex to offset; area: blocks that go MOVING of the
    peak or more by the apex; asymmetry: how much more of their way lies in one half of the crop;
    co_motion: how far the other blocks go on average; alignment_residual: what all of the crop goes
    together, which the aligner left.
    """
    onset, apex, offset = crops
    rise_s, fall_s = np.diff(np.asarray(times_ns, np.int64)) / SECOND_NS
    local, shared = local_and_shared(onset, apex)
    back, _ = local_and_shared(apex, offset)
    peak = strongest(local)
    ways = np.linalg.norm(local, axis=-1).astype(np.float64)
    moving = ways >= MOVING * peak
    left, right = (float((ways * moving)[:, half].sum()) for half in _HALVES)
    rest = ways[~moving]
    return np.array(
        [
            peak,
            peak / rise_s,
            strongest(back) / fall_s,
            moving.mean(),
            abs(left - right) / max(left + right, np.finfo(np.float64).tiny),
            rest.mean() if len(rest) else 0.0,
            float(np.hypot(*shared)),
        ]
    )


_HALVES = (slice(0, BLOCKS // 2), slice(BLOCKS // 2, BLOCKS))
