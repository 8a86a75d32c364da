"""Records for many listeners, none of which is waited for.

A listener gets the `start` record and the newest records when it comes, then each new one, and the
scores of every tick if it asks for them. One that does not keep up is cut off: it may come again,
and say which record it had last. Scores are not kept for later, so that they take no event's place.
"""

from __future__ import annotations

import json
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from ..base import OF_FRAMES, JsonRecord
from .open_events import OpenEvents

BACKLOG = 200  # records that a new listener gets
WAITING = 256  # records that wait for one that is slow
WAITING_SCORES = 2048  # so many more, scores included: those of a face for a minute at 30 Hz
MOST_LISTENERS = 32


class Message(NamedTuple):
    """A record as it is sent, and its number, which rises; None for scores, which have none."""

    number: int | None
    text: str


class Listener:
    """One client: its queue, which ends with None, what cuts it off, whether it wants scores."""

    def __init__(self, cut: Callable[[], None], wants_scores: bool = False) -> None:
        self.queue: queue.Queue[Message | None] = queue.Queue()
        self.cut = cut
        self.wants_scores = wants_scores

    @property
    def behind(self) -> bool:
        """Whether so much waits for it that it is to be cut off."""
        return self.queue.qsize() >= WAITING + (WAITING_SCORES if self.wants_scores else 0)


class Broadcast:
    """Hands messages to listeners, and keeps the newest for those that come later."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._start: Message | None = None  # says what the scores are of
        self._backlog: deque[Message] = deque(maxlen=BACKLOG)
        self._listeners: list[Listener] = []
        self._events = OpenEvents()
        self._number = 0
        self._closed = False

    @property
    def wants_scores(self) -> bool:
        """Whether a listener asks for scores now."""
        with self._lock:
            return any(listener.wants_scores for listener in self._listeners)

    def send(self, record: JsonRecord) -> None:
        """Send a record to all; of an event it says whether it is `new`, an `update`, its `end`.

        Scores go to those who ask for them; times of frames go to nobody.
        """
        with self._lock:
            if record["type"] in OF_FRAMES:
                wanting = [listener for listener in self._listeners if listener.wants_scores]
                if record["type"] == "scores" and wanting:
                    self._hand(Message(None, _text(record)), wanting)
                return
            if record["type"] == "event":
                change, _ = self._events.change(record)
                record = record | {"change": change}
            self._number += 1
            message = Message(self._number, _text(record))
            if record["type"] == "start":
                self._start = message
            else:
                self._backlog.append(message)
            self._hand(message, self._listeners.copy())

    def _hand(self, message: Message, listeners: list[Listener]) -> None:
        """Put a message into queues; cut off whose has no room, so that nothing goes in silence."""
        for listener in listeners:
            if listener.behind:
                self._listeners.remove(listener)
                listener.cut()
            else:
                listener.queue.put(message)

    def join(
        self, cut: Callable[[], None], after: int = 0, *, wants_scores: bool = False
    ) -> Listener | None:
        """A new listener that has what was kept after a number; None where there are too many."""
        with self._lock:
            if self._closed or len(self._listeners) >= MOST_LISTENERS:
                return None
            listener = Listener(cut, wants_scores)
            for message in filter(None, (self._start, *self._backlog)):
                if message.number is not None and message.number > after:
                    listener.queue.put(message)
            self._listeners.append(listener)
            return listener

    def leave(self, listener: Listener) -> None:
        """Forget a listener."""
        with self._lock:
            if listener in self._listeners:
                self._listeners.remove(listener)
                self._lock.notify_all()

    def close(self, seconds: float) -> None:
        """End every listener's queue, and wait so long for them to leave; cut off who does not."""
        with self._lock:
            self._closed = True
            for listener in self._listeners:
                listener.queue.put(None)
            self._lock.wait_for(lambda: not self._listeners, seconds)
            for listener in self._listeners:
                listener.cut()


def _text(record: JsonRecord) -> str:
    return json.dumps(record, allow_nan=False)
