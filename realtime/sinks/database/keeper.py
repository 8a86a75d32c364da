"""Deletes what is older than --keep allows, at once and every hour, also while nothing is found."""

from __future__ import annotations

import threading
from pathlib import Path

from ...errors import MicrospotError
from .erase import drop_older

INTERVAL_S = 3600.0


class Keeper:
    """A thread that drops what was recorded more than `days` ago.

    What another program keeps from being cleaned is cleaned an hour later. Raises DataError where
    the first time fails.
    """

    def __init__(self, path: Path, days: float) -> None:
        self._path = path
        self._days = days
        self._closing = threading.Event()
        self._failure: MicrospotError | None = None
        self._clean = drop_older(path, days).clean
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
                erased = drop_older(self._path, self._days, clean=not self._clean)
                self._clean = erased.clean
            except MicrospotError as error:
                self._failure = error
                return
