"""The motion of one face: its fields, their sum at a moment, and what motion does to light.

Not from the papers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from .actions import SIDES, Field, Geometry, motion_field
from .basis import Basis
from .timeline import Action, Source, Strengths, Unit

SHADE_LIMIT = 0.4  # of the divergence
SHADING = 0.25  # brightness follows the divergence of the motion: stretched skin is brighter
LINE_SHADING = 12.0  # times as dark as the skin about it, where a line is
DARKEST_LINE = np.float32(0.45)
MOUTH_COLOUR = (38, 30, 58)  # BGR of an open mouth's inside
MOUTH_OPEN_PX = 0.5  # at crop resolution


class Motion:
    """The motion fields of one face, made when first needed."""

    def __init__(
        self,
        geometry: Geometry,
        ready: Mapping[Unit, Field] | None = None,
        basis: Basis | None = None,
    ) -> None:
        self.geometry = geometry
        self._basis = basis
        self._fields: dict[Unit | Source, Field] = {}
        for unit, field in (ready or {}).items():
            self._fields[unit] = field
        self._mouth = geometry.landmarks[[13, 14]].mean(0)
        self._mouth_half = float(np.hypot(*(geometry.landmarks[308] - geometry.landmarks[78]))) / 2

    def field(self, unit: Unit | Source) -> Field:
        """(H, W, 2) px at full strength."""
        if unit not in self._fields:
            self._fields[unit] = self._made(unit)
        return self._fields[unit]

    def _made(self, unit: Unit | Source) -> Field:
        if isinstance(unit, Source):
            return unit.field(self.geometry)
        given = None if self._basis is None else self._basis.field(self.geometry, unit)
        return motion_field(self.geometry, *unit) if given is None else given

    def total(self, strengths: Strengths) -> Field:
        """The field of all units together, (H, W, 2) px."""
        flow = np.zeros((self.geometry.height, self.geometry.width, 2), np.float32)
        for unit, strength in strengths.items():
            cv2.scaleAdd(self.field(unit), strength, flow, flow)
        return flow

    def peak(self, strengths: Strengths) -> float:
        """The peak displacement of all units together, in px."""
        flow = self.total(strengths)
        return float(np.sqrt((flow**2).sum(-1).max()))

    def open_mouth(self, image: NDArray[np.uint8], flow: Field, scale: float) -> None:
        """Darken the gap between parted lips, in place; `scale` is output px per crop px."""
        x, y = (round(float(c)) for c in self._mouth)
        lower = flow[min(y + 3, flow.shape[0] - 1), x]
        upper = flow[max(y - 3, 0), x]
        gap = float(lower @ self.geometry.down) - float(upper @ self.geometry.down)
        if gap < MOUTH_OPEN_PX * scale:
            return
        centre = self._mouth + self.geometry.down * (gap / 2)
        angle = math.degrees(math.atan2(self.geometry.right[1], self.geometry.right[0]))
        axes = (self._mouth_half * 0.72 * min(1.0, 0.6 + gap / self._mouth_half), max(gap / 2, 0.5))
        sigma = 0.5 + 0.3 * scale
        reach = np.array([max(axes) + 4 * sigma + 2] * 2)
        left, top = np.maximum(np.floor(centre - reach), 0).astype(int)
        right, bottom = np.ceil(centre + reach).astype(int) + 1
        part = image[top:bottom, left:right]
        mask = np.zeros(part.shape[:2], np.uint8)
        middle = tuple((centre - (left, top)).tolist())
        cv2.ellipse(mask, (middle, (2 * axes[0], 2 * axes[1]), angle), 255, -1)
        soft = cv2.GaussianBlur(mask, (0, 0), sigma)[..., None].astype(np.float32) / 255
        colour = np.array(MOUTH_COLOUR, np.float32)
        part[:] = np.asarray(part * (1 - soft) + colour * soft, np.uint8)


def strengths_at(actions: list[Action], t: float) -> Strengths:
    """Every unit's strength at time t (s).

    Overlapping movements add up, but an eye closes or turns no further than once.
    """
    total: Strengths = {}
    for action in actions:
        for strengths, curve in ((action.strengths, action.curve), *action.also):
            level = curve(t)
            if level > 0:
                for unit, strength in strengths.items():
                    total[unit] = total.get(unit, 0.0) + level * strength
    for side in SIDES:
        for name in ("AU43", "GAZE"):
            if (name, side) in total:
                total[name, side] = min(max(total[name, side], -1.0), 1.0)
    return total


def shade(image: NDArray[np.uint8], flow: Field, lines: Field | None = None) -> None:
    """Brighten stretched skin and darken pressed skin of an image (H, W, 3), in place.

    lines: (H, W) from 0 to 1, where pressed skin shows a line.
    """
    gain = cv2.Scharr(flow[..., 0], cv2.CV_32F, 1, 0) + cv2.Scharr(flow[..., 1], cv2.CV_32F, 0, 1)
    np.clip(gain, -32 * SHADE_LIMIT, 32 * SHADE_LIMIT, out=gain)
    gain *= np.float32(SHADING / 32)  # Scharr's weights sum to 16, over two pixels
    if lines is not None:
        pressed = np.clip(gain, -DARKEST_LINE / np.float32(LINE_SHADING), 0)
        gain += cv2.multiply(lines, pressed, scale=LINE_SHADING)
    gain += 1
    cv2.multiply(image, cv2.merge([gain, gain, gain]), dst=image, dtype=cv2.CV_8U)
