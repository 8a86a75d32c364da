"""PersonalThreshold: which windows of a face pass, so that about so many alarms a minute come.

The rule is that of `engines.running_neutral`. The threshold at a tick depends on windows that ended
before it alone, at most on those of the tick before, and is final at once: provisional and final
events of a window meet the same one, whatever the hop, and `engines.reference.spot_personally`
decides the same.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from microspot.engines.intervals import Candidate
from microspot.engines.running_neutral import (
    LOWEST_SHIFT,
    WARM_UP_S,
    Neutral,
    Peak,
    lowered,
    margins,
    remembered,
    shift_of,
    shifted,
)
from microspot.engines.specs import SpotterSpec

from ..records import PersonalState

NOTHING = float("-inf")  # the best margin of a tick at which no window ends that matters


class PersonalThreshold:
    """The threshold of one face, whose segments follow each other.

    spec: with the thresholds that the shift is counted from; per_min: alarms a minute, real
    micro-expressions among them, or None for the thresholds of `spec`; neutral: what is known of
    the face from before. `passing` is the spec with the lowest thresholds that may come.
    """

    def __init__(
        self, spec: SpotterSpec, per_min: float | None, neutral: Neutral | None = None
    ) -> None:
        self.per_min = per_min
        self.retune(spec)
        self.neutral = neutral or Neutral()
        self._newest = self.neutral.ticks - 1
        # best margins up to the newest tick; the one in the middle may be a peak
        self._recent: deque[float] = deque(maxlen=2 * spec.max_ticks + 1)
        self.end_segment()

    def retune(self, spec: SpotterSpec) -> None:
        """Count the shift from other thresholds; what is known of the face stays."""
        self.spec = spec
        self.passing = spec if self.per_min is None else lowered(spec)

    def admit(self, candidates: list[Candidate], proposed: NDArray[np.float32]) -> list[Candidate]:
        """Those of the candidates of the next tick that pass; every tick, in order.

        The threshold that they passed is their floor in soft suppression. candidates: of the
        windows that pass `lowered`; proposed (M,): CPN's scores at this tick.
        """
        if self.per_min is None:
            return candidates
        above: list[float] = []
        if candidates:
            scales = [candidate.scale for candidate in candidates]
            refined = [candidate.score for candidate in candidates]
            above = margins(proposed[scales], refined, self.spec).tolist()
        shift = self.shift
        threshold = shifted(self.spec.t_crn, shift)
        passing = [
            candidate._replace(floor=min(threshold, candidate.score))
            for candidate, margin in zip(candidates, above, strict=True)
            if margin >= shift
        ]
        self._observe(max(above, default=NOTHING))
        return passing

    def end_segment(self) -> None:
        """The next tick opens a new segment of the same face."""
        for _ in range(self.spec.max_ticks):
            self._append(NOTHING)
        self._newest = self.neutral.ticks - 1
        self._recent.clear()
        self._recent.extend([NOTHING] * (2 * self.spec.max_ticks + 1))

    @property
    def shift(self) -> float:
        """Logits that the thresholds lie above those of the weights now."""
        if self.per_min is None:
            return 0.0
        return shift_of(self.neutral, self.per_min, self.spec.grid_hz)

    @property
    def thresholds(self) -> tuple[float, float]:
        """T_CPN and T_CRN as they are now."""
        shift = self.shift
        return shifted(self.spec.t_cpn, shift), shifted(self.spec.t_crn, shift)

    def state(self, source: str, face: int, at_ns: int) -> PersonalState | None:
        """What a person is told of the threshold; None where it is not the face's own."""
        if self.per_min is None:
            return None
        seen_s = self.neutral.ticks / self.spec.grid_hz
        return PersonalState(
            source=source,
            face=face,
            at_ns=at_ns,
            threshold=self.thresholds[1],
            alarms_per_min=self.per_min,
            seen_s=seen_s,
            peaks=len(self.neutral.peaks),
            learning=seen_s < WARM_UP_S,
        )

    def _observe(self, best: float) -> None:
        """Take the best margin of the next tick."""
        ticks = self.neutral.ticks + 1
        self.neutral = replace(self.neutral, ticks=ticks)
        self._append(best)
        peaks = remembered(self.neutral.peaks, ticks, self.spec.grid_hz)
        self.neutral = replace(self.neutral, peaks=peaks)

    def _append(self, best: float) -> None:
        """Take the best margin of a tick; one tick is now certain to be a peak, or none."""
        self._newest += 1
        self._recent.append(best)
        reach = self.spec.max_ticks
        around = list(self._recent)
        if len(around) <= 2 * reach or around[reach] < LOWEST_SHIFT:
            return
        if max(around[:reach]) < around[reach] >= max(around[reach + 1 :]):
            peak = Peak(self._newest - reach, around[reach])
            self.neutral = replace(self.neutral, peaks=(*self.neutral.peaks, peak))
