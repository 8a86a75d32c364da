"""The overlay's lower part: the last seconds of every face on one time axis.

A row shows the best score as a line with the refined scores as dots, the scores of the window lengths as a heat strip,
and the intervals. Scores stand at the last tick of their window. Rows that are too low leave the line out.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..records import Event, View
from .canvas import Canvas, Color
from .cards import DIM, INK, LANE, MARGIN, RULE, Box, caption, color, current

SHOWN_S = 8.0  # seconds shown
GUTTER, AXIS, CURVE_ROW = (
    92.0,
    40.0,
    80.0,
)  # points: left of the rows, below them, height from which the line fits
BEST: Color = (205, 198, 192)  # B, G, R
HEAT_FLOOR = (
    0.35  # share of cividis at score 0, the rest is the lane's own colour: no evidence stays quiet
)


@lru_cache(maxsize=1)
def _heat_colors() -> NDArray[np.uint8]:
    """(256, 3) BGR: cividis, faded into the lane's colour towards 0."""
    ramp = np.arange(256, dtype=np.uint8)[:, None]
    share = np.minimum(1, HEAT_FLOOR + np.linspace(0, 2, 256))[:, None]
    colors = cv2.applyColorMap(ramp, cv2.COLORMAP_CIVIDIS)[:, 0] * share + (1 - share) * np.array(
        LANE
    )
    return np.asarray(colors, np.uint8)


def timelines(canvas: Canvas, box: Box, views: Sequence[View], now_ns: int) -> None:
    """The last SHOWN_S seconds of every face, one row each, above a common axis."""
    left, right, bottom = box.x0 + GUTTER, box.x1 - MARGIN, box.y1 - AXIS
    rows = max(1, len(views))
    for i in range(rows):
        top = box.y0 + (bottom - box.y0) * i / rows
        row = Box(left, top + 8, right, box.y0 + (bottom - box.y0) * (i + 1) / rows)
        _Timeline(canvas, row, now_ns).draw(views[i] if views else None, len(views) > 1)
    for second in range(0, int(SHOWN_S) + 1, 2):
        x = right - (right - left) * second / SHOWN_S
        align = 1.0 if second == 0 else 0.0 if second == SHOWN_S else 0.5
        canvas.text(x, bottom + 13, f"-{second} s" if second else "now", DIM, 11, align=align)


