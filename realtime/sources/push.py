"""Frames that another program captures, a browser for one, as a source like any other.

The owner calls `push` from any thread; the pipeline's feed iterates. A frame that finds the buffer
full is refused and counted: the owner learns of it at once and can slow down, and the feed makes a
Gap of what is then missing too long.
"""

from __future__ import annotations

import datetime
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Self

from microspot.engines.text.redaction import printable

from ..records import (
    ConnectionState,
    DropCause,
    Frame,
    Gap,
    GapReason,
    Pixels,
    SourceRecord,
    SourceState,
    SourceWarning,
    WarningKind,
)
from .options import SourceOptions
from .rate_check import RateCheck

CAPACITY = 8  # frames that wait for the feed; not from the papers


class PushSource:
    """A live source fed by `push`.

    Iterate once; close() is safe from any thread and ends the iteration. name: shown, so without
    secrets; first_index: number of the first frame, for an owner whose frames continue others.
    """

    live = True
    pace = True
    rate_hz: float | None = None

    def __init__(
        self, name: str, *, first_index: int = 0, options: SourceOptions | None = None
    ) -> None:
        self.name = printable(name)
        self.drops = dict[str, int]()
        self.epoch = time.time_ns()
        now_utc = datetime.datetime.now(datetime.UTC)
        self.started_utc: str | None = now_utc.isoformat(timespec="microseconds")
        self._check = RateCheck(options or SourceOptions())
        self._waiting: deque[SourceRecord] = deque()
        self._change = threading.Condition()
        self._closed = False
        self._next_index = first_index
        self._shape = (0, 0, 0)
        self._last_ns = 0

    def push(self, captured_ns: int, image: Pixels) -> int | None:
        """Hand over a frame (HxWx3 BGR) of stream time `captured_ns`.

        Returns its index, or None when it was not taken. Raises ValueError for another kind of
        array. A picture of another size than before starts a new segment.
        """
        frame = Frame(self.name, self._next_index, captured_ns, image)
        with self._change:
            if self._closed or len(self._waiting) >= CAPACITY:
                self.drops[DropCause.OVERLOAD] = self.drops.get(DropCause.OVERLOAD, 0) + 1
                return None
            if any(self._shape) and image.shape != self._shape:
                resumed = max(captured_ns, self._last_ns + 1)
                self._waiting.append(
                    Gap(self.name, None, self._last_ns, resumed, GapReason.NEW_SIZE)
                )
            self._waiting.append(frame)
            self._next_index += 1
            self._shape = image.shape
            self._last_ns = captured_ns
            self._change.notify()
        return frame.index

    def close(self) -> None:
        """End the iteration after what is waiting."""
        with self._change:
            self._closed = True
            self._change.notify()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[SourceRecord]:
        yield SourceState(self.name, ConnectionState.LIVE)
        while (record := self._next_record()) is not None:
            yield record
            if isinstance(record, Frame) and (warning := self._check.add(record.captured_ns)):
                yield SourceWarning(self.name, WarningKind.RATE, warning)

    def _next_record(self) -> SourceRecord | None:
        with self._change:
            self._change.wait_for(lambda: self._waiting or self._closed)
            return self._waiting.popleft() if self._waiting else None
