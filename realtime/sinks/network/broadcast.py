"""Records for many listeners, none of which is waited for.

A listener gets the `start` record and the newest records when it comes, then each new one, and the
scores of every tick if it asks for them. One that does not keep up is cut off: it may come again,
and say which record it had last. Scores are not kept for later, so that they take no event's place.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import NamedTuple

from ..base import FrameBatch, JsonRecord, json_line
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
    """One client: its queue, what cuts it off, whether it wants scores.

    Messages are put by who holds the lock of the broadcast, and taken by the one thread that sends
    them to the client.
    """

    def __init__(self, cut: Callable[[], None], wants_scores: bool = False) -> None:
        self.cut = cut
        self.wants_scores = wants_scores
        self._queue: SimpleQueue[Sequence[Message] | None] = SimpleQueue()
        self._put = 0  # messages, until now
        self._taken = 0
        self._sent = 0

    @property
    def waiting(self) -> int:
        """Messages that are not sent, those that are being sent included."""
        return self._put - self._sent

    def has_room(self, count: int) -> bool:
        """Whether it may have so many more messages, and is not to be cut off.

        Who waits for nothing may: a batch of many faces says nothing of how fast it reads.
        """
        most = WAITING + (WAITING_SCORES if self.wants_scores else 0)
        return not self.waiting or self.waiting + count <= most

    def put(self, messages: Sequence[Message]) -> None:
        """Let messages wait for it, which wakes the thread that sends them once."""
        self._put += len(messages)
        self._queue.put(messages)

    def end(self) -> None:
        """Let it leave when it has had what waits."""
        self._queue.put(None)

    def take(self, timeout_s: float | None = None) -> Sequence[Message] | None:
        """The next messages, once there are any; None after the last ones.

        Empty where none come within `timeout_s`. Those of the last call count as sent.
        """
        self._sent = self._taken
        try:
            messages = self._queue.get(timeout=timeout_s)
        except Empty:
            return ()
        self._taken += len(messages or ())
        return messages


class Broadcast:
    """Hands messages to listeners, and keeps the newest for those that come later."""

    def __init__(self) -> None:
        self.wants_scores = False  # whether a listener asks for scores now
        self._lock = threading.Condition()
        self._start: Message | None = None  # says what the scores are of
        self._backlog: deque[Message] = deque(maxlen=BACKLOG)
        self._listeners: list[Listener] = []
        self._events = OpenEvents()
        self._number = 0
        self._closed = False

    def send_scores(self, batch: FrameBatch) -> None:
        """Send the scores of a batch to those who ask for them."""
        with self._lock:
            wanting = [listener for listener in self._listeners if listener.wants_scores]
            if wanting:
                self._hand([Message(None, line) for line in batch.score_lines], wanting)

    def send(self, record: JsonRecord) -> None:
        """Send a record to all; of an event it says whether it is `new`, an `update`, its `end`."""
        with self._lock:
            line = json_line(record)
            if record["type"] == "event":
                change, _ = self._events.change(record)
                line = f'{line[:-1]}, "change": "{change}"}}'
            self._number += 1
            message = Message(self._number, line)
            if record["type"] == "start":
                self._start = message
            else:
                self._backlog.append(message)
            self._hand([message], self._listeners.copy())

    def _hand(self, messages: Sequence[Message], listeners: list[Listener]) -> None:
        """Put messages into queues; cut off whose has no room, so that nothing goes in silence."""
        for listener in listeners:
            if listener.has_room(len(messages)):
                listener.put(messages)
            else:
                self._remove(listener)
                listener.cut()
                listener.end()  # its thread may be waiting for more

    def _remove(self, listener: Listener) -> None:
        self._listeners.remove(listener)
        self.wants_scores = any(each.wants_scores for each in self._listeners)

    def join(
        self, cut: Callable[[], None], after: int = 0, *, wants_scores: bool = False
    ) -> Listener | None:
        """A new listener that has what was kept after a number; None where there are too many."""
        with self._lock:
            if self._closed or len(self._listeners) >= MOST_LISTENERS:
                return None
            listener = Listener(cut, wants_scores)
            kept = [*filter(None, [self._start]), *self._backlog]
            missed = [each for each in kept if each.number is not None and each.number > after]
            if missed:
                listener.put(missed)
            self._listeners.append(listener)
            self.wants_scores = self.wants_scores or wants_scores
            return listener

    def leave(self, listener: Listener) -> None:
        """Forget a listener."""
        with self._lock:
            if listener in self._listeners:
                self._remove(listener)
                self._lock.notify_all()

    def close(self, seconds: float) -> None:
        """End every listener's queue, and wait so long for them to leave; cut off who does not."""
        with self._lock:
            self._closed = True
            for listener in self._listeners:
                listener.end()
            self._lock.wait_for(lambda: not self._listeners, seconds)
            for listener in self._listeners:
                listener.cut()
