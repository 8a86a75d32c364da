"""The scores of one face as a stream of a steady rate.

Who reads a recording straightens the times of a stream that has a nominal rate, by a line through
all samples up to a break, which for pyxdf is longer than 16 s at 30 Hz. Ticks that were never
scored, because no face was there, would bend that line; so they are sent as samples without
numbers.
"""

from __future__ import annotations

import math

import numpy as np

from .waiting_outlet import WaitingOutlet

LAG_S = 2.0  # from a frame's time until no scores for that time will come any more
MOST_FILLED_S = 20.0  # a longer pause is left out: readers see a break


class ScoreOutlet:
    """Gives samples of `channels` numbers at `hz` to an outlet; times are LSL's, in s."""

    def __init__(self, outlet: WaitingOutlet, hz: int, channels: int) -> None:
        self._outlet = outlet
        self._hz = hz
        self._nothing = [math.nan] * channels
        self._seen_s: float | None = None  # time of the first frame
        self._first_s: float | None = None  # time of the first sample since the last break
        self._last_s = 0.0  # and of the last one
        self._count = 0  # of samples since the last break

    def add(self, values: list[float], at_s: float) -> None:
        """Add a sample, after those without numbers that are missing before it."""
        missing = self._missing(at_s)
        if self._first_s is None or missing > MOST_FILLED_S * self._hz:
            self._first_s = at_s
            self._count = 0
        elif missing > 0:
            for between_s in np.linspace(self._last_s, at_s, missing + 2)[1:-1]:
                self._add(self._nothing, float(between_s))
        self._add(values, at_s)

    def idle(self, at_s: float) -> None:
        """Note the time of a frame: what has not been scored LAG_S later never will be."""
        if self._seen_s is None:
            self._seen_s = at_s
        over_s = at_s - LAG_S
        if over_s >= self._seen_s and (self._first_s is None or self._missing(over_s) >= 0):
            self.add(self._nothing, over_s)

    def flush(self) -> None:
        """Send the samples that wait."""
        self._outlet.flush()

    def _missing(self, at_s: float) -> int:
        """Samples between the last one and one at `at_s`.

        Counted from the first sample, so that pauses, which are no whole ticks, do not add up.
        """
        if self._first_s is None:
            return 0
        return round((at_s - self._first_s) * self._hz) - self._count

    def _add(self, values: list[float], at_s: float) -> None:
        self._outlet.add(values, at_s)
        self._last_s = at_s
        self._count += 1
