"""Drawing primitives of the overlay: a canvas measured in points, drawn on by OpenCV.

A point is `unit` pixels, so one layout serves every image size. Text is sized by the width of its
digits, since the fonts of OpenCV 4 and 5 differ by a quarter.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from microspot.engines.text.redaction import printable

from ..records import Pixels

Color = tuple[int, int, int]  # B, G, R
DIGIT_EM = 0.58  # width of a digit as a share of the font size
ARROW_HEAD = 0.3  # share of an arrow
SHIFT = 4  # binary places of a pixel that OpenCV's anti-aliased lines accept


@dataclass(frozen=True)
class Rectangle:
    """A rectangle in points."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        """From left to right, in points."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """From top to bottom, in points."""
        return self.y1 - self.y0

    @property
    def middle_x(self) -> float:
        """The middle from left to right."""
        return (self.x0 + self.x1) / 2

    @property
    def middle_y(self) -> float:
        """The middle from top to bottom."""
        return (self.y0 + self.y1) / 2


class Canvas:
    """An image of `width` x `height` points, `unit` pixels each.

    Coordinates are points from the top left.
    """

    def __init__(self, width: float, height: float, unit: float, background: Color) -> None:
        self.unit = unit
        self.image: Pixels = np.empty((_even(height * unit), _even(width * unit), 3), np.uint8)
        # Assigning the colour through numpy takes 30 times as long.
        cv2.rectangle(self.image, (0, 0), self.image.shape[1::-1], background, -1)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        color: Color,
        size: float = 13,
        bold: bool = False,
        align: float = 0,
        width: float | None = None,
    ) -> None:
        """Write `text` on baseline y, cut to `width` points; align: 0 starts at x, 1 ends there.

        Characters that OpenCV's font lacks become '?'. `printable` replaces lone surrogates, which
        would end the process.
        """
        if width is not None:
            text = self.fit(text, width, size, bold)
        left = (x - align * self.width(text, size, bold)) * self.unit
        origin = (round(left), round(y * self.unit))
        scale = self.unit * size * _scale(bold)
        cv2.putText(self.image, printable(text), origin, _font(bold), scale, color, 1, cv2.LINE_AA)

    def width(self, text: str, size: float = 13, bold: bool = False) -> float:
        """Points that `text` takes."""
        scale = self.unit * size * _scale(bold)
        (pixels, _), _ = cv2.getTextSize(printable(text), _font(bold), scale, 1)
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
        if len(path) < 2:
            return
        stroke = self._stroke(width)
        cv2.polylines(self.image, [self._fixed(path)], closed, color, stroke, cv2.LINE_AA, SHIFT)

    def arrow(self, begin: ArrayLike, end: ArrayLike, color: Color, width: float = 1) -> None:
        """An arrow from one point to another."""
        first, last = (tuple(at) for at in self._fixed(np.array([begin, end], float)).tolist())
        stroke = self._stroke(width)
        cv2.arrowedLine(self.image, first, last, color, stroke, cv2.LINE_AA, SHIFT, ARROW_HEAD)

    def fill(self, points: ArrayLike, color: Color) -> None:
        """A filled polygon."""
        path = self._fixed(np.asarray(points, np.float64))
        cv2.fillPoly(self.image, [path], color, cv2.LINE_AA, SHIFT)

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
        scale = self.unit * (1 << SHIFT)
        centre = (round(x * scale), round(y * scale))
        stroke = -1 if filled else self._stroke(2)
        cv2.circle(self.image, centre, round(radius * scale), color, stroke, cv2.LINE_AA, SHIFT)

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
        """A box with round corners: an outline `width` points wide, filled where that is 0."""
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
        """Resize an image to fill a box; without `smooth` its pixels stay blocks."""
        part = self._part(x0, y0, x1, y1)
        if part.size:
            rows, columns = part.shape[:2]
            resampling = _resampling(rows / image.shape[0], smooth)
            part[:] = cv2.resize(image, (columns, rows), interpolation=resampling)

    def _part(self, x0: float, y0: float, x1: float, y1: float) -> Pixels:
        """The pixels of a box, as a view of the image."""
        left, top, right, bottom = (max(0, round(v * self.unit)) for v in (x0, y0, x1, y1))
        return self.image[top:bottom, left:right]

    def _stroke(self, width: float) -> int:
        """Whole pixels of a line `width` points wide, at least one."""
        return max(1, round(width * self.unit))

    def _fixed(self, path: NDArray[np.float64]) -> NDArray[np.int32]:
        """Points as the fixed-point pixel coordinates that OpenCV takes with `SHIFT`."""
        # OpenCV's integers are centres of pixels; points count from a pixel's edge.
        return np.round((path * self.unit - 0.5) * (1 << SHIFT)).astype(np.int32)


def _resampling(scale: float, smooth: bool) -> int:
    """The interpolation for a resize by `scale`.

    Area averaging takes five times as long as linear and looks no better above half size.
    """
    if not smooth:
        return int(cv2.INTER_NEAREST)
    if scale > 1:
        return int(cv2.INTER_CUBIC)
    return int(cv2.INTER_LINEAR if scale >= 0.5 else cv2.INTER_AREA)


def _even(size: float) -> int:
    """The nearest even number: H.264 in 4:2:0 wants even sizes."""
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
    (pixels, _), _ = cv2.getTextSize(digits, _font(bold), 1.0, 1)
    return DIGIT_EM * len(digits) / int(pixels)


def _font(bold: bool) -> int:
    """OpenCV's number of a font."""
    return int(cv2.FONT_HERSHEY_DUPLEX if bold else cv2.FONT_HERSHEY_SIMPLEX)
