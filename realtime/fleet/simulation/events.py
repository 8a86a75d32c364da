"""What is due next in simulated time."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

Action = Callable[[], None]


class Events:
    """A clock that runs from one planned action to the next; in order of planning where equal."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._planned: list[tuple[float, int, Action]] = []
        self._numbers = itertools.count()

    def after(self, delay_s: float, action: Action) -> None:
        """Plan an action."""
        heapq.heappush(self._planned, (self.now_s + delay_s, next(self._numbers), action))

    def run_until(self, stop_s: float) -> None:
        """Do all that is due until then."""
        while self._planned and self._planned[0][0] <= stop_s:
            self.now_s, _, action = heapq.heappop(self._planned)
            action()
        self.now_s = stop_s
