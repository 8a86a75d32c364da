"""The grey levels magnified, as Euler looks at it: what changes at a place changes more.

The linear method of Wu, Rubinstein, Shih, Guttag, Durand and Freeman (Eulerian Video Magnification,
SIGGRAPH 2012), with the change since the start as its temporal filter and one spatial band. It is
for comparison: CMNet magnifies features, since magnified images know nothing of what they magnify
[S2 C1]. It holds only for patterns longer than 8 times the magnified movement (their equation 14),
and makes noise and light as much stronger as movement.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..alignment.displacement import SIDE
from .flow import Picture

# Standard deviation of a Gaussian, px of a crop of 112 px: finer changes are noise. Not from the
# papers.
FINEST = 1.5


def eulerian(clip: NDArray[np.uint8], start: Picture, gain: float) -> NDArray[np.uint8]:
    """A clip (N, S, S, 3) with its change in grey since `start` (S, S, 3) `gain` times as large."""
    spread = FINEST * len(start) / SIDE
    first = _grey(start)
    magnified = []
    for picture in clip:
        change = cv2.GaussianBlur(_grey(picture) - first, (0, 0), spread)
        values = picture + (gain - 1) * change[..., None]
        magnified.append(np.clip(np.rint(values), 0, 255).astype(np.uint8))
    return np.stack(magnified)


def _grey(picture: Picture) -> NDArray[np.float32]:
    """(S, S), not rounded."""
    grey: NDArray[np.float32] = cv2.cvtColor(picture.astype(np.float32), cv2.COLOR_BGR2GRAY)
    return grey
