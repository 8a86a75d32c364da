"""Camera: a source of the server, seen by any number of pages at the cost of one pipeline.

A shared run lasts while someone looks; recordings start again at their end. Pictures may be skipped
for a slow page (at most two are on their way), events never. Pages choose by number among the
sources named at start. The overlay for streams (static/overlay.js) takes no pictures, and of the
events only those that come while it looks.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from starlette.websockets import WebSocket

from microspot.engines.text.redaction import printable
from microspot.realtime.errors import UsageError
from microspot.realtime.meter import Rate
from microspot.realtime.records import Frame, View
from microspot.realtime.sources.address import parse
from microspot.realtime.sources.open import Source, distinct, open_source

from ..limits import Limits
from .admission_queue import AdmissionQueue
from .page_session import PageSession
from .pipeline_run import PipelineRun, PipelineSetup
from .wire import face_overlay, pack_picture

ON_DISK = ("file", "folder")
RECORDED = (*ON_DISK, "sample")


class Channel:
    """A source named at start, and the run that its viewers share.

    A run that is ending is not joined: the next viewer starts another. The name differs from those
    in `taken`. Raises UsageError for an address that makes no sense.
    """

    def __init__(
        self,
        uri: str,
        limits: Limits,
        setup: PipelineSetup,
        admission: AdmissionQueue,
        taken: Collection[str] = (),
    ) -> None:
        address = parse(uri)
        self.name = distinct(address.name, taken)
        self.recorded = address.kind in RECORDED
        # What pages are told in place of paths: none learns where files lie.
        self.paths: dict[str, str] = {}
        if address.kind in ON_DISK:
            self.paths = {printable(f"{Path(uri).parent}/"): ""}
        self.limits = limits
        self.setup = setup
        self.admission = admission
        # A camera opens once, and the run before may still be closing it.
        self.in_use = asyncio.Lock()
        self._uri = uri
        self._shared_run: SharedRun | None = None

    def open(self) -> Source:
        """The source. Raises SourceError where it cannot be opened."""
        source = open_source(self._uri, pace=self.recorded)
        source.name = self.name
        return source

    async def join(self, viewer: CameraSession) -> None:
        """Look until the shared run is over, or the page goes.

        Raises UsageError when too many look.
        """
        if self._shared_run is None or self._shared_run.ending:
            self._shared_run = SharedRun(self)
        await self._shared_run.join(viewer)

    async def close(self) -> None:
        """End the shared run."""
        if self._shared_run is not None:
            self._shared_run.end()
            await asyncio.wait([self._shared_run.task])


class SharedRun:
    """From the first viewer to the last: run after run of a recording, or one of a camera."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._viewers = set[CameraSession]()
        # The last queue position, start or error: what a page that joins must know.
        self._status: dict[str, Any] | None = None
        self._events: deque[dict[str, Any]] = deque(maxlen=channel.limits.remembered)
        self._failed = False
        self._pictured = 0  # viewers that want pictures
        self._linger_timer: asyncio.TimerHandle | None = None
        self.ending = False
        self.task = asyncio.get_running_loop().create_task(self._run())

    async def join(self, viewer: CameraSession) -> None:
        """Add a viewer, which is sent what the others know, until the run is over.

        Raises UsageError when too many look.
        """
        if len(self._viewers) >= self._channel.limits.viewers:
            raise UsageError(
                f"{len(self._viewers)} pages look at {self._channel.name} already: try again later"
            )
        if self._linger_timer is not None:
            self._linger_timer.cancel()
        self._viewers.add(viewer)
        self._pictured += viewer.wants_pictures
        if self._status:
            viewer.send(self._status)
        for event in self._events if viewer.wants_pictures else ():
            viewer.send(event)
        try:
            await asyncio.shield(self.task)
        finally:
            self._viewers.discard(viewer)
            self._pictured -= viewer.wants_pictures
            if not self._viewers:
                self._end_later()

    def _end_later(self) -> None:
        """End when nobody has joined for a while."""
        loop = self.task.get_loop()
        self._linger_timer = loop.call_later(self._channel.limits.linger_s, self.end)

    def end(self) -> None:
        """Begin to end: a page that comes now starts the next shared run."""
        if not self.ending:
            self.ending = True
            self.task.cancel()

    async def _run(self) -> None:
        channel = self._channel
        try:
            async with channel.in_use:
                with channel.admission.ticket() as ticket:
                    async for position in ticket:
                        runs = channel.admission.places
                        self._publish({"type": "queue", "position": position, "runs": runs})
                    await self._run_once()
                    while channel.recorded and self._viewers and not self._failed:
                        await self._run_once()
        except UsageError as error:
            self._publish({"type": "error", "message": str(error)})
        finally:
            self.ending = True

    async def _run_once(self) -> None:
        channel = self._channel
        rate = Rate()
        count = itertools.count(1)

        def draw(frame: Frame, views: Sequence[View]) -> dict[str, Any] | None:
            return self._draw(frame, views, rate, count)

        run = PipelineRun(channel.setup, channel.open, self._publish, draw, names=channel.paths)
        await run.run()

    def _draw(
        self, frame: Frame, views: Sequence[View], rate: Rate, count: Iterator[int]
    ) -> dict[str, Any] | None:
        """The picture is packed once for all viewers, if there is one who wants it."""
        limits = self._channel.limits
        rate.add(frame.captured_ns)
        scored = next(count)
        if not self._pictured:
            return None
        header = {
            "type": "frame",
            "index": frame.index,
            "ns": frame.captured_ns,
            "scored": scored,
            "hz": round(rate.hz, 2),
            "faces": [face_overlay(view, limits.columns) for view in views],
        }
        return {"type": "picture", "picture": pack_picture(header, frame.image, limits)}

    def _publish(self, message: dict[str, Any]) -> None:
        """Send a message to all viewers, and remember what later ones must know."""
        kind = message["type"]
        if kind in ("queue", "start", "error"):
            self._status = message
            self._failed = kind == "error"
            self._events.clear()
        elif kind == "event" and message["status"] == "final":
            self._events.append(message)
        for viewer in self._viewers:
            if kind == "picture":
                viewer.offer(message["picture"])
            else:
                viewer.send(message)


