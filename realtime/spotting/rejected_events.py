"""RejectedEvents: final decisions that resemble what a person rejected come to nothing.

The rule is that of `engines.rejected_memory`. A provisional event whose final one is suppressed is
withdrawn, so that every provisional id ends; what was never announced ends in silence. Both are
counted.
"""

from __future__ import annotations

from microspot.engines.rejected_memory import Memory, Vector, event_vector, ticks_of

from .ring import Ring
from .streaming_nms import Decision, Key


class RejectedEvents:
    """The suppression of one face.

    features: ring of (L,) float32 by tick; memory: None suppresses nothing; suppressed: how many
    final decisions came to nothing.
    """

    def __init__(self, features: Ring, memory: Memory | None) -> None:
        self.memory = memory
        self.suppressed = 0
        self._features = features
        self._announced: set[Key] = set()

    def reset(self) -> None:
        """The next decision is of a new segment."""
        self._announced.clear()

    def judge(self, decision: Decision) -> tuple[Decision | None, Vector | None]:
        """What is left of a decision, and what a final one is remembered by."""
        if decision.status == "provisional":
            self._announced.add(decision.key)
            return decision, None
        announced = decision.key in self._announced
        self._announced.discard(decision.key)
        if decision.status == "withdrawn":
            return decision, None
        vector = self._vector(decision)
        if self.memory is None or not self.memory.suppresses(vector):
            return decision, vector
        self.suppressed += 1
        return (decision._replace(status="withdrawn") if announced else None), None

    def _vector(self, decision: Decision) -> Vector:
        """Of the ticks of the decision's interval that the ring still holds."""
        ring = self._features
        candidate = decision.candidate
        first, last = ticks_of(candidate.start, candidate.stop, ring.stop)
        first = min(max(first, ring.start), ring.stop - 1)
        return event_vector(ring.slice(first, max(last, first + 1)).T)
