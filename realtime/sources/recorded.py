"""Recorded sources, and video files among them. Every frame comes, at its own time, bounded before decoding.

How a file is opened and decoded stands in `engines.data.decoding`. Sizes are checked from headers,
and damaged frames are refused, not concealed: FFmpeg's concealment paints motion that no face made
(measured on the sample with bytes flipped in three packets: concealing gives all 1337 frames as if
nothing were wrong, `err_detect=explode` refuses 8, two of the three and those that copy from them).
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple, Self

from ..errors import SourceError
from ..records import (
    DropCause,
    Frame,
    Pixels,
    SourceRecord,
    SourceWarning,
    WarningKind,
)
from .options import SourceOptions
from .pacing import Pace
from .rate_check import RateCheck


class Shot(NamedTuple):
    """One position of a recording: time since an arbitrary zero, and the image unless it could not be decoded."""

    at_ns: int
    image: Pixels | None


class Recorded(ABC):
    """What files and folders have in common. Iterate once; close() is safe from any thread."""

    live = False
    epoch = 0
    started_utc: str | None = None
    rate_hz: float | None = None

    def __init__(self, name: str, options: SourceOptions, pace: bool) -> None:
        self.name, self.options, self.pace = name, options, pace
        self.drops: dict[str, int] = {}
        self._closed = threading.Event()
        self._lock = threading.Lock()  # decoding and closing exclude each other

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the iteration (wherever it is) and release the file."""
        self._closed.set()
        with self._lock:
            self._release()

    def __iter__(self) -> Iterator[SourceRecord]:
        check, pace, shots, first = RateCheck(self.options), Pace(self._closed), self._shots(), None
        for index, shot in enumerate(self._locked(shots)):
            if shot.image is None:
                self.drops[DropCause.DAMAGED] = self.drops.get(DropCause.DAMAGED, 0) + 1
                continue
            first = shot.at_ns if first is None else first
            at_ns = shot.at_ns - first
            if self.pace:
                pace.wait(at_ns)
            yield Frame(self.name, index, at_ns, shot.image)
            if warning := check.add(at_ns):
                yield SourceWarning(self.name, WarningKind.RATE, warning)
        if self._closed.is_set():
            return
        if first is None:
            raise SourceError(
                f"{self.name}: no frame could be decoded; check that the source is a video"
            )
        yield from self._last_words(check)

    def _last_words(self, check: RateCheck) -> Iterator[SourceWarning]:
        if warning := check.finish():
            yield SourceWarning(self.name, WarningKind.RATE, warning)
        if damage := self._damage():
            yield SourceWarning(self.name, WarningKind.DAMAGED, damage)

    def _locked(self, shots: Iterator[Shot]) -> Iterator[Shot]:
        while True:
            with self._lock:
                shot = None if self._closed.is_set() else next(shots, None)
            if shot is None:
                return
            yield shot

    def _damage(self) -> str:
        count = self.drops.get(DropCause.DAMAGED, 0)
        return f"{count} frames could not be decoded and were skipped" if count else ""

    @abstractmethod
    def _shots(self) -> Iterator[Shot]:
        """Frames as they are decoded."""

    def _release(self) -> None:  # noqa: B027 most hold nothing
        """Let go of what is open."""
