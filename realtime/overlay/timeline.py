"""The overlay's lower part: the last seconds of every face on one time axis.

A row shows the best score as a line with the refined scores as dots, the scores of the window
lengths as a heat strip, and the intervals. Scores stand at the last tick of their window. Rows that
are too low leave the line out. Stimulus markers are lines through all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..records import Event, View
from .canvas import Canvas, Rectangle
from .cards import MARGIN
from .event_text import caption
from .movement import current_events
from .palette import BEST_SCORE, DIM, INK, LANE, MARKER, RULE, event_color

SHOWN_S = 8.0  # seconds shown
GUTTER = 92.0  # points left of the rows
AXIS = 40.0  # points below the rows
CURVE_ROW = 80.0  # points of height from which a row has the line
MARKER_TEXT = 24.0  # points to the next marker from which a marker has its text
LANE_GAP = 5.0  # points between the parts of a row
# Share of cividis at score 0; the rest is the lane's own colour, so that low scores stay quiet.
HEAT_MIN_SHARE = 0.35


def timelines(
    canvas: Canvas,
    area: Rectangle,
    views: Sequence[View],
    now_ns: int,
    markers: Sequence[tuple[int, str]] = (),
) -> None:
    """Draw the last SHOWN_S seconds of every face, one row each, above a common axis.

    markers: stream times in ns and texts.
    """
    left = area.x0 + GUTTER
    right = area.x1 - MARGIN
    bottom = area.y1 - AXIS
    rows = max(1, len(views))
    height = bottom - area.y0
    for i in range(rows):
        top = area.y0 + height * i / rows + 8
        row = Rectangle(left, top, right, area.y0 + height * (i + 1) / rows)
        _TimelineRow(canvas, row, now_ns).draw(views[i] if views else None, named=len(views) > 1)
    _draw_markers(canvas, Rectangle(left, area.y0 + 8, right, bottom), now_ns, markers)
    for second in range(0, int(SHOWN_S) + 1, 2):
        x = right - (right - left) * second / SHOWN_S
        align = 0.5
        if second == 0:
            align = 1.0
        elif second == SHOWN_S:
            align = 0.0
        text = f"-{second} s" if second else "now"
        canvas.text(x, bottom + 13, text, DIM, 11, align=align)


def _draw_markers(
    canvas: Canvas, rows: Rectangle, now_ns: int, markers: Sequence[tuple[int, str]]
) -> None:
    """A line for each marker that is shown, its text to the right of it."""
    ends = [rows.x1, *(_marker_x(rows, now_ns, at_ns) for at_ns, _ in reversed(markers))]
    for (at_ns, text), end in zip(reversed(markers), ends, strict=False):
        x = _marker_x(rows, now_ns, at_ns)
        if rows.x0 <= x <= rows.x1:
            canvas.rule(x, rows.y0, rows.y1, MARKER)
            if end - x > MARKER_TEXT:
                canvas.text(x + 4, rows.y0 + 11, text, MARKER, 11, width=end - x - 6)


def _marker_x(rows: Rectangle, now_ns: int, at_ns: int) -> float:
    return rows.x1 - (now_ns - at_ns) / (SHOWN_S * 1e9) * rows.width


class _TimelineRow:
    """One face's row: best score and refined dots, heat strip by window length, intervals."""

    def __init__(self, canvas: Canvas, row: Rectangle, now_ns: int) -> None:
        self.canvas = canvas
        self.row = row
        self.now_ns = now_ns
        if row.height >= CURVE_ROW:
            inner = row.height - 2 * LANE_GAP
            curve_end = row.y0 + 0.38 * inner
            heat_start = curve_end + LANE_GAP
            intervals_start = row.y1 - 0.22 * inner
        else:
            inner = row.height - LANE_GAP
            curve_end = row.y0
            heat_start = row.y0
            intervals_start = row.y1 - 0.4 * inner
        self.curve = Rectangle(row.x0, row.y0, row.x1, curve_end)
        self.heat = Rectangle(row.x0, heat_start, row.x1, intervals_start - LANE_GAP)
        self.intervals = Rectangle(row.x0, intervals_start, row.x1, row.y1)

    def x(self, ns: float) -> float:
        """Points from the left of stream time `ns`."""
        return self.row.x1 - (self.now_ns - ns) / (SHOWN_S * 1e9) * self.row.width

    def draw(self, view: View | None, named: bool) -> None:
        """Draw the row; without a view its empty lanes."""
        lanes = [lane for lane in (self.curve, self.heat, self.intervals) if lane.height > 0]
        for lane in lanes:
            self.canvas.box(lane.x0, lane.y0, lane.x1, lane.y1, LANE)
        if view is not None:
            self._draw_heat(view)
        for second in range(1, int(SHOWN_S)):
            x = self.x(self.now_ns - second * 1e9)
            for lane in lanes:
                self.canvas.rule(x, lane.y0, lane.y1, RULE)
        if view is None:
            return
        events = [event for event in current_events(view) if self.x(event.offset_ns) > self.row.x0]
        if self.curve.height > 0:
            self._draw_scores(view, events)
        self._draw_intervals(events)
        if named:
            face = f"face {view.face + 1}"
            self.canvas.text(self.row.x0 - 8, self.row.y0 + 11, face, INK, 11, bold=True, align=1)
        else:
            self._name_lanes(view)

    def _draw_heat(self, view: View) -> None:
        """The scores of the window lengths, one image row each, as a heat strip."""
        columns = min(view.scores.shape[1], int(SHOWN_S * view.grid_hz))
        if not columns:
            return
        scores = view.scores[:, -columns:]
        image = _heat_colors()[np.nan_to_num(scores * 255).clip(0, 255).astype(np.uint8)]
        image[np.isnan(scores)] = LANE
        x1 = self.x(view.now_ns)
        x0 = self.x(view.now_ns - columns * 1e9 / view.grid_hz)
        if x0 < self.row.x0:  # a face not seen for a while: cut what has left the timeline
            left_over = int(np.ceil((self.row.x0 - x0) / (x1 - x0) * columns))
            gone = min(columns, left_over)
            image = image[:, gone:]
            x0 += (x1 - x0) * gone / columns
        if image.shape[1]:
            self.canvas.paste(x0, self.heat.y0, x1, self.heat.y1, image, smooth=False)

    def _draw_scores(self, view: View, events: Sequence[Event]) -> None:
        """The best score as a line, refined scores as dots, thresholds dashed, events shaded."""
        for event in events:
            x0 = max(self.x(event.onset_ns), self.row.x0)
            x1 = min(self.x(event.offset_ns), self.row.x1)
            self.canvas.shade(x0, self.curve.y0, x1, self.curve.y1, event_color(event), 0.2)
        bottom = self.curve.y1 - 4
        height = bottom - (self.curve.y0 + 4)
        for threshold in set(view.thresholds):
            self.canvas.dashes(self.row.x0, self.row.x1, bottom - threshold * height, DIM)
        columns = view.scores.shape[1]
        tick_width = self.x(1e9 / view.grid_hz) - self.x(0)
        x = self.x(view.now_ns) - np.arange(columns)[::-1] * tick_width  # (H,)
        best = np.fmax.reduce(view.scores, axis=0) if len(view.scores) else np.full(columns, np.nan)
        y = bottom - np.stack([best, view.refined]) * height
        y[:, x < self.row.x0] = np.nan
        self._broken_line(x, y[0])
        for column in np.flatnonzero(~np.isnan(y[1])):
            self.canvas.dot(x[column], y[1, column], 2.5, INK)

    def _broken_line(self, x: NDArray[np.floating[Any]], y: NDArray[np.floating[Any]]) -> None:
        """A line that breaks where y is NaN."""
        known = np.flatnonzero(~np.isnan(y))
        for part in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1):
            self.canvas.line(np.stack([x[part], y[part]], axis=1), BEST_SCORE, 1.4)

    def _draw_intervals(self, events: Sequence[Event]) -> None:
        """Bars, hollow while provisional; names beside them where there is room, newest first."""
        middle = self.intervals.middle_y
        half_height = min(9.0, self.intervals.height / 2 - 2)
        top = middle - half_height
        bottom = middle + half_height
        bars = []
        for event in events:
            x0 = max(self.x(event.onset_ns), self.row.x0)
            x1 = min(max(self.x(event.offset_ns), x0 + 4), self.row.x1)
            outline = 0 if event.status == "final" else 1.5
            self.canvas.box(x0, top, x1, bottom, event_color(event), radius=3, width=outline)
            bars.append((x0, x1))
        taken = list(bars)
        for event, bar in reversed(list(zip(events, bars, strict=True))):
            self._name_event(event, bar, middle + 4, taken)

    def _name_event(
        self, event: Event, bar: tuple[float, float], y: float, taken: list[tuple[float, float]]
    ) -> None:
        """Name an event right or left of its bar; where both sides are taken, not at all."""
        text = caption(event.to_json())
        width = self.canvas.width(text, 12)
        bar_start, bar_end = bar
        for start in (bar_end + 5, bar_start - 5 - width):
            span = (start - 3, start + width + 3)
            if self._is_free(span, taken):
                self.canvas.text(start, y, text, event_color(event), 12)
                taken.append(span)
                return

    def _is_free(self, span: tuple[float, float], taken: list[tuple[float, float]]) -> bool:
        """Whether a span lies within the row and touches none that is taken."""
        start, stop = span
        if start < self.row.x0 or stop > self.row.x1:
            return False
        return not any(other < stop and start < other_stop for other, other_stop in taken)

    def _name_lanes(self, view: View) -> None:
        """What the lanes are, left of them."""
        x = self.row.x0 - 8
        if self.curve.height > 0:
            middle = self.curve.middle_y
            self.canvas.text(x, middle - 4, "best score", DIM, 11, align=1)
            self.canvas.line([(x - 74, middle - 8), (x - 62, middle - 8)], BEST_SCORE, 1.4)
            self.canvas.text(x, middle + 13, "refined", DIM, 11, align=1)
            self.canvas.dot(x - 68, middle + 9, 2.5, INK)
        step = self.heat.height / max(1, len(view.windows))
        if step >= 10:
            for i, window in enumerate(view.windows):
                heading = "window  " if i == 0 else ""
                text = f"{heading}{1000 * window / view.grid_hz:.0f} ms"
                self.canvas.text(x, self.heat.y0 + step * (i + 0.5) + 4, text, DIM, 10, align=1)
        self.canvas.text(x, self.intervals.middle_y + 4, "events", DIM, 11, align=1)


@lru_cache(maxsize=1)
def _heat_colors() -> NDArray[np.uint8]:
    """(256, 3) BGR: cividis, faded into the lane's colour towards 0."""
    ramp = np.arange(256, dtype=np.uint8)[:, None]
    share = np.minimum(1, HEAT_MIN_SHARE + np.linspace(0, 2, 256))[:, None]
    cividis = cv2.applyColorMap(ramp, cv2.COLORMAP_CIVIDIS)[:, 0]
    return np.asarray(cividis * share + (1 - share) * np.array(LANE), np.uint8)
