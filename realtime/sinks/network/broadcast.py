"""Records for many listeners, none of which is waited for.

A listener gets the newest records when it comes, then each new one. One that does not keep up is
cut off: it may come again, and say which record it had last.
"""

from __future__ import annotations

import json
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from ..base import JsonRecord
from .open_events import OpenEvents

BACKLOG = 200  # records that a new listener gets
WAITING = 256  # records that wait for one that is slow
MOST_LISTENERS = 32


class Message(NamedTuple):
    """A record as it is sent, and its number, which rises."""

    number: int
    text: str


class Listener:
    """One client: its queue, which ends with None, and what cuts its connection."""

    def __init__(self, cut: Callable[[], None]) -> None:
        self.queue: queue.Queue[Message | None] = queue.Queue()
        self.cut = cut


class Broadcast:
    """Hands messages to listeners, and keeps the newest for those that come later."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._backlog: deque[Message] = deque(maxlen=BACKLOG)
        self._listeners: list[Listener] = []
        self._events = OpenEvents()
        self._number = 0
        self._closed = False

    def send(self, record: JsonRecord) -> None:
        """Send a record to all; of an event it says whether it is `new`, an `update`, its `end`."""
        with self._lock:
            if record["type"] == "event":
                change, _ = self._events.change(record)
                record = record | {"change": change}
            self._number += 1
            message = Message(self._number, json.dumps(record, allow_nan=False))
            self._backlog.append(message)
            for listener in self._listeners.copy():
                if listener.queue.qsize() >= WAITING:
                    self._listeners.remove(listener)
                    listener.cut()
                else:
                    listener.queue.put(message)

    def join(self, cut: Callable[[], None], after: int = 0) -> Listener | None:
        """A new listener that has the backlog after a number; None where there are too many."""
        with self._lock:
            if self._closed or len(self._listeners) >= MOST_LISTENERS:
                return None
            listener = Listener(cut)
            for message in self._backlog:
                if message.number > after:
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
