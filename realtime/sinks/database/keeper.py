"""Deletes what is older than --keep allows, at once and every hour, also while nothing is found."""

from __future__ import annotations

import threading
from typing import Protocol

from ...errors import MicrospotError
from .erase import Erased

INTERVAL_S = 3600.0


class Drop(Protocol):
    """What deletes what is too old; always: even where nothing is, clean the file."""

    def __call__(self, *, always: bool = True) -> Erased:
        """How many events were deleted, and whether the file could be cleaned."""


class Keeper:
    """A thread that calls `drop`, which deletes what was recorded too long ago.

    What another program keeps from being cleaned is cleaned an hour later. Raises DataError where
    the first time fails.
    """

    def __init__(self, drop: Drop) -> None:
        self._drop = drop
        self._closing = threading.Event()
        self._failure: MicrospotError | None = None
        self._clean = drop().clean
        self._thread = threading.Thread(target=self._run, name="keep", daemon=True)
        self._thread.start()

    def raise_failure(self) -> None:
        """Raise what ended the thread, if something did."""
        if self._failure is not None:
            raise self._failure

    def join(self, timeout_s: float | None = None) -> None:
        """Wait until the thread has ended."""
        self._thread.join(timeout_s)

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        self.join()

    def _run(self) -> None:
        while not self._closing.wait(INTERVAL_S):
            try:
                self._clean = self._drop(always=not self._clean).clean
            except MicrospotError as error:
                self._failure = error
                return
