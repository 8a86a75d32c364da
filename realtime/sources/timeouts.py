"""How long a live source is waited for: until it counts as lost, and between attempts to find it again."""

from __future__ import annotations

import random
import time

from .capture.client import CaptureError
from .options import SourceOptions


class Backoff:
    """Pauses between attempts: growing with the outage, bounded, jittered; anew once a connection was stable."""

    def __init__(self, options: SourceOptions) -> None:
        self._options, self._next_s = options, options.retry_s

    def pause(self, lived_s: float | None) -> float:
        """Seconds to wait after a connection whose frames spanned `lived_s`; None: it gave none."""
        options = self._options
        if lived_s is not None:
            self._next_s = (
                options.retry_s
                if lived_s > options.stable_s
                else min(self._next_s, options.retry_lively_s)
            )
        pause, self._next_s = (
            self._next_s,
            min(options.retry_growth * self._next_s, options.retry_max_s),
        )
        return pause * (1 - options.retry_jitter * random.random())


class Patience:
    """How long a worker may be silent, and how long its packets may come without a picture."""

    def __init__(self, options: SourceOptions) -> None:
        self._options, self._playlist, self._waiting, self.pictured = options, False, False, False
        self._since = time.monotonic()  # of the last picture, or of the beginning

    def deadline(self) -> tuple[float, str]:
        """Monotonic s until which to listen, from now on, and what to say of the silence after it."""
        options = self._options
        if not self.pictured:
            limit_s, silence = options.open_s, f"no frame within {options.open_s:g} s"
        else:
            limit_s = options.playlist_stall_s if self._playlist else options.stall_s
            silence = f"no frame for {limit_s:g} s"
        return time.monotonic() + limit_s, silence

    def opened(self, playlist: bool) -> None:
        self._playlist, self._since = playlist, time.monotonic()

    def picture(self) -> None:
        self.pictured, self._since = True, time.monotonic()

    def packets(self) -> bool:
        """Packets came, no picture; whether that is news before the first one. Raises WorkerError after too long."""
        limit_s, waited_s = self._options.picture_s, time.monotonic() - self._since
        if waited_s >= limit_s:
            what = "no picture can be decoded" if self.pictured else "no key frame"
            raise CaptureError(f"packets come, but {what} within {limit_s:g} s")
        news, self._waiting = not (self._waiting or self.pictured), True
        return news
