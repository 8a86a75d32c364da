"""How long a live source is waited for: until it counts as lost, and between reconnects."""

from __future__ import annotations

import random
import time

from .capture.client import CaptureError
from .options import SourceOptions


class ReconnectBackoff:
    """Pauses between attempts to reconnect.

    They grow with the outage up to a limit, are partly random, and start anew once a connection was
    stable.
    """

    def __init__(self, options: SourceOptions) -> None:
        self._options = options
        self._next_s = options.retry_s

    def pause_s(self, connected_s: float | None) -> float:
        """The pause after a connection whose frames spanned `connected_s` (None: it gave none)."""
        options = self._options
        if connected_s is not None and connected_s > options.stable_s:
            self._next_s = options.retry_s
        elif connected_s is not None:
            self._next_s = min(self._next_s, options.retry_lively_s)
        pause_s = self._next_s
        self._next_s = min(options.retry_growth * pause_s, options.retry_max_s)
        return pause_s * (1 - options.retry_jitter * random.random())


class SilenceTimeout:
    """How long a worker may be silent, and how long its packets may come without a picture."""

    def __init__(self, options: SourceOptions) -> None:
        self._options = options
        self._playlist = False
        self._reported = False  # that packets come without a picture
        self.has_picture = False
        self._since_s = time.monotonic()  # of the last picture, or of the beginning

    def deadline(self) -> tuple[float, str]:
        """Until when (monotonic s) to wait for a message, and how to call the silence after it."""
        options = self._options
        if not self.has_picture:
            return time.monotonic() + options.open_s, f"no frame within {options.open_s:g} s"
        limit_s = options.playlist_stall_s if self._playlist else options.stall_s
        return time.monotonic() + limit_s, f"no frame for {limit_s:g} s"

    def opened(self, playlist: bool) -> None:
        """Note that the stream is open, and whether it is a playlist."""
        self._playlist = playlist
        self._since_s = time.monotonic()

    def picture(self) -> None:
        """Note that a picture came."""
        self.has_picture = True
        self._since_s = time.monotonic()

    def packets(self) -> bool:
        """Note that packets came, and no picture; whether to report that, which is done once.

        Not after the first picture. Raises CaptureError when it lasts too long.
        """
        limit_s = self._options.picture_s
        if time.monotonic() - self._since_s >= limit_s:
            what = "no picture can be decoded" if self.has_picture else "no key frame"
            raise CaptureError(f"packets come, but {what} within {limit_s:g} s")
        report = not self._reported and not self.has_picture
        self._reported = True
        return report
