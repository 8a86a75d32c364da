"""The overlay's cards, one per face, and what cards and timelines share: palette, wording, order of events.

Colours are those of Okabe and Ito (2008), told apart by colour-blind people, lightened for a dark ground; none is the
only carrier of a meaning. Everything is laid out in points (see `paint`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..records import Event, View
from .canvas import Canvas, Color
from .event_text import name_and_share

RATE_TOLERANCE = 0.1  # a measured rate further from the trained one is marked
MARGIN = 16.0  # points around panels
FULL_CARD, CURVE_CARD = 400.0, 220.0  # points of height from which the parts fit

PANEL: Color = (32, 26, 22)  # all colours B, G, R
LANE: Color = (46, 38, 33)
RULE: Color = (74, 64, 57)
DIM: Color = (170, 160, 152)
INK: Color = (242, 238, 234)
PENDING: Color = (66, 228, 240)  # yellow
WARN: Color = (0, 159, 230)  # orange
SHADOW: Color = (20, 16, 14)
LABELS: tuple[Color, ...] = (
    (70, 125, 240),
    (140, 195, 40),
    (233, 180, 86),
    (190, 140, 215),
    (90, 190, 210),
)
UNSURE: Color = (200, 194, 188)


@dataclass(frozen=True)
class Box:
    """A rectangle in points."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def height(self) -> float:
        return self.y1 - self.y0


def current(view: View) -> list[Event]:
    """The view's events by onset: the newest word on each id, without what was withdrawn."""
    newest = {event.id: event for event in view.events}
    return sorted((e for e in newest.values() if e.status != "withdrawn"), key=lambda e: e.onset_ns)


def color(event: Event) -> Color:
    """Yellow while provisional; then the label's place in the label set decides."""
    if event.status != "final":
        return PENDING
    labels = list(event.label_scores or ())
    return LABELS[labels.index(event.label) % len(LABELS)] if event.label in labels else UNSURE


def caption(event: Event) -> tuple[str, str]:
    """Name and probability, in words."""
    name, share = name_and_share(vars(event))
    return name, f"{share:.0%}"


def card(canvas: Canvas, box: Box, view: View, now_ns: int, named: bool) -> None:
    """What was found on one face. `named`: say which face."""
    x0, x1, y = box.x0 + MARGIN, box.x1 - MARGIN, box.y0
    if y:
        canvas.line([(x0, y), (x1, y)], RULE)
    canvas.text(x0, y + 26, view.source, DIM, 12, width=x1 - x0 - 60)
    if named:
        canvas.text(x1, y + 26, f"face {view.face + 1}", INK, 12, bold=True, align=1)
    events = current(view)
    finals = [e for e in events if e.status == "final"]
    _verdict(canvas, x0, x1, y + 58, events, now_ns, view.note)
    if box.height >= FULL_CARD:
        heading = "label probabilities" if events[-1:] == finals[-1:] else "last final event"
        bottom = _bars(canvas, x0, x1, y + 112, heading, finals[-1]) if finals else y + 100
        _curve(canvas, Box(x0, bottom + 20, x1, box.y1 - 124), finals)
        _status_rows(canvas, x0, x1, box.y1 - 58, view)
        return
    if box.height >= CURVE_CARD:
        _curve(canvas, Box(x0, y + 108, x1, box.y1 - 68), finals)
    text = f"{view.measured_hz:.1f} of {view.grid_hz} Hz   {view.latency_ms:.0f} ms   quality {view.quality:.2f}"
    canvas.text(x0, box.y1 - 14, text, _rate_color(view), 12)


def _verdict(
    canvas: Canvas, x0: float, x1: float, y: float, events: Sequence[Event], now_ns: int, note: str
) -> None:  # fmt: skip
    """The newest event in large letters; below it what there is to say of the face, or of the event."""
    if not events:
        canvas.text(x0, y + 6, "watching", DIM, 25)
        canvas.text(
            x0,
            y + 28,
            note or "no micro-expression so far",
            WARN if note else DIM,
            12,
            width=x1 - x0,
        )
        return
    event = events[-1]
    name, sure = caption(event)
    tint = color(event)
    canvas.dot(x0 + 7, y - 3, 6, tint, filled=event.status == "final")
    room = x1 - x0 - 30 - canvas.width(sure, 25, bold=True)
    canvas.text(x0 + 24, y + 6, name, tint, 25, bold=True, width=room)
    canvas.text(x1, y + 6, sure, INK, 25, bold=True, align=1)
    length, ago = (
        (event.offset_ns - event.onset_ns) / 1e6,
        max(0.0, (now_ns - event.offset_ns) / 1e9),
    )
    spotted = f", spotted at {event.score:.2f}" if event.status == "final" else ""
    detail = f"{length:.0f} ms long, ended {ago:.1f} s ago{spotted}"
    canvas.text(x0, y + 28, note or detail, WARN if note else DIM, 12, width=x1 - x0)


