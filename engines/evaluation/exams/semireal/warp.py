"""A face's motion warped into the frames of real video, at their native resolution.

The video's own noise, compression, blinks and head motion are kept. What is warped is a motion
field of the generator, without shading and without a darker gap between parted lips; cubic
interpolation of `cv2.remap` moves in steps of 1/32 px and slightly smooths what it moves. Not from
the papers.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ....alignment.affine import Affine, Matrix
from ....alignment.registration import Pixels
from ....data.generator.actions import Geometry
from ....data.generator.motion import Motion
from ....data.generator.timeline import Strengths

PAD = 28  # px around the crop where the motion field fades out, so that there is no seam
UNMOVED_PX = 0.02  # of the frame: pixels that would move less are not changed

Field = NDArray[np.float32]


class Warp:
    """The motion of one face in crops of `side`, warped into frames by the crops' affines."""

    def __init__(self, landmarks: NDArray[np.float64], affine: Matrix, side: int) -> None:
        points = landmarks @ affine[:, :2].T + affine[:, 2] + PAD
        self.motion = Motion(Geometry.of(points, side + 2 * PAD, side + 2 * PAD))
        ramp = np.minimum(np.arange(side + 2 * PAD), np.arange(side + 2 * PAD)[::-1]) / PAD
        fade = np.clip(ramp, 0, 1).astype(np.float32)
        self._fade = (fade[:, None] * fade[None, :])[..., None]

    def field(self, strengths: Strengths) -> Field:
        """(S + 2 PAD, S + 2 PAD, 2) displacement in crop px."""
        return np.asarray(self.motion.total(strengths) * self._fade, np.float32)

    def peak(self, strengths: Strengths) -> float:
        """Largest displacement within the crop, crop px."""
        inner = self.field(strengths)[PAD:-PAD, PAD:-PAD]
        return float(np.sqrt((inner**2).sum(-1).max()))

    def apply(self, frame: Pixels, affine: Matrix, strengths: Strengths) -> Pixels:
        """The frame (H, W, 3) with the face moved.

        out(q) = frame(q - A^-1 D(A q)), where D is the field and A the affine's linear part.
        """
        flow = self.field(strengths)
        back = Affine(affine).inverse().matrix
        left, top, right, bottom = _box(back, len(flow), frame.shape)
        if left >= right or top >= bottom:
            return frame
        x, y = np.meshgrid(np.arange(left, right), np.arange(top, bottom))
        at = np.stack([x, y], axis=-1).astype(np.float32)
        places = (at @ affine[:, :2].T + affine[:, 2] + PAD).astype(np.float32)
        moved: Any = cv2.remap(flow, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        moved = (moved @ back[:, :2].T).astype(np.float32)
        drawn = cv2.remap(frame, at - moved, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        changed = (moved**2).sum(-1) > UNMOVED_PX**2
        out = frame.copy()
        out[top:bottom, left:right][changed] = drawn[changed]
        return out

    def there_and_back(self, frame: Pixels, affine: Matrix, strengths: Strengths) -> Pixels:
        """The frame with the face moved and moved back: only the blur of both is left."""
        opposite = {unit: -strength for unit, strength in strengths.items()}
        return self.apply(self.apply(frame, affine, strengths), affine, opposite)


def _box(back: Matrix, size: int, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom (whole frame px) of the padded crop, within the frame."""
    low = -PAD
    high = size - PAD
    corners = np.array([[low, low, 1], [high, low, 1], [high, high, 1], [low, high, 1]]) @ back.T
    left, top = np.floor(corners.min(0))
    right, bottom = np.ceil(corners.max(0)) + 1
    return (
        max(int(left), 0),
        max(int(top), 0),
        min(int(right), shape[1]),
        min(int(bottom), shape[0]),
    )
