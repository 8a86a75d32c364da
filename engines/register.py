"""Where a face lies in its crop, and how two crops of it are brought into sub-pixel register."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Affine = NDArray[np.float64]
Pixels = NDArray[np.uint8]

SPAN = 1.04
TOP = -0.375
TEMPLATE: dict[int, tuple[float, float]] = {
    10: (0.0, -0.4884), 151: (0.0, -0.3750), 9: (0.0, -0.2606), 8: (0.0, -0.1983), 168: (0.0, -0.1390),
    6: (0.0, -0.0776), 197: (0.0, -0.0238), 195: (0.0, 0.0261), 133: (-0.1299, -0.0994), 362: (0.1299, -0.0994),
    33: (-0.3344, -0.1170), 263: (0.3344, -0.1170), 193: (-0.0578, -0.1328), 417: (0.0578, -0.1328),
    122: (-0.0429, -0.0673), 351: (0.0429, -0.0673), 127: (-0.5062, -0.1005), 356: (0.5062, -0.1005),
    234: (-0.5, 0.0), 454: (0.5, 0.0), 162: (-0.5, -0.2051), 389: (0.5, -0.2051), 116: (-0.4606, 0.0038),
    345: (0.4606, 0.0038), 108: (-0.1258, -0.3774), 337: (0.1258, -0.3774), 109: (-0.1426, -0.4852),
    338: (0.1426, -0.4852), 98: (-0.1273, 0.2119), 327: (0.1273, 0.2119),
}  # fmt: skip
_POINTS = np.array(list(TEMPLATE))
_PLACES = np.array([complex(*xy) for xy in TEMPLATE.values()])
_CENTRED = np.conj(_PLACES - _PLACES.mean()) / np.sum(np.abs(_PLACES - _PLACES.mean()) ** 2)

# Closed polygons in template units, mirrored: what expressions hardly move.
RIGID = (
    ((0.0, -0.18), (0.05, -0.17), (0.06, -0.13), (0.14, -0.12), (0.14, -0.06), (0.10, -0.02), (0.13, 0.08),
     (0.11, 0.21), (0.0, 0.22)),
    ((0.38, -0.12), (0.46, -0.12), (0.45, 0.08), (0.40, 0.12), (0.31, 0.12), (0.30, 0.05), (0.38, 0.02)),
)  # fmt: skip


def template_px(xy: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Template units (..., 2) -> crop px (..., 2); pixel centres at whole numbers."""
    return (np.asarray(xy) - (-SPAN / 2, TOP)) * (side / SPAN) - 0.5


def face_to_crop(landmarks: NDArray[Any], side: int) -> Affine:
    p = np.asarray(landmarks)[_POINTS, :2].astype(np.float64)
    z = p[:, 0] + 1j * p[:, 1]
    centre = z.mean()
    # template -> frame is inverted so that the squared error counts frame pixels
    m = side / SPAN / np.sum((z - centre) * _CENTRED)
    corner = complex(SPAN / 2, -TOP) * (side / SPAN) - complex(0.5, 0.5)
    t = _PLACES.mean() * (side / SPAN) + corner - m * centre
    return np.array([[m.real, -m.imag, t.real], [m.imag, m.real, t.imag]])


def compose(after: Affine, before: Affine) -> Affine:
    """(2, 3) of first `before`, then `after`."""
    linear = after[:, :2] @ before
    linear[:, 2] += after[:, 2]
    return linear


def inverse(affine: Affine) -> Affine:
    linear = np.linalg.inv(affine[:, :2])
    return np.column_stack([linear, -linear @ affine[:, 2]])


