"""Which ticks are a blink, by what the spotter's nuisance head says of each. Not from the papers.

The landmarker cannot tell: it runs every half second, and a blink lasts 0.1 to 0.4 s.

Of the rendered blinks of sample:synthetic:7, 8 and 9 the rule finds 11 of 11 and nothing else, also
two 0.1 s apart. In the sample, 53 s of a man who acts, it finds the two times at which his lids
close or nearly do, as landmarks in every frame have them too. Three raised brows reach the
probability there, for a tick or two: LEAST_BLINK_S was chosen by them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLINK_PROBABILITY = 0.5
LEAST_BLINK_S = 0.1  # from the first to the last tick with that probability
RULE = (
    f"ticks in a row with a blink probability of {BLINK_PROBABILITY} or more, from the first to "
    f"the last {LEAST_BLINK_S} s or more, are one blink"
)


def blink_starts(
    times_s: NDArray[np.float64], probability: NDArray[np.float64], tick_s: float
) -> NDArray[np.float64]:
    """When the blinks of one face begin, s.

    times_s, probability (T,): of its ticks, in order; a tick that is missing ends a blink.
    """
    closed = probability >= BLINK_PROBABILITY
    together = closed[1:] & closed[:-1] & (np.diff(times_s) < 1.5 * tick_s)
    starts = times_s[closed & ~np.concatenate([[False], together])[: len(closed)]]
    ends = times_s[closed & ~np.concatenate([together, [False]])[: len(closed)]]
    found: NDArray[np.float64] = starts[ends - starts > LEAST_BLINK_S - tick_s / 2]
    return found
