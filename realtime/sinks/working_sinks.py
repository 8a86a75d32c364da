"""The sinks of a run: one that fails ends the run and takes nothing from the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from ..errors import MicrospotError
from ..records import Frame, FrameRecord, View
from .base import NONE_OF_FRAMES, FrameBatch, JsonRecord, Sink, WrittenRecord


class WorkingSinks:
    """The sinks that have not failed.

    One that fails ends the run in good order: the others get everything that was seen. What tells
    comes last, so that a final event that was read from standard output is in every store; where a
    store has failed, final events are no longer told.

    Records of frames wait for each other, for `batch_s` seconds at most and never longer than any
    other record: each sink takes many at once, so that a frame wakes no thread of theirs.
    """

    def __init__(self, sinks: Sequence[Sink], stop: Callable[[], None], batch_s: float) -> None:
        self._working = sorted(sinks, key=lambda sink: sink.tells)
        self._store_failed = False
        self._stop = stop
        self._batch_s = batch_s
        self._frames: list[FrameRecord] = []  # that wait
        self._wanted = NONE_OF_FRAMES
        self._due_s = 0.0  # on the monotonic clock
        self._failure: Exception | None = None

    def write(self, record: JsonRecord) -> None:
        """Give a record to every sink, after the records of frames from before it."""
        self.flush_frames()
        record = WrittenRecord(record)
        final = record["type"] == "event" and record["status"] == "final"
        for sink in self._working.copy():
            if not (sink.tells and final and self._store_failed):
                self._try(sink, partial(sink.take, record))

    def keep(self, record: FrameRecord) -> None:
        """Let a record of a frame wait for others."""
        self._frames.append(record)

    def want_frames(self) -> frozenset[str]:
        """Which records of every frame are wanted; to be asked before every round.

        Every `batch_s` it gives away those that wait, and asks the sinks anew.
        """
        now_s = time.monotonic()
        if now_s >= self._due_s:
            self._due_s = now_s + self._batch_s
            self.flush_frames()
            wishes = [sink.wants_frames for sink in self._working]
            self._wanted = NONE_OF_FRAMES.union(*wishes)
        return self._wanted

    def flush_frames(self) -> None:
        """Give the records of frames that wait to every sink that wants them."""
        if not self._frames:
            return
        wanting = [sink for sink in self._working if sink.wants_frames]
        kinds = NONE_OF_FRAMES.union(*(sink.wants_frames for sink in wanting))
        batch = FrameBatch([record for record in self._frames if record.kind in kinds])
        self._frames.clear()
        for sink in wanting:
            self._try(sink, partial(sink.take_frames, batch))

    def draw(self, frame: Frame, views: list[View]) -> None:
        """Give a frame to every sink that draws."""
        for sink in self._working.copy():
            if sink.draws:
                self._try(sink, partial(sink.draw, frame, views))

    def reload(self) -> list[str]:
        """Let every sink read its credentials anew; what a person should know of it."""
        said = []
        for sink in self._working:
            try:
                sink.reload()
            except MicrospotError as error:
                said.append(f"credentials stay as they were: {error}")
        return said

    def raise_failure(self) -> None:
        """Raise what the first sink to fail raised, if one did."""
        if self._failure is not None:
            raise self._failure

    def _try(self, sink: Sink, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:
            self._working.remove(sink)
            self._store_failed = self._store_failed or sink.stores
            self._failure = self._failure or error
            self._stop()