@lru_cache(maxsize=8)
def rigid_weights(side: int) -> NDArray[np.float32]:
    """(S, S) soft mask 0..1 of the rigid regions."""
    fine = 4
    canvas = np.zeros((side * fine, side * fine), np.uint8)
    for half in RIGID:
        for sign in (1.0, -1.0):
            polygon = template_px(np.array(half) * (sign, 1.0), side)
            cv2.fillPoly(canvas, [np.rint((polygon + 0.5) * fine).astype(np.int32)], 255)
    soft = cv2.GaussianBlur(canvas, (0, 0), 0.012 * side * fine)
    return cv2.resize(soft, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


@dataclass(frozen=True)
class RegisterOptions:
    """Not from the papers. Lengths in crop px, correlations 0..1."""

    smooth_px: float = 1.0  # blur of what is compared
    iterations: int = 4
    converged_px: float = 0.02
    renew_below: float = 0.9  # correlation, as a share of the best since the reference was taken
    lost_below: float = 0.6  # likewise
    lost_px: float = 6.0  # from where the landmarks put a corner of the crop
    pull_s: float = 10.0  # time constant of the return to where the landmarks put the face
    pull_px_per_s: float = 0.5  # and its greatest speed, far below that of an ME
    reduce_from: float = 1.7  # frame px per crop px from which blocks of pixels are averaged first


class View:
    """One frame around one face, reduced by a whole number when the face is much larger than its crop."""

    def __init__(self, image: Pixels, affine: Affine, side: int, reduce: int) -> None:
        corners = np.array([[0, 0], [side, 0], [0, side], [side, side]], float)
        back = inverse(affine)
        quad = corners @ back[:, :2].T + back[:, 2]
        margin = 8 * reduce
        high, wide = image.shape[:2]
        # the cut begins at a multiple of `reduce`, or the blocks would slide over the face from frame to frame
        x0, y0 = (int(max(0, v) // reduce * reduce) for v in quad.min(0) - margin)
        x1, y1 = (int(min(v, end)) for v, end in zip(quad.max(0) + margin, (wide, high), strict=True))
        x1 -= (x1 - x0) % reduce
        y1 -= (y1 - y0) % reduce
        cut = image[y0:y1, x0:x1]
        if reduce > 1:
            cut = cv2.resize(cut, ((x1 - x0) // reduce, (y1 - y0) // reduce), interpolation=cv2.INTER_AREA)
        self.image = cut
        self.gray = cv2.cvtColor(cut, cv2.COLOR_BGR2GRAY)
        half = (reduce - 1) / 2
        self._from_cut = np.array([[reduce, 0, x0 + half], [0, reduce, y0 + half]], float)
        self.side = side

    def warp(self, affine: Affine, gray: bool, flags: int = cv2.INTER_LINEAR) -> Pixels:
        source = self.gray if gray else self.image
        matrix = compose(affine, self._from_cut)
        return cv2.warpAffine(source, matrix, (self.side, self.side), flags=flags, borderMode=cv2.BORDER_REPLICATE)


class Reference:
    """A face as it looked when its stretch began."""

    def __init__(self, view: View, affine: Affine, options: RegisterOptions) -> None:
        side = view.side
        self.options = options
        self.side = side
        weights = rigid_weights(side)
        self._where = np.flatnonzero(weights > 0.05)
        w = weights.ravel()[self._where].astype(np.float64)
        patch = self._patch(view, affine)
        gx = cv2.Sobel(patch, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
        gy = cv2.Sobel(patch, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
        y, x = np.divmod(self._where, side)
        self._centre = np.array([np.average(x, weights=w), np.average(y, weights=w)])
        self._radius = side / 4
        dx, dy = (x - self._centre[0]) / self._radius, (y - self._centre[1]) / self._radius
        r, gx, gy = (a.ravel()[self._where].astype(np.float64) for a in (patch, gx, gy))
        r = r - 128.0
        design = np.stack([r, np.ones_like(r), dx, dy, gx, gy, gx * dx + gy * dy, gy * dx - gx * dy])
        weighted = design * w * w
        self._solve = np.linalg.solve(weighted @ design.T, weighted).astype(np.float32)  # (8, n)
        centred = (r - np.average(r, weights=w)) * w
        self._norm = (centred / np.sqrt(np.sum(centred * centred / w))).astype(np.float32)
        self._w = w.astype(np.float32)

    def _patch(self, view: View, affine: Affine) -> NDArray[np.float32]:
        crop = view.warp(affine, gray=True)
        return cv2.GaussianBlur(crop.astype(np.float32), (0, 0), self.options.smooth_px)

    def register(self, view: View, affine: Affine) -> tuple[Affine, float, int]:
        """Affine that lays the view on the reference, and the correlation -1..1."""
        for step in range(self.options.iterations):
            values = self._patch(view, affine).ravel()[self._where] - 128.0
            gain, _, _, _, tx, ty, grow, turn = (float(v) for v in self._solve @ values)
            tx, ty, grow, turn = (v / max(gain, 0.2) for v in (tx, ty, grow, turn))
            affine = compose(self._step(tx, ty, grow, turn), affine)
            if max(abs(tx), abs(ty), abs(grow), abs(turn)) < self.options.converged_px:
                break
        spread = values - float(values @ self._w) / float(self._w.sum())
        correlation = float(self._norm @ spread) / float(np.sqrt((spread * spread) @ self._w) + 1e-6)
        return affine, correlation, step + 1

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
        self._reduce = 1
        self._last_ns = 0

    def place(self, image: Pixels, by_landmarks: Affine, captured_ns: int) -> Placed | None:
        """The steadied crop, or None when registration fails (the reference is kept; drop the object to start anew)."""
        if self._reference is None:
            self._reduce = max(1, int(1 / np.hypot(*by_landmarks[:, 0]) + 2 - self.options.reduce_from))
            view = View(image, by_landmarks, self.side, self._reduce)
            self._take(view, by_landmarks, captured_ns)
            return Placed(by_landmarks, view.warp(by_landmarks, gray=False), 1.0)
        view = View(image, by_landmarks, self.side, self._reduce)
        start = compose(inverse(self._after), by_landmarks)
        found, correlation, _ = self._reference.register(view, start)
        affine = compose(self._after, found)
        off = compose(by_landmarks, inverse(affine))
        away = _corner_shift(off, self.side)
        self._best = max(self._best, correlation)
        if correlation < self.options.lost_below * self._best or away > self.options.lost_px:
            return None
        self._pull(off, away, captured_ns)
        if correlation < self.options.renew_below * self._best:
            self._take(view, affine, captured_ns)
        return Placed(affine, view.warp(affine, gray=False), correlation)

    def _take(self, view: View, affine: Affine, captured_ns: int) -> None:
        """A new reference whose pose is believed as it is, so that no step appears."""
        self._reference = Reference(view, affine, self.options)
        self._after = np.eye(2, 3)
        self._best, self._last_ns = 0.0, captured_ns

    def _pull(self, off: Affine, away: float, captured_ns: int) -> None:
        elapsed = max(0.0, (captured_ns - self._last_ns) / 1e9)
        self._last_ns = captured_ns
        share = min(elapsed / self.options.pull_s, elapsed * self.options.pull_px_per_s / max(away, 1e-9), 1.0)
        self._after = compose(np.eye(2, 3) + share * (off - np.eye(2, 3)), self._after)


def _corner_shift(affine: Affine, side: int) -> float:
    """How far, in px, `affine` moves the corner of the crop that it moves most."""
    corners = np.array([[0, 0, 1], [side, 0, 1], [0, side, 1], [side, side, 1]], float)
    return float(np.linalg.norm(corners @ affine.T - corners[:, :2], axis=1).max())
