"""draw(image, views): the picture a person watches, a pure function of pixels and records.

On the left the video with each face's outline; on the right one card per face (what was found, how
sure, intensity, rate, latency); below one timeline per face: the best score as a line with the
refined scores as dots, the scores of the window lengths as a heat strip, and the intervals, hollow
while provisional, filled once final. The canvas depends on the size of the image alone, so that a
video keeps its size while faces come and go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..records import Pixels, View
from .canvas import Canvas, Color, Rectangle
from .cards import MARGIN, card
from .event_text import caption
from .movement import arrows as arrows_of
from .movement import region_outlines, shown_event
from .palette import DIM, INK, LANE, PANEL, SHADOW, WARN, event_color
from .timeline import timelines

CAVEAT = "Synthetic-trained weights: not evidence of emotion"
MAX_FACES = 4  # cards and timelines; further faces are counted
STALE_S = 0.5  # a face not seen for so long has no outline

Placed = Callable[[NDArray[Any]], NDArray[np.float64]]

# Points.
VIDEO_HEIGHT = 480.0
CARD_WIDTH = 330.0
TIMELINE_HEIGHT = 216.0
MIN_WIDTH = 960.0  # of the whole canvas

# Pixels of the video on the canvas.
MIN_VIDEO_HEIGHT = 480
MAX_VIDEO_HEIGHT = 720
MAX_VIDEO_WIDTH = 1280


def draw(
    image: Pixels,
    views: Sequence[View],
    *,
    now_ns: int | None = None,
    notes: Sequence[str] = (),
    caveat: str = CAVEAT,
    arrows: bool = False,
    markers: Sequence[tuple[int, str]] = (),
) -> Pixels:
    """A new HxWx3 BGR picture of `image` (HxWx3 BGR, unchanged) and of what is known of its faces.

    now_ns: stream time of `image`, by default the newest view's; notes: what the people filmed must
    know, such as "recording to overlay.mp4"; caveat: what a label does not prove; arrows: whether
    the newest event shows how far each part of the face moved (`movement`); markers: stream times
    in ns and texts of stimulus markers. Height and width of the picture are even.
    """
    times_ns = [view.now_ns for view in views]
    now = max([0 if now_ns is None else now_ns, *times_ns])
    rows, columns = image.shape[:2]
    unit = min(max(rows, MIN_VIDEO_HEIGHT), MAX_VIDEO_HEIGHT) / VIDEO_HEIGHT
    # Points per image pixel.
    scale = min(VIDEO_HEIGHT * unit / rows, MAX_VIDEO_WIDTH / columns) / unit
    stage = Rectangle(0, 0, max(columns * scale, MIN_WIDTH - CARD_WIDTH), VIDEO_HEIGHT)
    width = stage.x1 + CARD_WIDTH
    height = VIDEO_HEIGHT + TIMELINE_HEIGHT
    canvas = Canvas(width, height, unit, PANEL)
    shown = views[:MAX_FACES]
    _video(canvas, stage, image, scale, shown, now, arrows)
    _notes(canvas, notes)
    _cards(canvas, stage.x1, shown, now)
    timelines(canvas, Rectangle(0, VIDEO_HEIGHT, width, height), shown, now, markers)
    footer = _footer(len(views) - len(shown), caveat)
    canvas.text(width - MARGIN, height - 8, footer, DIM, 11, align=1)
    return canvas.image


def _footer(hidden: int, caveat: str) -> str:
    """The caveat, and before it how many faces have no card."""
    if hidden == 0:
        return caveat
    faces = "face" if hidden == 1 else "faces"
    return f"+{hidden} more {faces}    {caveat}"


def _cards(canvas: Canvas, x: float, views: Sequence[View], now_ns: int) -> None:
    """One card per face below each other, from `x` to the right."""
    if not views:
        canvas.text(x + MARGIN, 64, "no face", DIM, 25)
        return
    height = VIDEO_HEIGHT / len(views)
    for i, view in enumerate(views):
        area = Rectangle(x, height * i, x + CARD_WIDTH, height * (i + 1))
        card(canvas, area, view, now_ns, named=len(views) > 1)


def _video(
    canvas: Canvas,
    stage: Rectangle,
    image: Pixels,
    scale: float,
    views: Sequence[View],
    now_ns: int,
    arrows: bool,
) -> None:
    """The image in the middle of the stage, its faces outlined and their newest events named."""
    height = image.shape[0] * scale
    width = image.shape[1] * scale
    x0 = (stage.x1 - width) / 2
    y0 = (stage.y1 - height) / 2
    if x0 > 0 or y0 > 0:
        canvas.box(stage.x0, stage.y0, stage.x1, stage.y1, (0, 0, 0))
    canvas.paste(x0, y0, x0 + width, y0 + height, image)

    def placed(points: NDArray[Any]) -> NDArray[np.float64]:
        """Frame px (..., 2) in points of the stage."""
        return np.asarray((points * scale + (x0, y0)).clip((0, 0), (stage.x1, stage.y1)))

    for view in views:
        known = view.outline[np.isfinite(view.outline).all(axis=1)]
        if len(known) and now_ns - view.now_ns <= STALE_S * 1e9:
            _moved(canvas, view, now_ns, placed, arrows)
            _face(canvas, placed(known), view, now_ns, named=len(views) > 1)


def _moved(canvas: Canvas, view: View, now_ns: int, placed: Placed, arrows: bool) -> None:
    """Where the newest event moved, and how far; placed: from frame px to points."""
    event = shown_event(view, now_ns)
    if event is None:
        return
    for polygon in region_outlines(view, event):
        canvas.line(placed(polygon) + 1, SHADOW, 1, closed=True)
        canvas.line(placed(polygon), event_color(event), 1.5, closed=True)
    for begin, end in placed(arrows_of(view, event)) if arrows else ():
        canvas.arrow(begin, end, INK, 1.2)


def _face(
    canvas: Canvas, outline: NDArray[np.float64], view: View, now_ns: int, named: bool
) -> None:
    """One face: its outline in points, and a tag with its number, newest event and note."""
    newest = shown_event(view, now_ns)
    color = event_color(newest) if newest else INK
    canvas.line(outline + 1, SHADOW, 1, closed=True)
    canvas.line(outline, color, 1.5, closed=True)
    words = []
    if named:
        words.append(str(view.face + 1))
    if newest:
        words.append(caption(newest.to_json()))
    if view.note:
        words.append(view.note)
    if words:
        text_color = WARN if view.note and not newest else color
        _tag(canvas, "  ".join(words), text_color, outline)


def _tag(canvas: Canvas, text: str, color: Color, outline: NDArray[np.float64]) -> None:
    """A name above the face, or below it where the video ends."""
    left, top = outline.min(axis=0)
    right, bottom = outline.max(axis=0)
    width = canvas.width(text, 14, bold=True) + 16
    rightmost = canvas.image.shape[1] / canvas.unit - CARD_WIDTH - width - 4
    x = min(max((left + right - width) / 2, 4), rightmost)
    y = top - 32 if top >= 36 else min(bottom + 8, VIDEO_HEIGHT - 28)
    canvas.box(x, y, x + width, y + 24, PANEL, radius=5)
    canvas.text(x + 8, y + 17, text, color, 14, bold=True)


def _notes(canvas: Canvas, notes: Sequence[str]) -> None:
    """Notes on labels at the top left of the video, each with an orange dot."""
    for i, note in enumerate(notes):
        y = 10 + 28 * i
        text = canvas.fit(note, MIN_WIDTH - CARD_WIDTH - 60, 12)
        canvas.box(10, y, 10 + 34 + canvas.width(text, 12), y + 23, LANE, radius=11)
        canvas.dot(24, y + 11.5, 4.5, WARN)
        canvas.text(34, y + 16, text, INK, 12)
