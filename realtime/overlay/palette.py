"""Colours of the overlay, as B, G, R.

They are those of Okabe and Ito (2008), which colour-blind people can tell apart, lightened for a
dark ground. None is the only carrier of a meaning.
"""

from __future__ import annotations

from ..records import Event
from .canvas import Color

PANEL: Color = (32, 26, 22)
LANE: Color = (46, 38, 33)
RULE: Color = (74, 64, 57)
DIM: Color = (170, 160, 152)
INK: Color = (242, 238, 234)
PENDING: Color = (66, 228, 240)  # yellow
WARN: Color = (0, 159, 230)  # orange
MARKER: Color = (200, 170, 240)  # of stimulus markers; light red
SHADOW: Color = (20, 16, 14)
BEST_SCORE: Color = (205, 198, 192)
# By a label's place in the label set.
LABELS: tuple[Color, ...] = (
    (70, 125, 240),
    (140, 195, 40),
    (233, 180, 86),
    (190, 140, 215),
    (90, 190, 210),
)
UNSURE: Color = (200, 194, 188)


def event_color(event: Event) -> Color:
    """Yellow while provisional, then by the label's place in the label set."""
    if event.status != "final":
        return PENDING
    labels = list(event.label_scores or ())
    if event.label not in labels:
        return UNSURE
    return LABELS[labels.index(event.label) % len(LABELS)]


def mixed(color: Color, ground: Color, share: float) -> Color:
    """`share` of `color` on `ground`."""
    b, g, r = (round(share * c + (1 - share) * u) for c, u in zip(color, ground, strict=True))
    return b, g, r
