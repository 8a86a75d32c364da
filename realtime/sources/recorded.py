"""What files and folders have in common: every frame comes, at its own time.

How a file is opened and decoded stands in `engines.data.decoding`. Sizes are checked from headers,
before decoding. Damaged frames are refused, not concealed: FFmpeg's concealment paints motion that
no face made (measured on the sample with bytes flipped in three packets: concealing gives all 1337
frames as if nothing were wrong, `err_detect=explode` refuses 8, two of the three and those that
copy from them).
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple, Self

from ..errors import SourceError
from ..records import DropCause, Frame, Pixels, SourceRecord, SourceWarning, WarningKind
from .options import SourceOptions
from .pacing import Pacer
from .rate_check import RateCheck


class DecodedFrame(NamedTuple):
    """One frame of a recording: ns since an arbitrary zero; no image where it cannot be decoded."""

    at_ns: int
    image: Pixels | None


class RecordedSource(ABC):
    """A file or folder. Iterate once; close() is safe from any thread."""

    live = False
    epoch = 0
    started_utc: str | None = None
    rate_hz: float | None = None

    def __init__(self, name: str, options: SourceOptions, pace: bool) -> None:
        self.name = name
        self.options = options
        self.pace = pace
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
        check = RateCheck(self.options)
        pacer = Pacer(self._closed)
        first_ns = None
        for index, decoded in enumerate(self._locked(self._decode())):
            if decoded.image is None:
                self.drops[DropCause.DAMAGED] = self.drops.get(DropCause.DAMAGED, 0) + 1
                continue
            if first_ns is None:
                first_ns = decoded.at_ns
            at_ns = decoded.at_ns - first_ns
            host_ns = pacer.wait(at_ns) if self.pace else None
            yield Frame(self.name, index, at_ns, decoded.image, host_ns)
            if warning := check.add(at_ns):
                yield SourceWarning(self.name, WarningKind.RATE, warning)
        if self._closed.is_set():
            return
        if first_ns is None:
            raise SourceError(
                f"{self.name}: no frame could be decoded; check that the source is a video"
            )
        yield from self._warnings_at_end(check)

    def _warnings_at_end(self, check: RateCheck) -> Iterator[SourceWarning]:
        if warning := check.finish():
            yield SourceWarning(self.name, WarningKind.RATE, warning)
        if damage := self._damage():
            yield SourceWarning(self.name, WarningKind.DAMAGED, damage)

    def _locked(self, frames: Iterator[DecodedFrame]) -> Iterator[DecodedFrame]:
        """The frames, each decoded under the lock, until the source is closed."""
        while True:
            with self._lock:
                decoded = None if self._closed.is_set() else next(frames, None)
            if decoded is None:
                return
            yield decoded

    def _damage(self) -> str:
        """What is wrong with the recording; "" where nothing is."""
        count = self.drops.get(DropCause.DAMAGED, 0)
        return f"{count} frames could not be decoded and were skipped" if count else ""

    @abstractmethod
    def _decode(self) -> Iterator[DecodedFrame]:
        """Frames in order, as they are decoded."""

    def _release(self) -> None:  # noqa: B027 most hold nothing
        """Let go of what is open."""
