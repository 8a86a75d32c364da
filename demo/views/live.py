"""Live: the camera of the page is one more source.

Frames come over a websocket, what was found goes back. Every frame that is taken is scored and
answered once; a page has at most two unanswered. A new threshold ends the run and starts the next:
a segment is judged by one threshold from its first tick to its last.
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
from .wire import PageFrame, decode, face_overlay, number, read_frame

NAME = "browser"


class LiveSession(PageSession):
    """One page with its camera."""

    def __init__(
        self, socket: WebSocket, limits: Limits, setup: PipelineSetup, admission: AdmissionQueue
    ) -> None:
        super().__init__(socket, limits)
        self._setup = setup
        self._admission = admission
        self._run: PipelineRun | None = None
        self._source: PushSource | None = None  # of the run that takes frames
        self._threshold_changed_s = -math.inf  # monotonic
        self._unanswered: set[int] = set()  # seqs of frames taken
        self._seq_by_index: dict[int, int] = {}  # of frames in the run
        self._last_seq = -1
        self._next_index = 0
        self._first_us: int | None = None  # of the page's clock
        self._last_us = -1

    async def serve(self) -> None:
        """Wait to be admitted, then take frames, in one run for each threshold.

        A run that ends by itself has told the page why, and is the last.
        """
        with self._admission.ticket() as ticket:
            async for position in ticket:
                runs = self._admission.places
                self.send({"type": "queue", "position": position, "runs": runs})
            setup = None
            while setup is not self._setup:
                setup = self._setup
                await self._take_frames(setup)

    async def _take_frames(self, setup: PipelineSetup) -> None:
        """Run until the next threshold."""
        source = PushSource(NAME, first_index=self._next_index)
        self._source = source
        self._run = PipelineRun(setup, lambda: source, self._forward, self._draw)
        await self._run.run()
        self._source = None
        for seq in self._seq_by_index.values():
            self.send({"type": "refused", "seq": seq, "reason": "threshold changed"})
        self._unanswered.difference_update(self._seq_by_index.values())
        self._seq_by_index.clear()

    async def receive_text(self, message: dict[str, Any]) -> None:
        """Take `threshold`, with its value."""
        if message["type"] != "threshold":
            return await super().receive_text(message)
        value = number(message, "value", 0, 1)
        if time.monotonic() - self._threshold_changed_s < self.limits.threshold_every_s:
            return self.refuse("the threshold changes too often")
        self._threshold_changed_s = time.monotonic()
        settings = self._setup.settings.model_copy(update={"threshold": value})
        self._setup = replace(self._setup, settings=settings)
        self._source = None
        return self._run.end() if self._run else None

    async def receive_bytes(self, data: bytes) -> None:
        """Take a frame of the page's camera."""
        frame = read_frame(data, self.limits)
        reason = self._why_refused(frame)
        if reason or self._source is None:
            return self.refuse(reason or "not ready", frame.seq)
        self._last_seq = frame.seq
        self._last_us = frame.captured_us
        if self._first_us is None:
            self._first_us = frame.captured_us
        image = await asyncio.to_thread(decode, frame.jpeg, self.limits)
        source = self._source  # the run may have changed meanwhile
        captured_ns = (frame.captured_us - self._first_us) * 1000
        index = source.push(captured_ns, image) if source else None
        if index is None:
            return self.refuse("busy", frame.seq)
        self.accepted()
        self._next_index = index + 1
        self._unanswered.add(frame.seq)
        self._seq_by_index[index] = frame.seq
        return None

    def _why_refused(self, frame: PageFrame) -> str:
        """Why a frame is not taken, or "". Raises DataError for a clock that no camera has."""
        if len(self._unanswered) >= self.limits.max_in_flight:
            return "too many frames at once"
        if self._first_us is None:
            return ""
        if frame.captured_us - self._last_us > self.limits.frame_jump_s * 1e6:
            raise DataError("the page's clock jumped: press start again")
        if frame.seq <= self._last_seq or frame.captured_us <= self._last_us:
            return "out of order"
        return ""

    def after_sending(self, message: dict[str, Any]) -> None:
        """Count a frame as answered."""
        if message["type"] == "frame":
            self._unanswered.discard(message["seq"])

    def _draw(self, frame: Frame, views: Sequence[View]) -> dict[str, Any]:
        """The message of one frame: what was found in it."""
        faces = [face_overlay(view, self.limits.columns) for view in views]
        return {"type": "frame", "index": frame.index, "ns": frame.captured_ns, "faces": faces}

    def _forward(self, message: dict[str, Any]) -> None:
        if message["type"] == "start":
            self.limit_silence(self.limits.idle_s)  # not before: until now the page had to wait
        elif message["type"] == "frame":
            message |= {"seq": self._seq_by_index.pop(message["index"], None)}
        self.send(message)
