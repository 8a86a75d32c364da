"""Control: the actor through which commands reach the supervisor. The class knows no Ray."""

from __future__ import annotations

import time
from collections.abc import Iterable

NAME = "control"
SILENCE_S = 10.0  # after which a supervisor that said nothing is taken to have ended
HEARTBEAT_MOST_S = SILENCE_S / 2  # from round to round, so that none that works is ever silent


class Control:
    """Which nodes should be emptied, and which supervisor works. Kept in memory alone.

    clock: s that rise.
    """

    def __init__(self) -> None:
        self.clock = time.monotonic
        self._draining: set[str] = set()
        self._supervisor = ""
        self._heard_s = 0.0

    def beat(self, supervisor: str) -> frozenset[str] | None:
        """Take a supervisor's sign of life; None where another one works.

        Gives the nodes that it should empty.
        """
        now_s = self.clock()
        other = self._supervisor not in ("", supervisor)
        if other and now_s - self._heard_s < SILENCE_S:
            return None
        self._supervisor = supervisor
        self._heard_s = now_s
        return frozenset(self._draining)

    def leave(self, supervisor: str) -> None:
        """Let another supervisor follow at once."""
        if self._supervisor == supervisor:
            self._supervisor = ""

    def supervised(self) -> bool:
        """Whether a supervisor works."""
        return bool(self._supervisor) and self.clock() - self._heard_s < SILENCE_S

    def drain(self, nodes: Iterable[str], undo: bool = False) -> None:
        """Empty nodes, or use them again."""
        if undo:
            self._draining -= set(nodes)
        else:
            self._draining |= set(nodes)

    def draining(self) -> frozenset[str]:
        """The nodes that should be emptied."""
        return frozenset(self._draining)
