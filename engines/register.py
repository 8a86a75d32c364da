"""Sub-pixel registration: a face held still against how it looked when its stretch began.

Landmarks jitter by 0.2-0.35 px RMS (S = 112, a swaying picture with sensor noise in H.264) and follow expressions:
a blink moves them by 0.5-1.3 px, a brow raise of 1 px by 0.1-0.3 px. So they only place the crop, and the rigid regions
of the template are then registered to a reference by inverse-compositional Gauss-Newton over shift, growth and turn,
with the light solved along: gain, level and the slopes of both (without slopes a ramp of light across the face moved
the crop by 0.2-0.7 px, with them by 0.01). The solver is computed once per reference. On that clip:

| | px RMS over 0.5 Hz, 104 px face at 0.26 Mbit/s | 300 px face | ms, one thread |
|---|---|---|---|
| landmarks alone | 0.30 | 0.16 | - |
| cv2.findTransformECC, Euclidean, masked | 0.27-0.35 | 0.12-0.20 | 1.1-1.6 |
| cv2.calcOpticalFlowPyrLK, 80 points, RANSAC | 0.15 | 0.07 | 0.7 |
| this | 0.12 | 0.05 | 0.4 |

The rest is in the decoded pixels: without the codec it is 0.05, at 1.6 Mbit/s 0.09. Robust reweighting, other blurs and
a reference averaged over many frames changed nothing; more of the face (forehead, lids, cheeks) is steadier on a still
face but follows expressions. The final crop is one bilinear warp of the frame: cubic and Lanczos shimmered as much
under known motion and cost 3 and 12 times the time. Not from the papers.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .template import Affine, compose, inverse, rigid_weights

Pixels = NDArray[np.uint8]

BOX_SLACK = 0.1  # how far (1 is two frame px per crop px) beyond its limits a box is kept, lest it flicker
MARGIN_PX = 8  # crop px around the landmarks' crop that registration may move into
FAINTEST = 0.05  # weight from which a pixel of the rigid mask is used
GREY = 128.0  # level the light is measured from
RIDGE = 1e-6  # share of each unknown's own weight
LEAST_GAIN = 0.2  # a gain below is not believed


@dataclass(frozen=True)
class RegisterOptions:
    """Not from the papers. Lengths in crop px, correlations as a share of the best since the reference was taken."""

    smooth_px: float = 1.0  # blur of what is compared
    iterations: int = 4
    converged_px: float = 0.02
    renew_below: float = 0.97  # the head has turned: a new reference, in the pose found
    lost_below: float = 0.6  # nothing like the reference
    lost_px: float = 16.0  # from where the landmarks put a corner of the crop: registration ran away
    leash_px: float = 2.5  # likewise, but a turning head: what is beyond is given up at once
    pull_s: float = 5.0  # time constant of the return to where the landmarks put the face
    pull_px_per_s: float = 0.5  # and its greatest speed, far below that of a micro-expression


def box_width(frame_to_crop: Affine) -> int:
    """Frame px, odd, that are averaged before the warp: a crop much smaller than its face would alias, and be noisy."""
    return 2 * int(_box_phase(frame_to_crop)) + 1


def _box_phase(frame_to_crop: Affine) -> float:
    return float(1 / np.hypot(*frame_to_crop[:, 0]) + 0.5) / 2


class View:
    """One frame around one face, smoothed by a box when the face is much larger than its crop.

    A box of 3 px keeps the full resolution for the warp: averaging blocks instead shimmered 1.7 times as much under
    known motion, for the blocks' edges slide over the face, and was slower.
    """

    def __init__(self, image: Pixels, affine: Affine, side: int, box: int) -> None:
        corners = np.array([[0, 0], [side, 0], [0, side], [side, side]], float)
        back = inverse(affine)
        quad = corners @ back[:, :2].T + back[:, 2]
        margin = MARGIN_PX * max(1.0, abs(back[0, 0]))
        x0, y0 = (int(max(0.0, v)) for v in quad.min(0) - margin)
        x1, y1 = (int(v) for v in quad.max(0) + margin)
        cut = image[y0:y1, x0:x1]
        self.image = cv2.blur(cut, (box, box)) if box > 1 else cut
        self.gray = cv2.cvtColor(self.image, cv2.COLOR_BGR2GRAY)
        self.side = side
        self._from_cut = np.array([[1, 0, x0], [0, 1, y0]], float)

    def crop(self, affine: Affine) -> Pixels:
        """(S, S, 3) BGR."""
        return self._warp(self.image, affine, 0, self.side)

    def band(self, affine: Affine, top: int, bottom: int) -> Pixels:
        """Rows top..bottom-1 of the crop, grey."""
        return self._warp(self.gray, affine, top, bottom)

    def _warp(self, source: Pixels, affine: Affine, top: int, bottom: int) -> Pixels:
        matrix = compose(affine, self._from_cut)
        matrix[1, 2] -= top
        size = (self.side, bottom - top)
        out: Pixels = cv2.warpAffine(source, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return out


class Reference:
    """A face as it looked when its stretch began."""

    def __init__(self, view: View, affine: Affine, options: RegisterOptions) -> None:
        self.options = options
        weights = rigid_weights(view.side)
        rows = np.flatnonzero(weights.max(1) > FAINTEST)
        self._top, self._bottom = int(rows[0]), int(rows[-1]) + 1
        weights = weights[self._top : self._bottom]
        self._where = np.flatnonzero(weights > FAINTEST)
        self._w = weights.ravel()[self._where]
        y, x = np.divmod(self._where, view.side)
        self._centre = np.average(x, weights=self._w), np.average(y, weights=self._w) + self._top
        self._radius = view.side / 4
        dx, dy = (x - self._centre[0]) / self._radius, (y + self._top - self._centre[1]) / self._radius
        self._solve, self._norm = self._design(self._patch(view, affine), dx, dy)

    def _design(
        self, patch: NDArray[np.float32], dx: NDArray[np.float64], dy: NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(10, n) least-squares solver for light (gain, level, and the slopes of both), shift, growth and turn; and
        (n,) the weighted patch of zero mean and length one, for the correlation."""
        r, gx, gy = (
            a.ravel()[self._where].astype(np.float64)
            for a in (
                patch - GREY,
                cv2.Sobel(patch, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8),
                cv2.Sobel(patch, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8),
            )
        )
        w = self._w.astype(np.float64)
        light = [r, r * dx, r * dy, np.ones_like(r), dx, dy]
        columns = np.stack([*light, gx, gy, gx * dx + gy * dy, gy * dx - gx * dy])
        weighted = columns * w * w
        normal = weighted @ columns.T
        ridge = RIDGE * np.diag(np.diag(normal)) + 1e-9 * np.eye(len(normal))  # a blank patch must not divide by zero
        solve = np.linalg.solve(normal + ridge, weighted)
        centred = (r - np.average(r, weights=w)) * w
        norm = centred / (np.sqrt(np.sum(centred * centred / w)) + 1e-6)
        return solve.astype(np.float32), norm.astype(np.float32)

    def _patch(self, view: View, affine: Affine) -> NDArray[np.float32]:
        band = view.band(affine, self._top, self._bottom).astype(np.float32)
        smooth: NDArray[np.float32] = cv2.GaussianBlur(band, (0, 0), self.options.smooth_px)
        return smooth

    def register(self, view: View, affine: Affine) -> tuple[Affine, float]:
        """Affine that lays the view on the reference, and the correlation -1..1."""
        for _ in range(self.options.iterations):
            values = self._patch(view, affine).ravel()[self._where] - GREY
            solved = (self._solve @ values).astype(float)
            tx, ty, grow, turn = solved[-4:] / max(solved[0], LEAST_GAIN)
            affine = compose(self._step(tx, ty, grow, turn), affine)
            if max(abs(tx), abs(ty), abs(grow), abs(turn)) < self.options.converged_px:
                break
        spread = values - float(values @ self._w) / float(self._w.sum())
        correlation = float(self._norm @ spread) / float(np.sqrt((spread * spread) @ self._w) + 1e-6)
        return affine, correlation

    def _step(self, tx: float, ty: float, grow: float, turn: float) -> Affine:
        a, b = grow / self._radius, turn / self._radius
        cx, cy = self._centre
        return np.array([[1 + a, -b, tx - a * cx + b * cy], [b, 1 + a, ty - b * cx - a * cy]])


