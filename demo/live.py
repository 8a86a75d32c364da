"""Live: the camera of the page is one more source. Frames come over a websocket, what was found goes back.

Every frame that is taken is scored and answered once; a page has at most two unanswered. A new threshold ends the run
and starts the next: a stretch is judged by one threshold from its first tick to its last.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from starlette.websockets import WebSocket

from realtime.errors import DataError
from realtime.push import PushSource
from realtime.records import Frame, View

from .limits import Limits
from .runs import Kit, Run
from .seats import Seats
from .visit import Visit
from .wire import PageFrame, decode, number, read_frame, sight

NAME = "browser"


class LiveVisit(Visit):
    """One page with its camera."""

    def __init__(self, socket: WebSocket, limits: Limits, kit: Kit, seats: Seats) -> None:
        super().__init__(socket, limits)
        self._kit, self._seats = kit, seats
        self._source: PushSource | None = None  # of the run that takes frames
        self._changed = asyncio.Event()  # the run must end
        self._failed = False
        self._changed_at = 0.0  # monotonic s
        self._open: set[int] = set()  # seqs taken and not yet answered
        self._waiting: dict[int, int] = {}  # index -> seq of frames in the run
        self._seq, self._index = -1, 0
        self._zero_us: int | None = None
        self._last_us = -1

    async def sit(self) -> None:
        with self._seats.ticket() as ticket:
            async for position in ticket:
                self.tell({"type": "queue", "position": position, "runs": self._seats.seats})
            while not self._failed:
                await self._run()

    async def _run(self) -> None:
        """From here to the next threshold."""
        self._changed.clear()
        self._source = source = PushSource(NAME, first_index=self._index)
        run = Run(self._kit, lambda: source, lambda m: self.soon(self._found, source, m), self._show)
        run.start()
        try:
            await self._changed.wait()
        finally:
            self._source = None
            run.stop()
            await asyncio.to_thread(run.join)
        for seq in self._waiting.values():
            self.tell({"type": "refused", "seq": seq, "reason": "threshold changed"})
        self._waiting.clear()

    async def hear_text(self, message: dict[str, Any]) -> None:
        if message["type"] != "threshold":
            return await super().hear_text(message)
        value = number(message, "value", 0, 1)
        if time.monotonic() - self._changed_at < self.limits.threshold_every_s:
            return self.refuse("the threshold changes too often")
        self._changed_at = time.monotonic()
        self._kit = replace(self._kit, settings=self._kit.settings.model_copy(update={"threshold": value}))
        return self._changed.set()

    async def hear_bytes(self, data: bytes) -> None:
        frame = read_frame(data, self.limits)
        if (reason := self._against(frame)) or self._source is None:
            return self.refuse(reason or "not ready", frame.seq)
        self._seq, self._last_us = frame.seq, frame.captured_us
        self._zero_us = frame.captured_us if self._zero_us is None else self._zero_us
        image = await asyncio.to_thread(decode, frame.jpeg, self.limits)
        source = self._source  # the run may have changed meanwhile
        index = source.push((frame.captured_us - self._zero_us) * 1000, image) if source else None
        if index is None:
            return self.refuse("busy", frame.seq)
        self.accepted()
        self._index = index + 1
        self._open.add(frame.seq)
        self._waiting[index] = frame.seq
        return None

    def _against(self, frame: PageFrame) -> str:
        """Why a frame is not taken, or "". Raises DataError for a clock that no camera has."""
        if len(self._open) >= self.limits.tolerated:
            return "too many frames at once"
        if self._zero_us is None:
            return ""
        if frame.captured_us - self._last_us > self.limits.frame_jump_s * 1e6:
            raise DataError("the page's clock jumped: press start again")
        return "out of order" if frame.seq <= self._seq or frame.captured_us <= self._last_us else ""

    def sent(self, message: dict[str, Any]) -> None:
        self._open.discard(message.get("seq", -1))

    def _show(self, frame: Frame, views: Sequence[View]) -> None:
        """From the run's thread: what was found in one frame."""
        faces = [sight(view, self.limits.columns) for view in views]
        self.soon(self._answer, {"type": "frame", "index": frame.index, "ns": frame.captured_ns, "faces": faces})

    def _answer(self, message: dict[str, Any]) -> None:
        self.tell(message | {"seq": self._waiting.pop(message["index"], None)})

    def _found(self, source: PushSource, message: dict[str, Any]) -> None:
        if message["type"] == "start":
            self.expect(self.limits.idle_s)  # not before: until now the page had to wait
        if message["type"] != "over":
            self.tell(message)
        elif source is self._source:  # the run ended by itself, having told why
            self._failed = True
            self._changed.set()