class _Timeline:
    """One face's row: best score and refined dots, heat strip by window length, intervals."""

    def __init__(self, canvas: Canvas, row: Box, now_ns: int) -> None:
        self.canvas, self.row, self.now_ns = canvas, row, now_ns
        gap, share = 5.0, 0.38 if row.height >= CURVE_ROW else 0.0
        inner = row.height - gap * (2 if share else 1)
        curve = row.y0 + share * inner
        heat = curve + (gap if share else 0)
        intervals = row.y1 - (0.22 if share else 0.4) * inner
        self.curve = Box(row.x0, row.y0, row.x1, curve)
        self.heat = Box(row.x0, heat, row.x1, intervals - gap)
        self.lane = Box(row.x0, intervals, row.x1, row.y1)

    def x(self, ns: float) -> float:
        """Points from the left of stream time `ns`."""
        return self.row.x1 - (self.now_ns - ns) / (SHOWN_S * 1e9) * (self.row.x1 - self.row.x0)

    def draw(self, view: View | None, named: bool) -> None:
        lanes = [lane for lane in (self.curve, self.heat, self.lane) if lane.height > 0]
        for lane in lanes:
            self.canvas.box(lane.x0, lane.y0, lane.x1, lane.y1, LANE)
        if view is not None:
            self._heat(view)
        for second in range(1, int(SHOWN_S)):
            x = self.x(self.now_ns - second * 1e9)
            for lane in lanes:
                self.canvas.rule(x, lane.y0, lane.y1, RULE)
        if view is None:
            return
        events = [e for e in current(view) if self.x(e.offset_ns) > self.row.x0]
        if self.curve.height > 0:
            self._curve(view, events)
        self._intervals(events)
        self._names(view, named)

    def _heat(self, view: View) -> None:
        columns = min(view.scores.shape[1], int(SHOWN_S * view.grid_hz))
        if not columns:
            return
        scores = view.scores[:, -columns:]
        image = _heat_colors()[np.nan_to_num(scores * 255).clip(0, 255).astype(np.uint8)]
        image[np.isnan(scores)] = LANE
        x1 = self.x(view.now_ns)
        x0 = self.x(view.now_ns - columns * 1e9 / view.grid_hz)
        if x0 < self.row.x0:  # a face not seen for a while: cut what has left the timeline
            gone = min(columns, int(np.ceil((self.row.x0 - x0) / (x1 - x0) * columns)))
            image, x0 = image[:, gone:], x0 + (x1 - x0) * gone / columns
        if image.shape[1]:
            self.canvas.paste(x0, self.heat.y0, x1, self.heat.y1, image, smooth=False)

    def _curve(self, view: View, events: Sequence[Event]) -> None:
        for event in events:
            x0, x1 = (
                max(self.x(event.onset_ns), self.row.x0),
                min(self.x(event.offset_ns), self.row.x1),
            )
            self.canvas.shade(x0, self.curve.y0, x1, self.curve.y1, color(event), 0.2)
        top, bottom = self.curve.y0 + 4, self.curve.y1 - 4
        for threshold in set(view.thresholds):
            self.canvas.dashes(self.row.x0, self.row.x1, bottom - threshold * (bottom - top), DIM)
        columns = view.scores.shape[1]
        x = self.x(view.now_ns) - np.arange(columns)[::-1] * (
            self.x(1e9 / view.grid_hz) - self.x(0)
        )  # (H,)
        best = np.fmax.reduce(view.scores, axis=0) if len(view.scores) else np.full(columns, np.nan)
        y = bottom - np.stack([best, view.refined]) * (bottom - top)
        y[:, x < self.row.x0] = np.nan
        self._path(x, y[0])
        for column in np.flatnonzero(~np.isnan(y[1])):
            self.canvas.dot(x[column], y[1, column], 2.5, INK)

    def _path(self, x: NDArray[np.floating[Any]], y: NDArray[np.floating[Any]]) -> None:
        """A line that breaks where y is NaN."""
        known = np.flatnonzero(~np.isnan(y))
        for part in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1):
            self.canvas.line(np.stack([x[part], y[part]], axis=1), BEST, 1.4)

    def _intervals(self, events: Sequence[Event]) -> None:
        """Bars, hollow while provisional; then names beside them where there is room, the newest first."""
        middle, half = (self.lane.y0 + self.lane.y1) / 2, min(9.0, self.lane.height / 2 - 2)
        spans = []
        for event in events:
            x0 = max(self.x(event.onset_ns), self.row.x0)
            x1 = min(max(self.x(event.offset_ns), x0 + 4), self.row.x1)
            stroke = 0 if event.status == "final" else 1.5
            self.canvas.box(
                x0, middle - half, x1, middle + half, color(event), radius=3, width=stroke
            )
            spans.append((x0, x1))
        taken = list(spans)
        for event, span in reversed(list(zip(events, spans, strict=True))):
            self._caption(event, span, middle + 4, taken)

    def _caption(
        self, event: Event, bar: tuple[float, float], y: float, taken: list[tuple[float, float]]
    ) -> None:
        text = " ".join(caption(event))
        width = self.canvas.width(text, 12)
        for start in (bar[1] + 5, bar[0] - 5 - width):
            span = (start - 3, start + width + 3)
            inside = self.row.x0 <= span[0] and span[1] <= self.row.x1
            if inside and not any(a < span[1] and span[0] < b for a, b in taken):
                self.canvas.text(start, y, text, color(event), 12)
                taken.append(span)
                return

    def _names(self, view: View, named: bool) -> None:
        """What the lanes are, left of them."""
        x = self.row.x0 - 8
        if named:
            self.canvas.text(
                x, self.row.y0 + 11, f"face {view.face + 1}", INK, 11, bold=True, align=1
            )
        elif self.curve.height > 0:
            middle = (self.curve.y0 + self.curve.y1) / 2
            self.canvas.text(x, middle - 4, "best score", DIM, 11, align=1)
            self.canvas.line([(x - 74, middle - 8), (x - 62, middle - 8)], BEST, 1.4)
            self.canvas.text(x, middle + 13, "refined", DIM, 11, align=1)
            self.canvas.dot(x - 68, middle + 9, 2.5, INK)
        step = self.heat.height / max(1, len(view.windows))
        if step >= 10 and not named:
            for i, window in enumerate(view.windows):
                text = f"{'' if i else 'window  '}{1000 * window / view.grid_hz:.0f} ms"
                self.canvas.text(x, self.heat.y0 + step * (i + 0.5) + 4, text, DIM, 10, align=1)
        if not named:
            self.canvas.text(x, (self.lane.y0 + self.lane.y1) / 2 + 4, "events", DIM, 11, align=1)
