"""How events and faces are worded wherever a person reads of them."""

from __future__ import annotations


def face_small(width_px: float) -> str:
    """What a person is told of a face so wide."""
    return f"face small: {width_px:.0f} px"
