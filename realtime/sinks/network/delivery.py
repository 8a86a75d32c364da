"""The thread that empties a spool: oldest first, each event until the other side has taken it.

So events arrive in order, at least once: where an answer is lost, the event comes again with the
same id. Pauses between attempts double up to a minute, and begin anew once one has succeeded.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from enum import Enum

from ...errors import MicrospotError
from .spool import Spool, Waiting

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 60.0


class Answer(Enum):
    """What the other side said to an event."""

    TAKEN = "taken"
    LATER = "later"  # it is away, or busy
    NEVER = "never"  # it refuses this event for good


Post = Callable[[Waiting], Answer]


class Delivery:
    """Sends a spool's events by `post` from a thread of its own. refused: events refused for good.

    `closing_s` is how long `close` goes on sending.
    """

    def __init__(self, spool: Spool, post: Post, closing_s: float) -> None:
        self.refused = 0
        self._spool = spool
        self._post = post
        self._closing_s = closing_s
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._hurry = threading.Event()  # ends a pause
        self._deadline_s = 0.0  # after which nothing more is sent, while closing
        self._failure: MicrospotError | None = None
        self._thread = threading.Thread(target=self._run, name="delivery", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Say that an event waits; raises what ended the thread, if something did."""
        if self._failure is not None:
            raise self._failure
        self._wake.set()

    def retry(self) -> None:
        """Say that the other side is back: a pause ends now."""
        self._hurry.set()

    def close(self) -> None:
        """Send what waits, for a while at most, and end the thread."""
        self._deadline_s = time.monotonic() + self._closing_s
        self._closing.set()
        self._hurry.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        try:
            while not self._over():
                waiting = self._spool.oldest()
                if waiting is None:
                    if self._closing.is_set():
                        return
                    self._wake.wait()
                    self._wake.clear()
                    continue
                answer = self._post(waiting)
                if answer is Answer.LATER:
                    self._pause(pause_s)
                    pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                    continue
                self.refused += answer is Answer.NEVER
                self._spool.remove(waiting.number)
                pause_s = FIRST_PAUSE_S
        except MicrospotError as error:
            self._failure = error

    def _over(self) -> bool:
        return self._closing.is_set() and time.monotonic() >= self._deadline_s

    def _pause(self, seconds: float) -> None:
        """Wait before the next attempt; while the run ends, only as long as at first."""
        if not self._closing.is_set():
            self._hurry.wait(seconds)
            self._hurry.clear()
        if not self._closing.is_set():
            return
        left_s = self._deadline_s - time.monotonic()
        time.sleep(max(0.0, min(FIRST_PAUSE_S, left_s)))
