"""draw(image, views): the picture a person watches. A pure function of pixels and records: no window, no clock.

Left the video with each face's outline; right one card per face (what was found, how sure, intensity, rate, latency);
below one timeline per face: the best score as a line with the refined scores as dots, the scores of the window
lengths as a heat strip, and the intervals, hollow while provisional, filled once final. The canvas depends on the
size of the image alone, so that a video keeps its size while faces come and go.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..records import Pixels, View
from .canvas import Canvas, Color
from .cards import DIM, INK, LANE, MARGIN, PANEL, SHADOW, WARN, Box, caption, card, color, current
from .timeline import timelines

CAVEAT = "Synthetic-trained weights: not evidence of emotion"
MAX_FACES = 4  # cards and timelines; further faces are counted
STALE_S = 0.5  # a face not seen for so long has no outline
CAPTION_S = 2.0  # how long after its offset an event is named beside the face

VIDEO, CARD, TIMELINE, MIN_WIDTH = (
    480.0,
    330.0,
    216.0,
    960.0,
)  # points; the video is VIDEO points high
MIN_PIXELS, MAX_PIXELS, MAX_VIDEO_WIDTH = (
    480,
    720,
    1280,
)  # height and width of the video on the canvas


def draw(
    image: Pixels,
    views: Sequence[View],
    *,
    now_ns: int | None = None,
    notes: Sequence[str] = (),
    caveat: str = CAVEAT,
) -> Pixels:
    """A new HxWx3 BGR picture of `image` (HxWx3 BGR, unchanged) and of what is known of its faces.

    now_ns: stream time of `image`, by default the newest view's; notes: what the people filmed must know, such as
    "recording to overlay.mp4"; caveat: what a label does not prove. Height and width are even.
    """
    now = max([0 if now_ns is None else now_ns, *(v.now_ns for v in views)])
    unit = min(max(image.shape[0], MIN_PIXELS), MAX_PIXELS) / VIDEO
    scale = (
        min(VIDEO * unit / image.shape[0], MAX_VIDEO_WIDTH / image.shape[1]) / unit
    )  # points per image pixel
    stage = Box(0, 0, max(image.shape[1] * scale, MIN_WIDTH - CARD), VIDEO)
    canvas = Canvas(stage.x1 + CARD, VIDEO + TIMELINE, unit, PANEL)
    shown = views[:MAX_FACES]
    _video(canvas, stage, image, scale, shown, now)
    _notes(canvas, notes)
    _cards(canvas, stage.x1, shown, now)
    timelines(canvas, Box(0, VIDEO, stage.x1 + CARD, VIDEO + TIMELINE), shown, now)
    hidden = len(views) - len(shown)
    footer = f"+{hidden} more face{'s' * (hidden > 1)}    {caveat}" if hidden else caveat
    canvas.text(stage.x1 + CARD - MARGIN, VIDEO + TIMELINE - 8, footer, DIM, 11, align=1)
    return canvas.image


def _cards(canvas: Canvas, x: float, views: Sequence[View], now_ns: int) -> None:
    if not views:
        canvas.text(x + MARGIN, 64, "no face", DIM, 25)
    for i, view in enumerate(views):
        step = VIDEO / len(views)
        card(canvas, Box(x, step * i, x + CARD, step * (i + 1)), view, now_ns, len(views) > 1)


def _video(
    canvas: Canvas, stage: Box, image: Pixels, scale: float, views: Sequence[View], now_ns: int
) -> None:
    """The image in the middle of the stage, each face outlined, its newest event named beside it."""
    height, width = image.shape[0] * scale, image.shape[1] * scale
    x0, y0 = (stage.x1 - width) / 2, (stage.y1 - height) / 2
    if x0 > 0 or y0 > 0:
        canvas.box(stage.x0, stage.y0, stage.x1, stage.y1, (0, 0, 0))
    canvas.paste(x0, y0, x0 + width, y0 + height, image)
    for view in views:
        outline = view.outline[np.isfinite(view.outline).all(axis=1)] * scale + (x0, y0)
        if len(outline) and now_ns - view.now_ns <= STALE_S * 1e9:
            _face(canvas, outline.clip((0, 0), (stage.x1, stage.y1)), view, now_ns, len(views) > 1)


def _face(
    canvas: Canvas, outline: NDArray[np.float64], view: View, now_ns: int, named: bool
) -> None:
    """Outline in points, in the colour of the event that is being named, if any."""
    fresh = [e for e in current(view) if now_ns - e.offset_ns <= CAPTION_S * 1e9]
    tint = color(fresh[-1]) if fresh else INK
    canvas.line(outline + 1, SHADOW, 1, closed=True)
    canvas.line(outline, tint, 1.5, closed=True)
    words = [str(view.face + 1)] * named + ([" ".join(caption(fresh[-1]))] if fresh else [])
    words += [view.note] if view.note else []
    if words:
        _tag(canvas, "  ".join(words), WARN if view.note and not fresh else tint, outline)


def _tag(canvas: Canvas, text: str, tint: Color, outline: NDArray[np.float64]) -> None:
    """A name above the face, or below it where the video ends."""
    (left, top), (right, bottom) = outline.min(axis=0), outline.max(axis=0)
    width = canvas.width(text, 14, bold=True) + 16
    x = min(
        max((left + right - width) / 2, 4), canvas.image.shape[1] / canvas.unit - CARD - width - 4
    )
    y = top - 32 if top >= 36 else min(bottom + 8, VIDEO - 28)
    canvas.box(x, y, x + width, y + 24, PANEL, radius=5)
    canvas.text(x + 8, y + 17, text, tint, 14, bold=True)


def _notes(canvas: Canvas, notes: Sequence[str]) -> None:
    """Pills at the top left of the video, each with an orange dot."""
    for i, note in enumerate(notes):
        y = 10 + 28 * i
        text = canvas.fit(note, MIN_WIDTH - CARD - 60, 12)
        canvas.box(10, y, 10 + 34 + canvas.width(text, 12), y + 23, LANE, radius=11)
        canvas.dot(24, y + 11.5, 4.5, WARN)
        canvas.text(34, y + 16, text, INK, 12)