def _bars(canvas: Canvas, x0: float, x1: float, y: float, heading: str, event: Event) -> float:
    """One bar per label probability; returns the y below them."""
    canvas.text(x0, y, heading, DIM, 12)
    left, right = x0 + 92, x1 - 44
    for i, (label, value) in enumerate((event.label_scores or {}).items()):
        top = y + 9 + 20 * i
        ink = INK if label == event.label else DIM
        canvas.text(x0, top + 11, label, ink, 12, width=88)
        canvas.box(left, top + 2, right, top + 11, LANE, radius=4)
        canvas.box(
            left,
            top + 2,
            left + max(9.0, (right - left) * value),
            top + 11,
            LABELS[i % len(LABELS)],
            radius=4,
        )
        canvas.text(x1, top + 11, f"{value:.0%}", ink, 12, align=1)
    return y + 9 + 20 * len(event.label_scores or {})


def _curve(canvas: Canvas, box: Box, finals: Sequence[Event]) -> None:
    """Intensity of the last final event from onset to offset, with its three marks."""
    canvas.text(box.x0, box.y0 + 4, "intensity", DIM, 12)
    plot = Box(box.x0, box.y0 + 12, box.x1, box.y1)
    canvas.box(plot.x0, plot.y0, plot.x1, plot.y1, LANE, radius=4)
    event = finals[-1] if finals else None
    if event is None or not event.intensity:
        words = "no final event yet" if event is None else "no intensity from these engines"
        canvas.text((plot.x0 + plot.x1) / 2, (plot.y0 + plot.y1) / 2 + 4, words, DIM, 12, align=0.5)
        return
    left, right, top, bottom = plot.x0 + 26, plot.x1 - 26, plot.y0 + 14, plot.y1 - 10
    values = np.nan_to_num(np.array(event.intensity, np.float64))
    low, high = min(0.0, values.min()), values.max()
    level = (values - low) / (high - low) if high > low else np.full(len(values), 0.5)
    path = np.stack(
        [np.linspace(left, right, len(values)), bottom - level * (bottom - top)], axis=1
    )
    tint = color(event)
    canvas.fill([(left, bottom), *path, (right, bottom)], _mixed(tint, LANE, 0.28))
    _marks(canvas, Box(left, plot.y0 + 5, right, plot.y1), event)
    canvas.line(path, tint, 2)


def _marks(canvas: Canvas, plot: Box, event: Event) -> None:
    """Onset, apex and offset as vertical lines with their times."""
    span = max(event.offset_ns - event.onset_ns, 1)
    apex = event.onset_ns if event.apex_ns is None else event.apex_ns
    for name, ns in (("onset", event.onset_ns), ("apex", apex), ("offset", event.offset_ns)):
        x = plot.x0 + (plot.x1 - plot.x0) * (ns - event.onset_ns) / span
        canvas.line([(x, plot.y0), (x, plot.y1)], INK if name == "apex" else DIM)
        at = f"{ns / 1e9:.2f} s" if name == "onset" else f"+{(ns - event.onset_ns) / 1e6:.0f} ms"
        canvas.text(x, plot.y1 + 15, name, INK if name == "apex" else DIM, 11, align=0.5)
        canvas.text(x, plot.y1 + 29, at, DIM, 11, align=0.5)


def _status_rows(canvas: Canvas, x0: float, x1: float, y: float, view: View) -> None:
    measured = (
        f"{view.measured_hz:.1f} Hz" if view.measured_hz else "measuring"
    )  # one frame has no rate yet
    rate = f"{measured}, trained at {view.grid_hz} Hz"
    rows = [("rate", rate, _rate_color(view)), ("latency", f"{view.latency_ms:.0f} ms", INK)]
    for i, (name, value, tint) in enumerate([*rows, ("face quality", f"{view.quality:.2f}", INK)]):
        canvas.text(x0, y + 21 * i, name, DIM, 12)
        canvas.text(x1, y + 21 * i, value, tint, 12, align=1)


def _rate_color(view: View) -> Color:
    return (
        INK
        if not view.measured_hz or abs(view.measured_hz / view.grid_hz - 1) <= RATE_TOLERANCE
        else WARN
    )


def _mixed(tint: Color, ground: Color, share: float) -> Color:
    b, g, r = (round(share * t + (1 - share) * u) for t, u in zip(tint, ground, strict=True))
    return b, g, r
