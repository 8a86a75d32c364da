"""Live: the camera of the page is one more source. Frames come over a websocket, what was found goes back.

Every frame that is taken is scored and answered once; a page has at most two unanswered. A new threshold ends the run
and starts the next: a segment is judged by one threshold from its first tick to its last.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from starlette.websockets import WebSocket

from microspot.realtime.errors import DataError
from microspot.realtime.records import Frame, View
from microspot.realtime.sources.push import PushSource

from ..limits import Limits
from .admission_queue import AdmissionQueue
from .page_session import PageSession
from .pipeline_run import PipelineRun, PipelineSetup
from .wire import PageFrame, decode, number, read_frame, sight

NAME = "browser"


class LiveSession(PageSession):
    """One page with its camera."""

    def __init__(
        self, socket: WebSocket, limits: Limits, setup: PipelineSetup, admission: AdmissionQueue
    ) -> None:
        super().__init__(socket, limits)
        self._setup, self._seats = setup, admission
        self._run: PipelineRun | None = None
        self._source: PushSource | None = None  # of the run that takes frames
        self._changed_at = -math.inf  # monotonic s
        self._open: set[int] = set()  # seqs taken and not yet answered
        self._waiting: dict[int, int] = {}  # index -> seq of frames in the run
        self._seq, self._index = -1, 0
        self._zero_us: int | None = None
        self._last_us = -1

    async def sit(self) -> None:
        with self._seats.ticket() as ticket:
            async for position in ticket:
                self.tell({"type": "queue", "position": position, "runs": self._seats.admission})
            setup = None
            while (
                setup is not self._setup
            ):  # a run that ends by itself has told why, and is the last
                setup = self._setup
                await self._take_frames(setup)

    async def _take_frames(self, setup: PipelineSetup) -> None:
        """From here to the next threshold."""
        self._source = source = PushSource(NAME, first_index=self._index)
        self._run = PipelineRun(setup, lambda: source, self._found, self._draw)
        await self._run.until_over()
        self._source = None
        for seq in self._waiting.values():
            self.tell({"type": "refused", "seq": seq, "reason": "threshold changed"})
        self._open.difference_update(self._waiting.values())
        self._waiting.clear()

    async def hear_text(self, message: dict[str, Any]) -> None:
        if message["type"] != "threshold":
            return await super().hear_text(message)
        value = number(message, "value", 0, 1)
        if time.monotonic() - self._changed_at < self.limits.threshold_every_s:
            return self.refuse("the threshold changes too often")
        self._changed_at = time.monotonic()
        self._setup = replace(
            self._setup, settings=self._setup.settings.model_copy(update={"threshold": value})
        )
        self._source = None
        return self._run.end() if self._run else None

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
        return (
            "out of order" if frame.seq <= self._seq or frame.captured_us <= self._last_us else ""
        )

    def sent(self, message: dict[str, Any]) -> None:
        if message["type"] == "frame":
            self._open.discard(message["seq"])

    def _draw(self, frame: Frame, views: Sequence[View]) -> dict[str, Any]:
        """What was found in one frame."""
        faces = [sight(view, self.limits.columns) for view in views]
        return {"type": "frame", "index": frame.index, "ns": frame.captured_ns, "faces": faces}

    def _found(self, message: dict[str, Any]) -> None:
        if message["type"] == "start":
            self.expect(self.limits.idle_s)  # not before: until now the page had to wait
        elif message["type"] == "frame":
            message |= {"seq": self._waiting.pop(message["index"], None)}
        self.tell(message)
