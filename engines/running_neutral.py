"""What a face scores at rest, and the threshold of its own that follows from it.

Blinks, tremor and the resting expression make some faces score higher than others all the time. A
window's margin is how far its scores lie above the thresholds of the weights, in logits: the
smaller of logit(CPN) - logit(T_CPN) and logit(CRN) - logit(T_CRN). A window passes the usual rule
where its margin is 0 or more, and a personal one where it reaches a shift.

The running neutral of a face is the list of its peaks: windows whose margin is the highest within
the length of an ME. The shift is the lowest one that at most as many peaks a minute reach as alarms
are asked for, in the last minutes of the face and in USUAL_MIN of an average face, which stands in
for what is not known yet. Real micro-expressions are peaks and alarms too: nobody can tell them
apart, so that a face with many of them gets a higher threshold. Not from the papers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .specs import SpotterSpec

# Of none of these do the papers speak.
WARM_UP_S = 10.0  # of a face, in which the thresholds are those of the weights
MEMORY_S = 300.0  # of a face, whose peaks count
LOWEST_SHIFT = -2.0  # logits; windows below it are not looked at
HIGHEST_SHIFT = 6.0
SHIFT_STEP = 0.05
USUAL_PER_MIN = 1.5  # peaks that reach the weights' own thresholds on an average face
USUAL_FALL = 1.5  # logits of shift at which e times fewer do
USUAL_MIN = 1.0  # minutes that the average face counts for
LEAST_SHARE = 1e-6  # scores are kept this far from 0 and 1, where logits end
RATES = (0.01, 60.0)  # least and most alarms a minute that may be asked for
MINUTE_S = 60.0

SHIFTS = LOWEST_SHIFT + SHIFT_STEP * np.arange(
    round((HIGHEST_SHIFT - LOWEST_SHIFT) / SHIFT_STEP) + 1
)
USUAL_PEAKS = USUAL_PER_MIN * np.exp(-SHIFTS / USUAL_FALL) * USUAL_MIN

Floats = NDArray[np.float64]


class Peak(NamedTuple):
    """The best window of its surroundings: last tick in the time of its face, and margin."""

    tick: int
    margin: float


@dataclass(frozen=True)
class Neutral:
    """What is known of a face: ticks seen in all its segments, and its peaks, oldest first."""

    ticks: int = 0
    peaks: tuple[Peak, ...] = ()

    def after(self, best: Floats, spec: SpotterSpec) -> Neutral:
        """The neutral after a segment with the best margins `best` (T,) by last tick."""
        found = [peak._replace(tick=self.ticks + peak.tick) for peak in peaks_of(best, spec)]
        ticks = self.ticks + len(best)
        return Neutral(ticks, remembered((*self.peaks, *found), ticks, spec.grid_hz))


def logit(share: ArrayLike) -> Floats:
    """log(p / (1 - p)) of probabilities of any shape, which are kept LEAST_SHARE from 0 and 1."""
    p = np.clip(np.asarray(share, np.float64), LEAST_SHARE, 1 - LEAST_SHARE)
    return np.asarray(np.log(p / (1 - p)))


def shifted(threshold: float, shift: float) -> float:
    """The threshold, 0 to 1, that lies `shift` logits above another one; itself at 0."""
    if shift == 0:
        return threshold
    return 1 / (1 + math.exp(-float(logit(threshold)) - shift))


def lowered(spec: SpotterSpec, shift: float = LOWEST_SHIFT) -> SpotterSpec:
    """The spec with both thresholds `shift` logits higher.

    By default every window passes which may matter to a personal threshold.
    """
    return replace(spec, t_cpn=shifted(spec.t_cpn, shift), t_crn=shifted(spec.t_crn, shift))


def margins(proposed: ArrayLike, refined: ArrayLike, spec: SpotterSpec) -> Floats:
    """Margins (P,) of windows with CPN's scores `proposed` and CRN's `refined`, both (P,).

    A score that equals its threshold, as the networks' float32, has a margin of exactly 0.
    """
    above_cpn = logit(np.asarray(proposed, np.float32)) - logit(np.float32(spec.t_cpn))
    above_crn = logit(np.asarray(refined, np.float32)) - logit(np.float32(spec.t_crn))
    return np.asarray(np.minimum(above_cpn, above_crn))


def peaks_of(best: Floats, spec: SpotterSpec) -> list[Peak]:
    """The peaks of a segment, from its best margins (T,) by last tick, -inf where there is none.

    A peak is higher than all of the `max_ticks` ticks before it, and no lower than those after it.
    """
    peaks = []
    for tick in np.flatnonzero(best >= LOWEST_SHIFT).tolist():
        before = best[max(0, tick - spec.max_ticks) : tick]
        after = best[tick + 1 : tick + 1 + spec.max_ticks]
        if before.max(initial=-np.inf) < best[tick] >= after.max(initial=-np.inf):
            peaks.append(Peak(tick, float(best[tick])))
    return peaks


def remembered(peaks: Sequence[Peak], ticks: int, grid_hz: int) -> tuple[Peak, ...]:
    """The peaks of the last MEMORY_S of a face that was seen for `ticks`."""
    oldest = ticks - round(MEMORY_S * grid_hz)
    return tuple(peak for peak in peaks if peak.tick >= oldest)


def shift_of(neutral: Neutral, per_min: float, grid_hz: int) -> float:
    """The margin from which a window passes, so that about `per_min` alarms a minute come.

    It is 0 in the first WARM_UP_S, and between LOWEST_SHIFT and HIGHEST_SHIFT later.
    """
    seen_s = neutral.ticks / grid_hz
    if seen_s < WARM_UP_S:
        return 0.0
    peaks = remembered(neutral.peaks, neutral.ticks, grid_hz)
    heights = np.sort([peak.margin for peak in peaks])
    reaching = len(heights) - np.searchsorted(heights, SHIFTS)  # each of the shifts, or more
    minutes = USUAL_MIN + min(seen_s, MEMORY_S) / MINUTE_S
    allowed = SHIFTS[USUAL_PEAKS + reaching <= per_min * minutes]
    return float(allowed[0]) if len(allowed) else HIGHEST_SHIFT