class CameraSession(PageSession):
    """One page that looks at a channel."""

    def __init__(self, socket: WebSocket, limits: Limits, channels: Sequence[Channel]) -> None:
        super().__init__(socket, limits)
        self._channels = channels
        self._chosen = socket.query_params.get("source", "")
        self.wants_pictures = socket.query_params.get("pictures") != "0"
        self._on_the_way = 0  # pictures sent that the page has not drawn yet
        self._newest: bytes | None = None  # a picture to send once one of those is drawn

    async def serve(self) -> None:
        """Join the channel that the page chose."""
        numbers = {str(number): channel for number, channel in enumerate(self._channels)}
        if self._chosen not in numbers:
            raise UsageError("this source was not named when the demo was started: reload the page")
        await numbers[self._chosen].join(self)

    async def receive_text(self, message: dict[str, Any]) -> None:
        """Take `seen`: the page has drawn a picture."""
        if message["type"] != "seen":
            return await super().receive_text(message)
        if not self._on_the_way:
            return self.refuse("nothing was on the way")
        self.accepted()
        self._on_the_way -= 1
        newest = self._newest
        self._newest = None
        return None if newest is None else self.offer(newest)

    def send(self, message: dict[str, Any] | bytes) -> None:
        """Queue a message to the page."""
        if isinstance(message, dict) and message["type"] == "start":
            self._newest = None  # it is of the run before
        super().send(message)

    def offer(self, picture: bytes) -> None:
        """Send a picture now, or when the page has drawn one of those on their way.

        A picture that waits is replaced by a newer one.
        """
        if not self.wants_pictures:
            return
        if self._on_the_way < self.limits.in_flight:
            self._on_the_way += 1
            self.send(picture)
        else:
            self._newest = picture
