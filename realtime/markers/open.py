"""From a URI to where markers come from: `open_markers(uri)` and the kinds that it knows."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import UsageError
from .lsl import LslMarkers
from .placement import MarkerInput

MARKERS: dict[str, Callable[[str], MarkerInput]] = {"lsl": LslMarkers}


def open_markers(uri: str) -> MarkerInput:
    """The markers of `lsl:NAME`. Raises UsageError for another kind."""
    kind = uri.partition(":")[0]
    if kind not in MARKERS:
        raise UsageError(f"--markers {uri}: expected lsl:NAME, the name of a stream of markers")
    return MARKERS[kind](uri)
