"""What pictures show of one face."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .event import Event
from .face import PersonalState


@dataclass(frozen=True, eq=False)
class View:
    """What the overlay draws for one face now.

    The history arrays have one column per tick and end at `now_ns`.
    scores: (M, H) window probabilities by the window's last tick, NaN where none;
    refined: (H,) best refined score per tick, NaN where none;
    note: why the face is not used now, or what keeps it from being seen well; "" for neither;
    personal: the threshold of its own that the face has, None where it has none;
    nuisances: what else moves at the newest tick that is scored, by name; empty where the weights
    do not say;
    affine, crop_side: of the newest crop, as of a Crop; None and 0 without any.
    """

    source: str
    face: int
    now_ns: int
    grid_hz: int
    measured_hz: float
    windows: tuple[int, ...]
    scores: NDArray[np.float32]
    refined: NDArray[np.float32]
    events: tuple[Event, ...]
    outline: NDArray[np.float32]
    quality: float
    latency_ms: float
    thresholds: tuple[float, float]
    note: str = ""
    personal: PersonalState | None = None
    nuisances: dict[str, float] = field(default_factory=dict)
    affine: NDArray[np.float64] | None = None
    crop_side: int = 0
