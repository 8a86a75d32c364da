"""What moved, on the face as it is now: the outline of the region, and arrows for displacements.

The region's outline is that of a mean face (`engines.units.places`), brought into the frame by the
newest crop's affine. An arrow stands for a block of the crop, `displacement.BLOCK` px of 112: it
begins at the block's middle and goes where the block went from onset to apex, ARROW_SCALE times as
far, since an ME moves skin by about a pixel. What all of the crop shares is taken off. Blocks that
moved less than LEAST_PX, or than ARROW_SHARE of the farthest, have none. None of these numbers is
from the papers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from microspot.engines.alignment.affine import Affine
from microspot.engines.alignment.displacement import BLOCKS, SIDE
from microspot.engines.alignment.face_template import template_px
from microspot.engines.units.places import block_places, outlines

from ..records import Event, View

SHOWN_S = 2.0  # how long after its offset an event is named beside the face, and drawn on it
ARROW_SCALE = 10.0
ARROW_SHARE = 0.5
LEAST_PX = 0.3  # px of a crop of 112

Points = NDArray[np.float64]


def current_events(view: View) -> list[Event]:
    """The view's events by onset: the newest record of each id, without what was withdrawn."""
    newest = {event.id: event for event in view.events}
    current = [event for event in newest.values() if event.status != "withdrawn"]
    return sorted(current, key=lambda event: event.onset_ns)


def shown_event(view: View, now_ns: int) -> Event | None:
    """The newest event of a face, unless it ended more than SHOWN_S ago."""
    fresh = [event for event in current_events(view) if now_ns - event.offset_ns <= SHOWN_S * 1e9]
    return fresh[-1] if fresh else None


def region_outlines(view: View, event: Event) -> list[Points]:
    """Closed polygons (N, 2) in frame px: where the event's region lies; empty without one."""
    if event.region is None or view.affine is None:
        return []
    back = Affine(view.affine).inverse()
    return [
        back.apply(polygon)
        for polygon in outlines(event.region.name, event.region.side, view.crop_side)
    ]


def arrows(view: View, event: Event) -> Points:
    """(A, 2, 2) begin and end of each arrow in frame px; none where no displacement is known."""
    if event.flow is None or view.affine is None:
        return np.empty((0, 2, 2))
    lengths = np.linalg.norm(event.flow, axis=-1)
    drawn = lengths >= max(LEAST_PX, ARROW_SHARE * float(lengths.max()))
    begins = template_px(block_places(BLOCKS)[drawn], view.crop_side)
    ends = begins + event.flow[drawn] * (ARROW_SCALE * view.crop_side / SIDE)
    back = Affine(view.affine).inverse()
    return np.stack([back.apply(begins), back.apply(ends)], axis=1)
