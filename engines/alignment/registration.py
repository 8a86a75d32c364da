"""Sub-pixel registration: how a face has moved since a reference was taken.

Landmarks jitter by 0.2-0.35 px RMS on the clip below and follow expressions: a blink moves them by
0.5-1.3 px, a brow raise of 1 px by 0.1-0.3 px. So they only lead the crop (see `stabilizer`), and
the rigid regions of the template are registered to a reference by inverse-compositional
Gauss-Newton over shift, growth and turn, with the light solved along: gain, level and the slopes of
both (without slopes a ramp of light across the face moved the crop by 0.2-0.7 px, with them by
0.01). The solver is computed once per reference. Measured on a swaying picture with sensor noise in
H.264, S = 112:

| px RMS over 0.5 Hz of | a 104 px face at 0.26 Mbit/s | a 300 px face | ms, one thread |
|---|---|---|---|
| landmarks alone | 0.30 | 0.16 | - |
| cv2.findTransformECC, Euclidean, masked | 0.27-0.35 | 0.12-0.20 | 1.1-1.6 |
| cv2.calcOpticalFlowPyrLK, 80 points, RANSAC | 0.15 | 0.07 | 0.7 |
| this | 0.12 | 0.05 | 0.4 |

The rest is in the decoded pixels: without the codec it is 0.05, at 1.6 Mbit/s 0.09. Robust
reweighting, other blurs and a reference averaged over many frames changed nothing; more of the face
(forehead, lids, cheeks) is steadier on a still face but follows expressions. Gauss-Newton converges
from 4 px away (all of 40 starts on each of four faces did), with a coarse level before it from 10.
The final crop is one bilinear warp of the frame: cubic and Lanczos shimmered as much under known
motion and cost 3 and 12 times the time. Not from the papers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from .affine import Affine
from .face_template import rigid_weights

Pixels = NDArray[np.uint8]

# How far (1 is two frame px per crop px) beyond its limits a box is kept, so that it does not
# flicker.
BOX_SLACK = 0.1
REACH_PX = 10  # crop px that registration may move from where it starts
COARSE = 4  # crop px per px of the coarse level
FAINTEST = 0.05  # weight from which a pixel of a mask is used
GREY = 128.0  # level the light is measured from
RIDGE = 1e-6  # share of each unknown's own weight
LEAST_GAIN = 0.2  # a gain below is not believed


@dataclass(frozen=True)
class RegisterOptions:
    """Not from the papers.

    Lengths in crop px, correlations as a share of the best since the reference was taken.
    """

    smooth_px: float = 1.0  # blur of what is compared, px of its level
    iterations: int = 4
    converged_px: float = 0.02
    renew_below: float = 0.97  # the head has turned: a new reference, in the pose found
    lost_below: float = 0.8  # not the face of the reference
    # Landmarks are old once the face has moved so far, or looks so unlike its best, since they led
    old_px: float = 3.0
    old_below: float = 0.98
    # How far a corner of the crop may be from where the landmarks put it:
    lost_px: float = 20.0  # beyond, registration has failed
    hard_limit_px: float = 8.0  # beyond, the crop returns to this limit at once
    soft_limit_px: float = 2.5  # beyond, a turning head, it returns to this limit
    soft_limit_s: float = 0.2  # within about this time
    return_s: float = 5.0  # time constant of the slow return that always goes on
    return_px_per_s: float = 0.5  # its greatest speed, far below that of a micro-expression


def box_width(frame_to_crop: Affine) -> int:
    """The side, odd, in frame px of the box that is averaged before the warp.

    Without it a crop much smaller than its face would alias, and be noisy.
    """
    return 2 * int(box_phase(frame_to_crop)) + 1


def box_phase(frame_to_crop: Affine) -> float:
    """Half the side of the box as a real number, whose whole part decides it."""
    return float(1 / np.hypot(*frame_to_crop.matrix[:, 0]) + 0.5) / 2


@dataclass(frozen=True, eq=False)
class Plane:
    """Part of a frame, (H, W) or (H, W, 3); `to_frame` maps its px to the frame's."""

    pixels: Pixels
    to_frame: Affine

    def warp(self, affine: Affine, side: int, top: int, bottom: int) -> Pixels:
        """Rows top..bottom-1 of the crop of width `side` that `affine` cuts from the frame."""
        matrix = (affine @ self.to_frame).matrix
        matrix[1, 2] -= top
        size = (side, bottom - top)
        out: Pixels = cv2.warpAffine(
            self.pixels, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return out


class PyramidView:
    """One frame around one face, smoothed by a box when the face is much larger than its crop.

    A box of 3 px keeps the full resolution for the warp: averaging blocks instead shimmered 1.7
    times as much under known motion, for the blocks' edges slide over the face, and was slower.
    """

    def __init__(self, image: Pixels, affine: Affine, side: int, box: int) -> None:
        left, top, right, bottom = affine.source_box(side)
        margin = REACH_PX * max(1.0, (right - left) / side)
        x0 = int(max(0.0, left - margin))
        y0 = int(max(0.0, top - margin))
        cut = image[y0 : int(bottom + margin), x0 : int(right + margin)]
        if box > 1:
            cut = cv2.blur(cut, (box, box))
        at = Affine.shift(x0, y0)
        self.side = side
        self.colour = Plane(cut, at)
        self.grey = Plane(cv2.cvtColor(cut, cv2.COLOR_BGR2GRAY), at)
        self._affine = affine

    def coarse(self) -> Plane:
        """The grey plane, averaged to about COARSE crop px a pixel."""
        high, wide = self.grey.pixels.shape
        scale = float(np.hypot(*self._affine.matrix[:, 0])) / COARSE
        size = (max(1, round(wide * scale)), max(1, round(high * scale)))
        fx = wide / size[0]
        fy = high / size[1]
        enlarge = Affine(np.array([[fx, 0, (fx - 1) / 2], [0, fy, (fy - 1) / 2]]))
        small: Pixels = cv2.resize(self.grey.pixels, size, interpolation=cv2.INTER_AREA)
        return Plane(small, self.grey.to_frame @ enlarge)

    def crop(self, affine: Affine) -> Pixels:
        """(S, S, 3) BGR."""
        return self.colour.warp(affine, self.side, 0, self.side)


class Level:
    """How a face looked at one scale, where `weights` (S, S) is, and the solver for its motion."""

    def __init__(
        self, plane: Plane, affine: Affine, weights: NDArray[np.float32], options: RegisterOptions
    ) -> None:
        self.options = options
        self._side = len(weights)
        rows = np.flatnonzero(weights.max(1) > FAINTEST)
        self._top = int(rows[0])
        self._bottom = int(rows[-1]) + 1
        weights = weights[self._top : self._bottom]
        self._where = np.flatnonzero(weights > FAINTEST)
        self._w = weights.ravel()[self._where]
        y, x = np.divmod(self._where, self._side)
        self._centre = np.average(x, weights=self._w), np.average(y, weights=self._w) + self._top
        self._radius = self._side / 4
        dx = (x - self._centre[0]) / self._radius
        dy = (y + self._top - self._centre[1]) / self._radius
        self._solve, self._norm = self._design(self._patch(plane, affine), dx, dy)

    def _design(
        self, patch: NDArray[np.float32], dx: NDArray[np.float64], dy: NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The least-squares solver (10, n), and the patch (n,) that correlations are taken with.

        The unknowns are light (gain, level, and the slopes of both), shift, growth and turn. The
        patch is weighted, of zero mean and length one.
        """
        r = self._picked(patch - GREY)
        gx = self._picked(cv2.Sobel(patch, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8))
        gy = self._picked(cv2.Sobel(patch, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8))
        w = self._w.astype(np.float64)
        light = [r, r * dx, r * dy, np.ones_like(r), dx, dy]
        columns = np.stack([*light, gx, gy, gx * dx + gy * dy, gy * dx - gx * dy])
        weighted = columns * w * w
        normal = weighted @ columns.T
        ridge = RIDGE * np.diag(np.diag(normal))
        ridge = ridge + 1e-9 * np.eye(len(normal))  # a blank patch must not divide by zero
        solve = np.linalg.solve(normal + ridge, weighted)
        centred = (r - np.average(r, weights=w)) * w
        norm = centred / (np.sqrt(np.sum(centred * centred / w)) + 1e-6)
        return solve.astype(np.float32), norm.astype(np.float32)

    def _picked(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Those of `values` that weigh, (n,)."""
        return values.ravel()[self._where].astype(np.float64)

    def _patch(self, plane: Plane, affine: Affine) -> NDArray[np.float32]:
        band = plane.warp(affine, self._side, self._top, self._bottom).astype(np.float32)
        smooth: NDArray[np.float32] = cv2.GaussianBlur(band, (0, 0), self.options.smooth_px)
        return smooth

    def register(self, plane: Plane, affine: Affine) -> tuple[Affine, float]:
        """The map that lays the plane on the reference, and the correlation -1..1."""
        for _ in range(self.options.iterations):
            values = self._patch(plane, affine).ravel()[self._where] - GREY
            solved = (self._solve @ values).astype(float)
            tx, ty, grow, turn = solved[-4:] / max(solved[0], LEAST_GAIN)
            affine = self._step(tx, ty, grow, turn) @ affine
            if max(abs(tx), abs(ty), abs(grow), abs(turn)) < self.options.converged_px:
                break
        spread = values - float(values @ self._w) / float(self._w.sum())
        length = float(np.sqrt((spread * spread) @ self._w) + 1e-6)
        return affine, float(self._norm @ spread) / length

    def _step(self, tx: float, ty: float, grow: float, turn: float) -> Affine:
        a = grow / self._radius
        b = turn / self._radius
        cx, cy = self._centre
        return Affine(
            np.array([[1 + a, -b, tx - a * cx + b * cy], [b, 1 + a, ty - b * cx - a * cy]])
        )


class Reference:
    """A face as it looked when its segment began, at a fine and a coarse level.

    The coarse level finds a face that has moved far. It sees the whole crop, expressions too, since
    it need only come near enough for the fine level, which sees the rigid regions alone.
    """

    def __init__(self, view: PyramidView, affine: Affine, options: RegisterOptions) -> None:
        side = view.side
        self._fine = Level(view.grey, affine, rigid_weights(side), options)
        self._coarse = Level(view.coarse(), _COARSER @ affine, _window(side // COARSE), options)

    def register(self, view: PyramidView, affine: Affine) -> tuple[Affine, float]:
        """The map that lays the view on the reference, and the correlation -1..1.

        affine: a map that is right within a pixel or two.
        """
        return self._fine.register(view.grey, affine)

    def register_coarsely(self, view: PyramidView, affine: Affine) -> Affine:
        """The map that lays the view on the reference, within a pixel or two.

        affine: a map that is right within REACH_PX.
        """
        found, _ = self._coarse.register(view.coarse(), _COARSER @ affine)
        return _FINER @ found


_COARSER = Affine(np.array([[1, 0, (1 - COARSE) / 2], [0, 1, (1 - COARSE) / 2]]) / COARSE)
_FINER = _COARSER.inverse()


@lru_cache(maxsize=8)
def _window(side: int) -> NDArray[np.float32]:
    """(side, side) weights that fall from the middle to nothing at the edge."""
    edge = np.sin(np.pi * (np.arange(side) + 0.5) / side).astype(np.float32)
    return np.outer(edge, edge)