@dataclass(frozen=True, eq=False)
class Placed:
    """Where one frame's face is: `affine` (2, 3) frame -> crop, its `pixels` (S, S, 3) BGR, `correlation` -1..1."""

    affine: Affine
    pixels: Pixels
    correlation: float


class Steady:
    """One face over one stretch: the reference, and how far registered crops are from where landmarks put them."""

    def __init__(self, side: int, options: RegisterOptions) -> None:
        self.side, self.options = side, options
        self._reference: Reference | None = None
        self._after = np.eye(2, 3)  # reference crop -> output crop
        self._best = 1.0
        self._box = 1
        self._last_ns = 0

    def place(self, image: Pixels, by_landmarks: Affine, captured_ns: int) -> Placed | None:
        """The steadied crop, or None when registration fails (the reference is kept; drop the object to start anew)."""
        if self._reference is None:
            self._box = box_width(by_landmarks)
            view = View(image, by_landmarks, self.side, self._box)
            self._take(view, by_landmarks, captured_ns)
            return Placed(by_landmarks, view.crop(by_landmarks), 1.0)
        view = View(image, by_landmarks, self.side, self._box)
        start = compose(inverse(self._after), by_landmarks)
        found, correlation = self._reference.register(view, start)
        affine = compose(self._after, found)
        away = _corner_shift(compose(by_landmarks, inverse(affine)), self.side)
        self._best = max(self._best, correlation)
        if correlation < self.options.lost_below * self._best or away > self.options.lost_px:
            return None
        affine = self._return(affine, by_landmarks, away, captured_ns)
        if self._outgrown(affine):
            self._box = box_width(affine)
            view = View(image, affine, self.side, self._box)
            self._take(view, affine, captured_ns)
        elif correlation < self.options.renew_below * self._best:
            self._take(view, affine, captured_ns)
        return Placed(affine, view.crop(affine), correlation)

    def _take(self, view: View, affine: Affine, captured_ns: int) -> None:
        """A new reference whose pose is believed as it is, so that no step appears."""
        self._reference = Reference(view, affine, self.options)
        self._after = np.eye(2, 3)
        self._best, self._last_ns = 0.0, captured_ns

    def _outgrown(self, affine: Affine) -> bool:
        """The head came so much nearer or went so far that another box is due; not at every sway about its limit."""
        off = _box_phase(affine) - self._box // 2
        return box_width(affine) != self._box and not -BOX_SLACK <= off <= 1 + BOX_SLACK

    def _return(self, affine: Affine, by_landmarks: Affine, away: float, captured_ns: int) -> Affine:
        """`affine` nearer to the landmarks: slowly within the leash, at once beyond it; the reference goes along."""
        elapsed = max(0.0, (captured_ns - self._last_ns) / 1e9)
        self._last_ns = captured_ns
        slow = min(away * elapsed / self.options.pull_s, elapsed * self.options.pull_px_per_s)
        share = min(1.0, max(slow, away - self.options.leash_px) / max(away, 1e-9))
        step = np.eye(2, 3) + share * (compose(by_landmarks, inverse(affine)) - np.eye(2, 3))
        self._after = compose(step, self._after)
        return compose(step, affine)


def _corner_shift(affine: Affine, side: int) -> float:
    """How far, in px, `affine` moves the corner of the crop that it moves most."""
    corners = np.array([[0, 0, 1], [side, 0, 1], [0, side, 1], [side, side, 1]], float)
    return float(np.linalg.norm(corners @ affine.T - corners[:, :2], axis=1).max())
