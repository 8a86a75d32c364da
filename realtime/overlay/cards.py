"""The overlay's cards, one per face: the newest event, label probabilities, intensity, rate.

Everything is laid out in points (see `canvas`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..records import Event, View
from .canvas import Canvas, Color, Rectangle
from .event_text import (
    confounder_words,
    name_and_share,
    nuisance_words,
    region_words,
    threshold_words,
    unit_parts,
)
from .movement import current_events
from .palette import DIM, INK, LABELS, LANE, RULE, WARN, event_color, mixed

RATE_TOLERANCE = 0.1  # a measured rate that differs by more from the trained one is marked
MARGIN = 16.0  # points around panels
FULL_CARD = 400.0  # points of height from which a card has all its parts
NUISANCE_ROOM = 17.0  # points of height for the line that says what else moves
CURVE_CARD = 220.0  # points of height from which it has the intensity curve
MOVED_ROOM = 17.0  # points of height for each line that says what moved
UNIT_LINES = 3  # of them at most, for action units, on a full card; on a smaller one 1


def name_and_percent(event: Event) -> tuple[str, str]:
    """What an event is called and how sure that is, in words."""
    name, share = name_and_share(event.to_json())
    return name, f"{share:.0%}"


def card(canvas: Canvas, area: Rectangle, view: View, now_ns: int, named: bool) -> None:
    """Draw what was found on one face. named: whether to say which face."""
    x0 = area.x0 + MARGIN
    x1 = area.x1 - MARGIN
    top = area.y0
    if top:
        canvas.line([(x0, top), (x1, top)], RULE)
    canvas.text(x0, top + 26, view.source, DIM, 12, width=x1 - x0 - 60)
    if named:
        canvas.text(x1, top + 26, f"face {view.face + 1}", INK, 12, bold=True, align=1)
    events = current_events(view)
    finals = [event for event in events if event.status == "final"]
    moved = _moved(canvas, events[-1], area) if events else []
    if events:
        _newest_event(canvas, x0, x1, top + 58, events[-1], now_ns, view.note)
    else:
        _no_event(canvas, x0, x1, top + 58, view.note)
    for words in moved:
        canvas.text(x0, top + 103, words, INK, 12, width=x1 - x0)
        top += MOVED_ROOM
    if area.height >= FULL_CARD:
        bottom = top + 100
        if finals and finals[-1].label_scores:
            newest_is_final = events[-1] is finals[-1]
            heading = "label probabilities" if newest_is_final else "last final event"
            bottom = _label_bars(canvas, x0, x1, top + 112, heading, finals[-1])
        room = NUISANCE_ROOM if view.nuisances else 0.0
        _intensity(canvas, Rectangle(x0, bottom + 20, x1, area.y1 - 124 - room), finals)
        words = nuisance_words(view.nuisances)
        canvas.text(x0, area.y1 - 97, words, DIM, 11, width=x1 - x0)
        if view.personal is not None:
            canvas.text(x0, area.y1 - 79, threshold_words(view.personal), DIM, 12)
        _status_rows(canvas, x0, x1, area.y1 - 58, view)
        return
    if area.height >= CURVE_CARD:
        _intensity(canvas, Rectangle(x0, top + 108, x1, area.y1 - 68), finals)
    rate = f"{view.measured_hz:.1f} of {view.grid_hz} Hz"
    status = f"{rate}   {view.latency_ms:.0f} ms   quality {view.quality:.2f}"
    canvas.text(x0, area.y1 - 14, status, _rate_color(view), 12)
    if view.personal is not None and area.height >= CURVE_CARD:
        canvas.text(x0, area.y1 - 32, threshold_words(view.personal), DIM, 12)


def _no_event(canvas: Canvas, x0: float, x1: float, y: float, note: str) -> None:
    """What a card says before the first event."""
    canvas.text(x0, y + 6, "watching", DIM, 25)
    _second_line(canvas, x0, x1, y, note, "no micro-expression so far")


def _newest_event(
    canvas: Canvas, x0: float, x1: float, y: float, event: Event, now_ns: int, note: str
) -> None:
    """The newest event in large letters; below it the note on the face, else details."""
    name, percent = name_and_percent(event)
    color = event_color(event)
    final = event.status == "final"
    canvas.dot(x0 + 7, y - 3, 6, color, filled=final)
    room = x1 - x0 - 30 - canvas.width(percent, 25, bold=True)
    canvas.text(x0 + 24, y + 6, name, color, 25, bold=True, width=room)
    canvas.text(x1, y + 6, percent, INK, 25, bold=True, align=1)
    length_ms = (event.offset_ns - event.onset_ns) / 1e6
    ago_s = max(0.0, (now_ns - event.offset_ns) / 1e9)
    spotted = f", spotted at {event.score:.2f}" if final else ""
    details = f"{length_ms:.0f} ms long, ended {ago_s:.1f} s ago{spotted}"
    record = event.to_json()
    if words := confounder_words(record):
        details = f"with {words}; {details}"
    _second_line(canvas, x0, x1, y, note, details)


def _moved(canvas: Canvas, event: Event, area: Rectangle) -> list[str]:
    """The lines of a card that say what moved: the region, if it is known, then the action units.

    None on a card without room. The last line takes what is left, so that drawing cuts it.
    """
    if area.height < CURVE_CARD:
        return []
    record = event.to_json()
    width = area.width - 2 * MARGIN
    lines = UNIT_LINES if area.height >= FULL_CARD else 1
    rows: list[str] = []
    for part in unit_parts(record):
        longer = f"{rows[-1]}; {part}" if rows else part
        if rows and (len(rows) == lines or canvas.width(longer, 12) <= width):
            rows[-1] = longer
        else:
            rows.append(part)
    region = region_words(record)
    return [region, *rows] if region else rows


def _second_line(canvas: Canvas, x0: float, x1: float, y: float, note: str, otherwise: str) -> None:
    """The note on the face in orange, or where there is none, `otherwise`."""
    canvas.text(x0, y + 28, note or otherwise, WARN if note else DIM, 12, width=x1 - x0)


def _label_bars(
    canvas: Canvas, x0: float, x1: float, y: float, heading: str, event: Event
) -> float:
    """Draw one bar per label probability; returns the y below them."""
    canvas.text(x0, y, heading, DIM, 12)
    left = x0 + 92
    right = x1 - 44
    top = y + 9
    for i, (label, share) in enumerate((event.label_scores or {}).items()):
        ink = INK if label == event.label else DIM
        end = left + max(9.0, (right - left) * share)
        canvas.text(x0, top + 11, label, ink, 12, width=88)
        canvas.box(left, top + 2, right, top + 11, LANE, radius=4)
        canvas.box(left, top + 2, end, top + 11, LABELS[i % len(LABELS)], radius=4)
        canvas.text(x1, top + 11, f"{share:.0%}", ink, 12, align=1)
        top += 20
    return top


def _intensity(canvas: Canvas, area: Rectangle, finals: Sequence[Event]) -> None:
    """The intensity of the last final event from onset to offset, or why there is none."""
    canvas.text(area.x0, area.y0 + 4, "intensity", DIM, 12)
    plot = Rectangle(area.x0, area.y0 + 12, area.x1, area.y1)
    canvas.box(plot.x0, plot.y0, plot.x1, plot.y1, LANE, radius=4)
    if finals and finals[-1].intensity:
        _intensity_curve(canvas, plot, finals[-1], finals[-1].intensity)
        return
    words = "no intensity from these engines" if finals else "no final event yet"
    canvas.text(plot.middle_x, plot.middle_y + 4, words, DIM, 12, align=0.5)


def _intensity_curve(
    canvas: Canvas, plot: Rectangle, event: Event, intensity: Sequence[float]
) -> None:
    """A filled curve of the intensity, with lines at onset, apex and offset."""
    left = plot.x0 + 26
    right = plot.x1 - 26
    top = plot.y0 + 14
    bottom = plot.y1 - 10
    values = np.nan_to_num(np.array(intensity, np.float64))
    low = min(0.0, values.min())
    high = values.max()
    level = (values - low) / (high - low) if high > low else np.full(len(values), 0.5)
    x = np.linspace(left, right, len(values))
    y = bottom - level * (bottom - top)
    path = np.stack([x, y], axis=1)
    color = event_color(event)
    canvas.fill([(left, bottom), *path, (right, bottom)], mixed(color, LANE, 0.28))
    _mark_lines(canvas, Rectangle(left, plot.y0 + 5, right, plot.y1), event)
    canvas.line(path, color, 2)


def _mark_lines(canvas: Canvas, area: Rectangle, event: Event) -> None:
    """Onset, apex and offset as vertical lines with their times."""
    span = max(event.offset_ns - event.onset_ns, 1)
    apex_ns = event.onset_ns if event.apex_ns is None else event.apex_ns
    marks = [("onset", event.onset_ns), ("apex", apex_ns), ("offset", event.offset_ns)]
    for name, at_ns in marks:
        x = area.x0 + area.width * (at_ns - event.onset_ns) / span
        color = INK if name == "apex" else DIM
        time = f"+{(at_ns - event.onset_ns) / 1e6:.0f} ms"
        if name == "onset":
            time = f"{at_ns / 1e9:.2f} s"
        canvas.line([(x, area.y0), (x, area.y1)], color)
        canvas.text(x, area.y1 + 15, name, color, 11, align=0.5)
        canvas.text(x, area.y1 + 29, time, DIM, 11, align=0.5)


def _status_rows(canvas: Canvas, x0: float, x1: float, y: float, view: View) -> None:
    """Rate, latency and face quality, one below the other."""
    # One frame has no rate yet.
    measured = f"{view.measured_hz:.1f} Hz" if view.measured_hz else "measuring"
    rows = [
        ("rate", f"{measured}, trained at {view.grid_hz} Hz", _rate_color(view)),
        ("latency", f"{view.latency_ms:.0f} ms", INK),
        ("face quality", f"{view.quality:.2f}", INK),
    ]
    for i, (name, value, color) in enumerate(rows):
        canvas.text(x0, y + 21 * i, name, DIM, 12)
        canvas.text(x1, y + 21 * i, value, color, 12, align=1)


def _rate_color(view: View) -> Color:
    """Orange where the measured rate is far from the trained one."""
    if not view.measured_hz:
        return INK
    return INK if abs(view.measured_hz / view.grid_hz - 1) <= RATE_TOLERANCE else WARN
