"""What is told of one ME: its action units, and the region that moved most. Not from the papers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

PX_DIGITS = 2
SCORE_DIGITS = 4


@dataclass(frozen=True)
class ActionUnit:
    """One unit that moved.

    au: such as "AU12"; side: of SIDES; px: displacement in reference px; size: its class, a to e;
    score: the probability that it moved.
    """

    au: str
    side: str
    px: float
    size: str
    score: float

    def to_json(self) -> dict[str, Any]:
        """An entry of `action_units` of an event."""
        return {
            "au": self.au,
            "side": self.side,
            "px": round(self.px, PX_DIGITS),
            "size": self.size,
            "score": round(self.score, SCORE_DIGITS),
        }


@dataclass(frozen=True)
class Region:
    """Where the face moved most; fields as of `ActionUnit`, score: that it was this region."""

    name: str
    side: str
    px: float
    size: str
    score: float

    def to_json(self) -> dict[str, Any]:
        """The `region` of an event."""
        return {
            "name": self.name,
            "side": self.side,
            "px": round(self.px, PX_DIGITS),
            "size": self.size,
            "score": round(self.score, SCORE_DIGITS),
        }
