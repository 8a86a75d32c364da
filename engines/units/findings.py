"""What is told of one ME: its action units, and the region that moved most. Not from the papers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

PX_DIGITS = 2
SCORE_DIGITS = 4


@dataclass(frozen=True)
class Finding:
    """One part of the face that moved.

    side: of SIDES; px: displacement in reference px; size: its class, a to e; score: the
    probability that it was this one that moved.
    """

    KEY: ClassVar[str] = "name"  # of the name in a record
    name: str
    side: str
    px: float
    size: str
    score: float

    def to_json(self) -> dict[str, Any]:
        """What a record says of it."""
        return {
            self.KEY: self.name,
            "side": self.side,
            "px": round(self.px, PX_DIGITS),
            "size": self.size,
            "score": round(self.score, SCORE_DIGITS),
        }


class ActionUnit(Finding):
    """An action unit, such as "AU12": an entry of `action_units` of an event."""

    KEY = "au"


class Region(Finding):
    """Where the face moved most: the `region` of an event."""
