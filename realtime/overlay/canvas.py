"""Drawing primitives of the overlay: a canvas measured in points, with text, lines and boxes from OpenCV.

Points are pixels times `unit`, so one layout serves every image size. Text is sized by the width of its digits, since
the fonts of OpenCV 4 and 5 differ by a quarter.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from microspot.engines.redaction import printable

from ..records import Pixels

Color = tuple[int, int, int]  # B, G, R
DIGIT_EM = 0.58  # width of a digit as a share of the font size
SHIFT = 4  # binary places of a pixel that OpenCV's anti-aliased lines accept


class Canvas:
    """An image of `width` x `height` points, `unit` pixels each. Coordinates are points from the top left."""

    def __init__(self, width: float, height: float, unit: float, background: Color) -> None:
        self.unit = unit
        self.image: Pixels = np.empty((_even(height * unit), _even(width * unit), 3), np.uint8)
        cv2.rectangle(
            self.image, (0, 0), self.image.shape[1::-1], background, -1
        )  # numpy: 30 times slower

    def text(
        self, x: float, y: float, text: str, color: Color, size: float = 13, bold: bool = False, align: float = 0,
        width: float | None = None,
    ) -> None:  # fmt: skip
        """Write `text` on baseline y; `align` 0 starts at x, 0.5 centres, 1 ends there; cut to `width` points.

        Characters that OpenCV's font lacks become '?'; half of one would end the process, so `printable` sees to that.
        """
        if width is not None:
            text = self.fit(text, width, size, bold)
        left = (x - align * self.width(text, size, bold)) * self.unit
        scale, origin = self.unit * size * _scale(bold), (round(left), round(y * self.unit))
        cv2.putText(self.image, printable(text), origin, _face(bold), scale, color, 1, cv2.LINE_AA)

    def width(self, text: str, size: float = 13, bold: bool = False) -> float:
        """Points that `text` takes."""
        (pixels, _), _ = cv2.getTextSize(
            printable(text), _face(bold), self.unit * size * _scale(bold), 1
        )
        return float(pixels / self.unit)

    def fit(self, text: str, width: float, size: float = 13, bold: bool = False) -> str:
        """`text`, or its longest beginning with two dots that fits in `width` points."""
        if self.width(text, size, bold) <= width:
            return text
        while text and self.width(text + "..", size, bold) > width:
            text = text[:-1]
        return text + ".."

    def line(self, points: ArrayLike, color: Color, width: float = 1, closed: bool = False) -> None:
        """A smooth line through (N, 2) points; fewer than two draw nothing."""
        path = np.asarray(points, np.float64).reshape(-1, 2)
        if len(path) > 1:
            cv2.polylines(
                self.image,
                [self._fixed(path)],
                closed,
                color,
                self._stroke(width),
                cv2.LINE_AA,
                SHIFT,
            )

    def fill(self, points: ArrayLike, color: Color) -> None:
        """A filled polygon."""
        cv2.fillPoly(
            self.image, [self._fixed(np.asarray(points, np.float64))], color, cv2.LINE_AA, SHIFT
        )

    def dashes(self, x0: float, x1: float, y: float, color: Color, dash: float = 4) -> None:
        """A horizontal dashed line."""
        starts = np.arange(x0, x1, 2 * dash)
        ends = np.stack([starts, np.minimum(starts + dash, x1)], axis=1)
        parts = self._fixed(np.stack([ends, np.full_like(ends, y)], axis=2))  # (dashes, 2 ends, xy)
        cv2.polylines(self.image, list(parts), False, color, 1, cv2.LINE_AA, SHIFT)

    def rule(self, x: float, y0: float, y1: float, color: Color) -> None:
        """A vertical line of exactly one pixel."""
        self._part(x, y0, x + 2, y1)[:, :1] = color

    def dot(self, x: float, y: float, radius: float, color: Color, filled: bool = True) -> None:
        """A disc, or a ring."""
        centre = (round(x * self.unit * (1 << SHIFT)), round(y * self.unit * (1 << SHIFT)))
        stroke = -1 if filled else self._stroke(2)
        cv2.circle(
            self.image,
            centre,
            round(radius * self.unit * (1 << SHIFT)),
            color,
            stroke,
            cv2.LINE_AA,
            SHIFT,
        )

    def box(
        self,
        x0: float,
        y0: float,
        x1: float,
        y1: float,
        color: Color,
        radius: float = 0,
        width: float = 0,
    ) -> None:
        """A box with round corners: filled, or an outline `width` points wide."""
        path = _rounded(x0, y0, x1, y1, min(radius, (x1 - x0) / 2, (y1 - y0) / 2))
        if width:
            self.line(path, color, width, closed=True)
        else:
            self.fill(path, color)

    def shade(self, x0: float, y0: float, x1: float, y1: float, color: Color, alpha: float) -> None:
        """Mix `color` into a box."""
        part = self._part(x0, y0, x1, y1)
        if part.size:
            part[:] = cv2.addWeighted(part, 1 - alpha, np.full_like(part, color), alpha, 0)

    def paste(
        self, x0: float, y0: float, x1: float, y1: float, image: Pixels, smooth: bool = True
    ) -> None:
        """Stretch an image over a box; not `smooth` keeps its pixels as blocks."""
        part = self._part(x0, y0, x1, y1)
        if part.size:
            size = part.shape[1], part.shape[0]
            part[:] = cv2.resize(
                image, size, interpolation=_resampling(part.shape[0] / image.shape[0], smooth)
            )

    def _part(self, x0: float, y0: float, x1: float, y1: float) -> Pixels:
        left, top, right, bottom = (max(0, round(v * self.unit)) for v in (x0, y0, x1, y1))
        return self.image[top:bottom, left:right]

    def _stroke(self, width: float) -> int:
        return max(1, round(width * self.unit))

    def _fixed(self, path: NDArray[np.float64]) -> NDArray[np.int32]:
        # OpenCV puts pixel centres on integers, points count from the pixel's edge: hence the half.
        return np.round((path * self.unit - 0.5) * (1 << SHIFT)).astype(np.int32)


def _resampling(scale: float, smooth: bool) -> int:
    """Area averaging takes five times as long as linear and shows no better above half size."""
    kind = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_LINEAR if scale >= 0.5 else cv2.INTER_AREA
    return int(kind if smooth else cv2.INTER_NEAREST)


def _even(size: float) -> int:
    """H.264 in 4:2:0 wants even sizes."""
    return 2 * round(size / 2)


def _rounded(x0: float, y0: float, x1: float, y1: float, radius: float) -> NDArray[np.float64]:
    """(32, 2) outline of a box with quarter circles for corners."""
    turn = np.linspace(0, np.pi / 2, 8)
    arc = radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    quarters = []
    for x, y, sign in ((x1, y1, (1, 1)), (x0, y1, (-1, 1)), (x0, y0, (-1, -1)), (x1, y0, (1, -1))):
        corner = np.array([x, y]) + (arc - radius) * sign
        quarters.append(corner if sign[0] == sign[1] else corner[::-1])
    return np.concatenate(quarters)


@lru_cache(maxsize=2)
def _scale(bold: bool) -> float:
    """OpenCV font scale of one pixel of font size."""
    digits = "0123456789"
    return DIGIT_EM * len(digits) / int(cv2.getTextSize(digits, _face(bold), 1.0, 1)[0][0])


def _face(bold: bool) -> int:
    return int(cv2.FONT_HERSHEY_DUPLEX if bold else cv2.FONT_HERSHEY_SIMPLEX)
