"""How long a face may be missing while its segment goes on.

The stream fills such a hole by interpolation, the aligner keeps its reference across it. Both use
this rule: a crop of an old reference in a new segment would look like a movement.

A hole is measured by the number of frames that are missing in it, since the same time is two frames
of one camera and three of another. A rule of 100 ms had bridged two frames of 30 Hz, but one of 25
Hz and one of 29.97. With two frames of a 25 Hz camera lost every second, `exam sweep bridge` (45
MEs), with a rule of time alone, gives F1 0.68 where 100 ms are bridged, 0.78 with 120 (cameras
jitter), 0.85 with 150 and 0.86 with 200, and no false alarm with any. Not from the papers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from ..errors import UsageError

TICK_NS = 33_333_333  # frames that come more often than this are thinned before they are aligned
REMEMBERED = 31  # intervals that the rate is measured from
SLACK = 0.5  # of an interval: the jitter of cameras


@dataclass(frozen=True)
class BridgeOptions:
    """At most `frames` may be missing, and their neighbours be at most `most_ns` apart."""

    frames: int = 2
    most_ns: int = 150_000_000

    def __post_init__(self) -> None:
        if self.frames < 0 or self.most_ns <= 0:
            raise UsageError(
                f"bridge of {self.frames} frames, {self.most_ns} ns: "
                "expected 0 frames or more, and more than 0 ns"
            )


class Bridge:
    """The rule for one source, whose rate it measures from the times of its frames."""

    def __init__(self, options: BridgeOptions | None = None) -> None:
        self.options = options or BridgeOptions()
        self._last_ns: int | None = None
        # The newest interval counts once the next frame has come: a hole says nothing of the rate.
        self._newest: int | None = None
        self._intervals: deque[int] = deque(maxlen=REMEMBERED)

    def see(self, captured_ns: int) -> None:
        """Note a frame that was looked at, whether a face was found in it or not."""
        if self._newest is not None:
            self._intervals.append(self._newest)
        if self._last_ns is not None:
            self._newest = captured_ns - self._last_ns
        self._last_ns = captured_ns

    @property
    def longest_ns(self) -> float:
        """How far the neighbours of a hole may be apart."""
        interval = max(TICK_NS, median(self._intervals)) if self._intervals else TICK_NS
        return min(self.options.most_ns, (self.options.frames + 1 + SLACK) * interval)

    def spans(self, before_ns: int, after_ns: int) -> bool:
        """Whether the hole between two frames with a face, at the two times, is bridged."""
        return after_ns - before_ns <= self.longest_ns


def breaks(used_ns: Sequence[int], options: BridgeOptions | None = None) -> list[int]:
    """The places in `used_ns`, rising times of used frames, at which a new segment begins."""
    bridge = Bridge(options)
    found = []
    for at_ns in used_ns[:1]:
        bridge.see(at_ns)
    for place, (before, after) in enumerate(pairwise(used_ns), 1):
        bridge.see(after)
        if not bridge.spans(before, after):
            found.append(place)
    return found
